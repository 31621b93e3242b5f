from __future__ import annotations

import errno
import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tests.training.toy_stage import Doubling, stream, toy_config

from samlet.errors import OutputError, StoppedError, TrainingError
from samlet.training.config import TrainConfig
from samlet.training.loop.checkpoint import BEST, CHECKPOINT, CONFIG, LOG
from samlet.training.loop.log import TENSORBOARD
from samlet.training.loop.trainer import Trainer

# Programs import from tests/, which only pytest has on its path.
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])}


def trained(folder, stage=None, **changes):
    settings = toy_config(**changes)
    trainer = Trainer(stage or Doubling(), settings, folder)
    trainer.run(stream(settings))
    return trainer.stage.state_dict()


def checkpoint_of(folder):
    return torch.load(folder / CHECKPOINT, weights_only=True)


def same(state, other):
    return all(torch.equal(value, other[name]) for name, value in state.items())


def test_a_run_learns_and_leaves_its_folder_in_order(tmp_path):
    seen = []
    settings = toy_config(steps=100, learning_rate=0.1, checkpoint_every=40)
    trainer = Trainer(Doubling(), settings, tmp_path)
    trainer.run(stream(settings), lambda step, values: seen.append((step, values["loss"])))
    assert [step for step, _ in seen] == list(range(1, 101))
    losses = [loss for _, loss in seen]
    assert sum(losses[-10:]) < 0.6 * sum(losses[:10])
    kept = {"checkpoint-000080.pt", "checkpoint-000100.pt"}
    assert {path.name for path in tmp_path.iterdir()} == {CONFIG, CHECKPOINT, BEST, LOG, TENSORBOARD, *kept}
    rows = [json.loads(line) for line in (tmp_path / LOG).read_text().splitlines()]
    assert rows[-1]["step"] == 100
    assert {"loss", "mse", "grad_norm", "learning_rate", "memory_mib", "seconds"} <= set(rows[-1])
    assert not trainer.stage.training


@pytest.mark.parametrize("killed_at", [4, 7])
def test_a_killed_and_resumed_run_gives_the_same_weights_bit_for_bit(tmp_path, killed_at):
    settings = toy_config(grad_accum_steps=2)
    whole = trained(tmp_path / "whole", Doubling(noise=0.1), grad_accum_steps=2)

    def killed(step, values):
        if step == killed_at:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Trainer(Doubling(noise=0.1), settings, tmp_path / "cut").run(stream(settings), killed)
    resumed = Trainer(Doubling(noise=0.1), settings, tmp_path / "cut", resume=True)
    assert resumed.step == killed_at // 4 * 4
    resumed.run(stream(settings))
    assert same(resumed.stage.state_dict(), whole)


PROGRAM = """
import sys
from pathlib import Path
from samlet.training.loop.trainer import Trainer
from tests.training.toy_stage import Doubling, stream, toy_config

settings = toy_config(steps=2000, checkpoint_every=10)
trainer = Trainer(Doubling(noise=0.1), settings, Path(sys.argv[1]))
trainer.run(stream(settings), lambda step, values: print(step, flush=True))
"""


def started(folder):
    """A long run in a process of its own, which prints its steps."""
    program = [sys.executable, "-c", PROGRAM, str(folder)]
    return subprocess.Popen(program, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for_step(process, step):
    assert process.stdout is not None
    for line in process.stdout:
        if int(line) >= step:
            return
    raise AssertionError(process.communicate()[1])


def test_after_sigkill_and_sigterm_a_resumed_run_still_gives_the_same_weights(tmp_path):
    """SIGKILL at a random step in another process; resumed here, stopped by SIGTERM at a step no checkpoint is due."""
    step = random.Random(os.getpid()).randint(11, 39)
    process = started(tmp_path / "cut")
    wait_for_step(process, step)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    killed_at = checkpoint_of(tmp_path / "cut")["step"]
    assert killed_at >= step // 10 * 10

    end = killed_at + 15
    states = [stopped_at(end, tmp_path / "cut"), stopped_at(end, tmp_path / "whole")]
    assert same(states[0]["stage"], states[1]["stage"])
    assert same(states[0]["ema"], states[1]["ema"])


STOPPED = """
import signal
import sys
from pathlib import Path
from samlet.training.loop.trainer import Trainer
from tests.training.toy_stage import Doubling, stream, toy_config

settings = toy_config(steps=2000, checkpoint_every=10)
folder, last = Path(sys.argv[1]), int(sys.argv[2]) - 1
trainer = Trainer(Doubling(noise=0.1), settings, folder, resume=folder.exists())
trainer.run(stream(settings), lambda step, values: step == last and signal.raise_signal(signal.SIGTERM))
"""


def stopped_at(end, folder):
    """What a run's checkpoint holds when it is asked to stop after a step; in a process of its own, as it may die."""
    program = [sys.executable, "-c", STOPPED, str(folder), str(end)]
    result = subprocess.run(program, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert f"SIGTERM after step {end}" in result.stderr, result
    return checkpoint_of(folder)


@pytest.fixture
def interruptible():
    """Ctrl-C interrupts, also where pytest was started to ignore it: in the background, or as a worker."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_a_signal_lets_the_step_end_saves_it_and_a_second_one_acts_at_once(tmp_path):
    settings = toy_config(checkpoint_every=100)

    def once(step, values):
        if step == 5:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(StoppedError, match=r"SIGINT after step 6.*--resume") as stopped:
        Trainer(Doubling(), settings, tmp_path / "one").run(stream(settings), once)
    assert stopped.value.signal_number == signal.SIGINT
    assert checkpoint_of(tmp_path / "one")["step"] == 6

    def twice(step, values):
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        Trainer(Doubling(), settings, tmp_path / "two").run(stream(settings), lambda *_: [twice(*_), twice(*_)])
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_parts_of_a_step_give_what_the_whole_step_gives(tmp_path):
    whole = trained(tmp_path / "whole", batch_norm="frozen")
    for grad_accum_steps in (2, 8):
        parts = trained(tmp_path / f"parts{grad_accum_steps}", batch_norm="frozen", grad_accum_steps=grad_accum_steps)
        assert all(torch.allclose(value, whole[name], atol=1e-6) for name, value in parts.items())


def test_a_step_that_cannot_be_cut_evenly_is_refused(tmp_path):
    with pytest.raises(TrainingError, match=r"batch_size 8 .* 3 parts and 1 processes: use a multiple of 3"):
        Trainer(Doubling(), toy_config(grad_accum_steps=3), tmp_path)


def test_the_result_is_the_moving_average_not_the_last_weights(tmp_path):
    result = trained(tmp_path, learning_rate=0.05)
    assert not torch.equal(result["linear.weight"], checkpoint_of(tmp_path)["stage"]["linear.weight"])


def test_with_held_out_images_the_result_is_the_checkpoint_that_did_best_on_them(tmp_path):
    settings = toy_config(steps=40, learning_rate=0.05, checkpoint_every=10)
    shifted = toy_config(seed=5, steps=1)

    def worse_later(first_step):
        for batch in stream(shifted)(first_step):
            calls.append(batch)
            yield batch if len(calls) == 2 else type(batch)(batch.names, batch.values * 100)

    calls = []
    trainer = Trainer(Doubling(), settings, tmp_path)
    seen = []

    def told(step, values):
        seen.extend([(step, values["validation"])] if "validation" in values else [])

    trainer.run(stream(settings), told, validation=worse_later)
    assert len(calls) == 4
    best = torch.load(tmp_path / BEST, weights_only=True)
    assert best["step"] == 20
    assert same(trainer.stage.state_dict(), best["ema"])
    rows = [json.loads(line) for line in (tmp_path / LOG).read_text().splitlines()]
    logged = {row["step"]: row["validation"] for row in rows if "validation" in row}
    assert list(logged) == [10, 20, 30, 40]
    assert min(logged, key=logged.__getitem__) == 20
    assert seen == [(step, logged[step]) for step in logged]


@pytest.mark.parametrize("batch_norm", ["frozen", "per-process", "synced"])
def test_batch_norms_do_what_the_config_says(tmp_path, batch_norm):
    settings = toy_config(batch_norm=batch_norm)
    seen = []
    trainer = Trainer(Doubling(), settings, tmp_path)
    trainer.run(stream(settings), lambda *_: seen.append(trainer.stage.norm.training))
    assert set(seen) == {batch_norm != "frozen"}
    assert (trainer.stage.norm.running_mean.abs().sum() == 0) == (batch_norm == "frozen")


def test_statistics_estimated_anew_are_those_of_the_data(tmp_path):
    settings = toy_config(batch_norm="re-estimated")
    trainer = Trainer(Doubling(), settings, tmp_path)
    trainer.run(stream(settings))
    values = torch.cat([batch.values for batch in stream(settings)(0)])
    assert torch.allclose(trainer.stage.norm.running_mean, values.mean(dim=0), atol=1e-5)
    assert trainer.stage.norm.momentum == 0.1


def test_bf16_computes_in_half_precision_and_keeps_full_weights(tmp_path):
    class Watching(Doubling):
        def forward(self, batch):
            self.dtype = self.linear(batch.values).dtype
            return super().forward(batch)

    half = trained(tmp_path / "half", stage := Watching(), precision="bfloat16")
    assert stage.dtype == torch.bfloat16
    assert half["linear.weight"].dtype == torch.float32
    full = trained(tmp_path / "full")
    assert torch.allclose(half["linear.weight"], full["linear.weight"], atol=1e-2)


def test_fp16_is_refused_where_it_would_be_slow_and_wrong(tmp_path):
    with pytest.raises(TrainingError, match="CUDA only, this is cpu"):
        Trainer(Doubling(), toy_config(precision="float16"), tmp_path)


def test_a_device_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(TrainingError, match='no device "nowhere"'):
        Trainer(Doubling(), toy_config(), tmp_path, device="nowhere")


def test_a_loss_that_is_not_finite_stops_names_its_images_and_keeps_the_last_checkpoint(tmp_path):
    settings = toy_config()
    with pytest.raises(TrainingError, match=r"step 6, on the images image48, .*image55:"):
        Trainer(Doubling(), settings, tmp_path).run(stream(settings, bad=6))
    assert checkpoint_of(tmp_path)["step"] == 4


def test_a_gradient_that_is_not_finite_stops_before_it_spoils_the_weights(tmp_path):
    class Root(Doubling):
        def forward(self, batch):
            return {"root": (self.linear(batch.values) * 0).square().mean().sqrt()}

    stage, settings = Root(), toy_config()
    before = stage.linear.weight.detach().clone()
    with pytest.raises(TrainingError, match="norm is nan at step 0"):
        Trainer(stage, settings, tmp_path).run(stream(settings))
    assert torch.equal(stage.linear.weight, before)


@pytest.mark.parametrize(
    "error",
    [MemoryError(), torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("CPU: can't allocate memory")],
)
def test_too_little_memory_names_the_knob(tmp_path, error):
    class Hungry(Doubling):
        def forward(self, batch):
            raise error

    settings = toy_config(grad_accum_steps=2)
    with pytest.raises(TrainingError, match=r"4 images of 512 pixels at once in float32: .*--grad-accum-steps 4"):
        Trainer(Hungry(), settings, tmp_path).run(stream(settings))


def test_another_error_is_not_taken_for_too_little_memory(tmp_path):
    class Defect(Doubling):
        def forward(self, batch):
            raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes"):
        Trainer(Defect(), toy_config(), tmp_path).run(stream(toy_config()))


def test_a_full_disk_keeps_the_last_good_checkpoint(tmp_path, monkeypatch):
    settings = toy_config()
    saves = []
    save = torch.save

    def full(state, path):
        saves.append(path)
        save(state, path)
        if len(saves) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OutputError, match=r"the disk is full.*last good checkpoint is kept, go on from it"):
        Trainer(Doubling(), settings, tmp_path).run(stream(settings))
    assert checkpoint_of(tmp_path)["step"] == 4
    assert [path for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_folder_with_a_run_is_not_overwritten(tmp_path):
    trained(tmp_path)
    with pytest.raises(TrainingError, match="--resume"):
        Trainer(Doubling(), toy_config(), tmp_path)


def test_a_run_of_another_config_is_not_resumed_and_the_fields_are_named(tmp_path):
    trained(tmp_path)
    with pytest.raises(TrainingError, match="batch_size 8, not 2; precision float32, not bfloat16: "):
        Trainer(Doubling(), toy_config(batch_size=2, precision="bfloat16"), tmp_path, resume=True)


def test_what_does_not_touch_the_result_may_change_on_the_way(tmp_path):
    trained(tmp_path)
    Trainer(Doubling(), toy_config(grad_accum_steps=2, keep=5, max_broken=3, checkpoint_every=1), tmp_path, resume=True)
    assert TrainConfig.load(tmp_path / CONFIG).keep == 5


def test_a_run_may_go_on_for_more_steps_where_they_do_not_change_those_done(tmp_path):
    steady = {"learning_rate": 1e-2, "final_learning_rate": 1e-2}
    whole = trained(tmp_path / "whole", Doubling(noise=0.1), **steady)
    trained(tmp_path / "longer", Doubling(noise=0.1), steps=8, **steady)
    settings = toy_config(**steady)
    longer = Trainer(Doubling(noise=0.1), settings, tmp_path / "longer", resume=True)
    assert longer.step == 8
    longer.run(stream(settings))
    assert same(longer.stage.state_dict(), whole)
    assert TrainConfig.load(tmp_path / "longer" / CONFIG).steps == 12
    with pytest.raises(TrainingError, match="a run of 12 steps, of which 12 are done"):
        Trainer(Doubling(), toy_config(steps=10, **steady), tmp_path / "longer", resume=True)


def test_a_run_whose_rates_depend_on_its_length_is_not_made_longer(tmp_path):
    trained(tmp_path, steps=8)
    with pytest.raises(TrainingError, match="would be others in a run of 12"):
        Trainer(Doubling(), toy_config(), tmp_path, resume=True)


def test_a_folder_whose_config_is_damaged_is_named(tmp_path):
    trained(tmp_path)
    (tmp_path / CONFIG).write_text("{")
    with pytest.raises(TrainingError, match=CONFIG):
        Trainer(Doubling(), toy_config(), tmp_path, resume=True)


def test_a_damaged_checkpoint_names_the_older_ones(tmp_path):
    trained(tmp_path)
    (tmp_path / CHECKPOINT).unlink()
    (tmp_path / CHECKPOINT).write_bytes(b"PK\x03\x04 cut")
    with pytest.raises(TrainingError, match="copy an older"):
        Trainer(Doubling(), toy_config(), tmp_path, resume=True)


def test_a_run_of_an_earlier_version_is_resumed(tmp_path):
    """Its config lacks the newer fields, its checkpoint the scaler and the best loss."""
    whole = trained(tmp_path / "whole")
    settings = toy_config()
    trainer = Trainer(Doubling(), settings, tmp_path / "old")
    with pytest.raises(StoppedError):
        trainer.run(stream(settings), lambda step, _: step == 7 and signal.raise_signal(signal.SIGTERM))
    saved = json.loads((tmp_path / "old" / CONFIG).read_text())
    newer = (
        "clip_value",
        "no_weight_decay",
        "layer_decay",
        "precision",
        "grad_accum_steps",
        "validation_images",
        "keep",
    )
    (tmp_path / "old" / CONFIG).write_text(json.dumps({k: v for k, v in saved.items() if k not in newer}))
    checkpoint = checkpoint_of(tmp_path / "old")
    (tmp_path / "old" / CHECKPOINT).unlink()
    torch.save({k: checkpoint[k] for k in ("step", "stage", "ema", "optimizer")}, tmp_path / "old" / CHECKPOINT)
    resumed = Trainer(Doubling(), settings, tmp_path / "old", resume=True)
    resumed.run(stream(settings))
    assert same(resumed.stage.state_dict(), whole)


def test_the_saved_config_is_the_config(tmp_path):
    trained(tmp_path, canvases=((0.5, 128), (1.0, 256)))
    assert TrainConfig.load(tmp_path / CONFIG) == toy_config(canvases=((0.5, 128), (1.0, 256)))

from __future__ import annotations

import json

import pytest
import torch
from tests.training.toy_stage import Doubling, config, stream

from samlet.errors import TrainingError
from samlet.training.checkpoint import CHECKPOINT, CONFIG, LOG
from samlet.training.config import TrainConfig
from samlet.training.trainer import Trainer


def trained(folder, **changes):
    trainer = Trainer(Doubling(), config(**changes), folder)
    trainer.run(stream)
    return trainer.stage.state_dict()


def test_a_run_learns_and_leaves_its_folder_in_order(tmp_path):
    seen = []
    trainer = Trainer(Doubling(), config(steps=200, learning_rate=0.05), tmp_path)
    trainer.run(lambda first: stream(first, 200), lambda step, values: seen.append((step, values["loss"])))
    assert [step for step, _ in seen] == list(range(1, 201))
    assert seen[-1][1] < 0.2 * seen[0][1]
    assert {path.name for path in tmp_path.iterdir()} == {CONFIG, CHECKPOINT, LOG}
    rows = [json.loads(line) for line in (tmp_path / LOG).read_text().splitlines()]
    assert rows[-1]["step"] == 200
    assert {"loss", "mse", "grad_norm", "learning_rate", "seconds"} <= set(rows[-1])
    assert not trainer.stage.training


@pytest.mark.parametrize("killed_at", [4, 5, 7, 11])
def test_a_killed_and_resumed_run_gives_the_same_weights_bit_for_bit(tmp_path, killed_at):
    whole = trained(tmp_path / "whole")

    def killed(first):
        for step, batch in enumerate(stream(first), start=first):
            if step == killed_at:
                raise KeyboardInterrupt
            yield batch

    with pytest.raises(KeyboardInterrupt):
        Trainer(Doubling(), config(), tmp_path / "cut").run(killed)
    resumed = Trainer(Doubling(), config(), tmp_path / "cut", resume=True)
    assert resumed.step == killed_at // 4 * 4
    resumed.run(stream)
    assert all(torch.equal(value, whole[name]) for name, value in resumed.stage.state_dict().items())


def test_the_result_is_the_moving_average_not_the_last_weights(tmp_path):
    trainer = Trainer(Doubling(), config(learning_rate=0.05), tmp_path)
    trainer.run(stream)
    last = torch.load(tmp_path / CHECKPOINT, weights_only=True)["stage"]
    assert not torch.equal(trainer.stage.state_dict()["linear.weight"], last["linear.weight"])


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_checkpoint(tmp_path):
    with pytest.raises(TrainingError, match="step 6"):
        Trainer(Doubling(), config(), tmp_path).run(lambda first: stream(first, bad=6))
    assert torch.load(tmp_path / CHECKPOINT, weights_only=True)["step"] == 4


def test_a_folder_with_a_run_is_not_overwritten(tmp_path):
    trained(tmp_path)
    with pytest.raises(TrainingError, match="--resume"):
        Trainer(Doubling(), config(), tmp_path)


def test_a_run_of_another_config_is_not_resumed(tmp_path):
    trained(tmp_path)
    with pytest.raises(TrainingError, match="batch_size 8, not 2"):
        Trainer(Doubling(), config(batch_size=2), tmp_path, resume=True)


def test_a_folder_whose_config_is_damaged_is_named(tmp_path):
    trained(tmp_path)
    (tmp_path / CONFIG).write_text("{")
    with pytest.raises(TrainingError, match=CONFIG):
        Trainer(Doubling(), config(), tmp_path, resume=True)


def test_the_saved_config_is_the_config(tmp_path):
    trained(tmp_path, canvases=((0.5, 128), (1.0, 256)))
    assert TrainConfig.load(tmp_path / CONFIG) == config(canvases=((0.5, 128), (1.0, 256)))

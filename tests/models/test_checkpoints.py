"""Checkpoints load strictly, in every container; what is no checkpoint of the model is refused in one sentence."""

from __future__ import annotations

import os
import pickle
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from tests import filler
from torch import Tensor

from samlet.errors import CheckpointError
from samlet.models import Sam, checkpoints, create, load_checkpoint
from samlet.models.checkpoints import identify, read_state_dict
from samlet.models.creation import skeleton
from samlet.models.edge_sam.spec import OTHER_HEADS
from samlet.models.registry import MODELS
from samlet.nn.fusion import fuse

NAME = "efficientvit-sam-b0"
WEIGHT = "mask_decoder.iou_token.weight"

State = dict[str, Tensor]
SKELETONS = cache(skeleton)


@pytest.fixture(autouse=True)
def skeletons_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Building the whole registry for each checkpoint is what a user waits for once, and these tests many times."""
    monkeypatch.setattr(checkpoints, "skeleton", SKELETONS)


@pytest.fixture(scope="module")
def state() -> State:
    """What a checkpoint of the model holds; not the weights any new model has."""
    return {name: value.clone() for name, value in create(NAME).state_dict().items()}


@pytest.fixture
def model() -> Sam:
    return create(NAME)


def state_of(name: str) -> State:
    """A state dict with the names and shapes of a model, which takes no memory in this process or in a file."""
    return {key: torch.zeros(()).expand(value.shape) for key, value in SKELETONS(name).state_dict().items()}


def saved(content: Any, path: Path) -> Path:
    torch.save(content, path)
    return path


def assert_loaded(model: Sam, state: State) -> None:
    for name, value in model.state_dict().items():
        assert torch.equal(value, state[name]), name


WRAPPERS = {
    "bare": dict,
    "state_dict": lambda s: {"state_dict": s},
    "model": lambda s: {"model": s, "epoch": 3},
    "model_state_dict": lambda s: {"epoch": 3, "model_state_dict": s},
    "DistributedDataParallel": lambda s: {f"module.{name}": value for name, value in s.items()},
    "Lightning": lambda s: {"state_dict": {f"model.{name}": value for name, value in s.items()}},
    "compiled and parallel": lambda s: {f"module._orig_mod.{name}": value for name, value in s.items()},
}


@pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS)
@pytest.mark.parametrize("suffix", [".pt", ".pth"])
def test_wrapped_or_bare(tmp_path: Path, model: Sam, state: State, wrap: Any, suffix: str) -> None:
    load_checkpoint(model, saved(wrap(state), tmp_path / f"weights{suffix}"))
    assert_loaded(model, state)


def test_a_training_checkpoint_of_one_model_inside_another_wrapper(tmp_path: Path, model: Sam, state: State) -> None:
    load_checkpoint(model, saved({"state_dict": {"model": state}}, tmp_path / "weights.pt"))
    assert_loaded(model, state)


def test_the_format_before_zip_files(tmp_path: Path, model: Sam, state: State) -> None:
    path = tmp_path / "weights.pt"
    torch.save(state, path, _use_new_zipfile_serialization=False)
    load_checkpoint(model, path)
    assert_loaded(model, state)


def test_another_pickle_protocol_is_nothing_to_warn_of(tmp_path: Path, model: Sam, state: State) -> None:
    path = tmp_path / "weights.pt"
    torch.save(state, path, pickle_protocol=3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_checkpoint(model, path)


def test_safetensors(tmp_path: Path, model: Sam, state: State) -> None:
    save_file(state, tmp_path / "weights.safetensors")
    load_checkpoint(model, tmp_path / "weights.safetensors")
    assert_loaded(model, state)


def test_half_precision_weights_become_float32(tmp_path: Path, model: Sam, state: State) -> None:
    load_checkpoint(model, saved({name: value.half() for name, value in state.items()}, tmp_path / "half.pt"))
    loaded = model.state_dict()[WEIGHT]
    assert loaded.dtype == torch.float32
    torch.testing.assert_close(loaded, state[WEIGHT], rtol=1e-3, atol=1e-6)


def test_a_checkpoint_of_the_fused_model_fuses_it(tmp_path: Path, model: Sam) -> None:
    fused = filler.fill_(create(NAME))
    fuse(fused)
    load_checkpoint(model, saved(fused.state_dict(), tmp_path / "fused.pt"))
    assert_loaded(model, fused.state_dict())
    load_checkpoint(model, tmp_path / "fused.pt")  # into the fused model as well
    assert_loaded(model, fused.state_dict())


def test_parameters_no_forward_pass_reads_may_be_absent(tmp_path: Path) -> None:
    model = create("mobile-sam")
    full = {name: torch.full_like(value, 2) for name, value in model.state_dict().items()}
    reduced = {name: value for name, value in full.items() if not name.startswith(model.unused)}
    assert len(full) - len(reduced) == 4
    head = model.image_encoder.get_parameter("head.weight").clone()
    load_checkpoint(model, saved(reduced, tmp_path / "reduced.pt"))
    assert torch.equal(model.image_encoder.get_parameter("head.weight"), head)
    assert model.image_encoder.get_parameter("neck.0.weight").eq(2).all()


# Of the many classifiers and segmenters one of each kind.
TOLD = [spec.name for spec in (*MODELS, *OTHER_HEADS) if spec.task == "promptable"]
TOLD += ["efficientvit-l1", "efficientvit-seg-b1-ade20k", "efficientvit-m3", "cascadedvit-m"]


@pytest.mark.parametrize("name", TOLD)
def test_every_model_is_told_by_its_names_and_shapes(name: str) -> None:
    assert identify(state_of(name)) == name


def test_a_model_without_its_unused_parameters_is_still_told() -> None:
    unused = SKELETONS("mobile-sam").unused
    assert identify({k: v for k, v in state_of("mobile-sam").items() if not k.startswith(unused)}) == "mobile-sam"


def test_the_checkpoint_of_another_model_is_named(tmp_path: Path, model: Sam) -> None:
    path = saved(state_of("efficientvit-sam-l1"), tmp_path / "mine.pt")
    before = model.state_dict()[WEIGHT].clone()
    with pytest.raises(CheckpointError, match="another model, efficientvit-sam-l1, not of efficientvit-sam-b0"):
        load_checkpoint(model, path)
    assert torch.equal(model.state_dict()[WEIGHT], before)


def without(state: State, name: str) -> State:
    return {key: value for key, value in state.items() if key != name}


FOREIGN = {
    "a name too few": (lambda s: without(s, WEIGHT), r"1 names are missing \(mask_decoder.iou_token.weight\)"),
    "a name too many": (lambda s: s | {"extra.bias": torch.zeros(1)}, r"1 names are unknown \(extra.bias\)"),
    "another shape": (lambda s: s | {WEIGHT: torch.zeros(1, 8)}, r"iou_token.weight is \(1, 8\) instead of \(1, 256\)"),
    "nothing in common": (lambda s: {f"layer{i}": torch.zeros(1) for i in range(5)}, r"names are unknown .*, …\)"),
}


@pytest.mark.parametrize("case", FOREIGN)
def test_a_checkpoint_of_no_known_model(tmp_path: Path, model: Sam, state: State, case: str) -> None:
    change, reason = FOREIGN[case]
    with pytest.raises(CheckpointError, match=f"of no model that samlet knows, .* included: .*{reason}"):
        load_checkpoint(model, saved(change(state), tmp_path / "foreign.pt"))


class Hostile:
    """Its pickle writes a file when it is loaded by an unrestricted unpickler."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.trace),)


@pytest.mark.parametrize("suffix", [".pt", ".safetensors", ".bin"])
@pytest.mark.parametrize("container", ["pickle", "zip", "legacy"])
def test_a_hostile_pickle_is_never_executed(tmp_path: Path, suffix: str, container: str) -> None:
    trace, path = tmp_path / "trace", tmp_path / f"hostile{suffix}"
    content = {"state_dict": {WEIGHT: torch.zeros(1)}, "epoch": Hostile(trace)}
    if container == "pickle":
        path.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=container == "zip")
    with pytest.raises(CheckpointError, match="samlet never runs"):
        read_state_dict(path)
    assert not trace.exists()


def test_the_hostile_pickle_would_act_if_it_were_trusted(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Hostile(tmp_path / "trace")))  # noqa: S301  proves that the test above can fail
    assert (tmp_path / "trace").exists()


@pytest.mark.parametrize("keep", [0, 1, 100, 5000, -1])
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_a_truncated_file(tmp_path: Path, suffix: str, keep: int) -> None:
    whole, cut = tmp_path / f"whole{suffix}", tmp_path / f"cut{suffix}"
    tensors = {WEIGHT: torch.zeros(64, 256)}
    save_file(tensors, whole) if suffix == ".safetensors" else torch.save(tensors, whole)
    cut.write_bytes(whole.read_bytes()[:keep])
    with pytest.raises(CheckpointError, match="damaged"):
        read_state_dict(cut)


def test_a_picture_is_no_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "photo.pt").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    with pytest.raises(CheckpointError, match="not a checkpoint"):
        read_state_dict(tmp_path / "photo.pt")


@pytest.mark.parametrize(
    "content",
    [{}, [], torch.zeros(2), {"epoch": 3}, {1: torch.zeros(1)}, {"a": torch.zeros(1), "b": "text"}],
    ids=["empty", "list", "tensor", "no tensors", "numbered", "mixed"],
)
def test_a_file_without_a_state_dict(tmp_path: Path, content: Any) -> None:
    with pytest.raises(CheckpointError, match="no state dict"):
        read_state_dict(saved(content, tmp_path / "other.pt"))


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no checkpoint at .*absent\.pt: check the path"):
        read_state_dict(tmp_path / "absent.pt")
    with pytest.raises(CheckpointError, match="is a folder, not a checkpoint"):
        read_state_dict(tmp_path)


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(torch, "load", refuse)
    with pytest.raises(CheckpointError, match="no permission"):
        read_state_dict(saved({}, tmp_path / "closed.pt"))


def test_what_a_training_run_goes_on_with_names_the_model_beside_it(tmp_path: Path) -> None:
    kept = {"step": 3, "stage": {}, "ema": {}, "optimizer": {}, "scaler": {}, "best": None}
    with pytest.raises(CheckpointError, match=r"goes on, not a model: give .*student\.safetensors"):
        read_state_dict(saved(kept, tmp_path / "checkpoint.pt"))


def test_names_of_transformers_are_told_where_the_weights_are_of_no_known_model(tmp_path: Path, model: Sam) -> None:
    theirs = {"vision_encoder.pos_embed": torch.zeros(1, 2, 2, 8), "mask_decoder.iou_token.weight": torch.zeros(1, 256)}
    with pytest.raises(CheckpointError, match="names of transformers' SamModel"):
        load_checkpoint(model, saved(theirs, tmp_path / "theirs.pt"))

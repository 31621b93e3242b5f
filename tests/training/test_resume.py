"""A run that is killed and resumed is the run left alone, with networks as they are: from the very first moment."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.training.small_sam import small_sam
from tests.training.toy_stage import config

from samlet.models import create
from samlet.training.batches.sources import open_source
from samlet.training.config import DistillEncoderConfig
from samlet.training.loop.checkpoint import CHECKPOINT
from samlet.training.runs import Run, TeacherFile, train
from samlet.training.stages import students

ROOT = Path(__file__).parents[2]
TINY = ROOT / "tests" / "fixtures" / "tiny"
NAME = "efficientvit-sam-b0"

PROGRAM = f"""
import os, signal, sys
from pathlib import Path
from samlet.training.batches.sources import open_source
from samlet.training.config import DistillEncoderConfig
from samlet.training.runs import Run, TeacherFile, train

folder, photos, weights, moment, number = *map(Path, sys.argv[1:4]), sys.argv[4], int(sys.argv[5])

def kill(what):
    def at(done, _):
        if moment == what and done == number:
            os.kill(os.getpid(), signal.SIGKILL)
    return at

config = DistillEncoderConfig(
    student="{NAME}", steps=6, batch_size=2, warmup_steps=2, checkpoint_every=3, canvases=((1.0, 64),), views=2
)
run = Run(folder, folder.exists(), prepared=kill("caching"), progress=kill("step"))
train(config, run, data=open_source([photos]), teacher=TeacherFile("{NAME}", weights))
"""


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    for name in ("tiny_camera", "tiny_coins", "tiny_cat", "tiny_rocket"):
        shutil.copy(TINY / f"{name}.jpg", folder)
    return folder


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Of a real teacher, untrained."""
    path = tmp_path_factory.mktemp("teacher") / "teacher.safetensors"
    torch.manual_seed(5)
    save_file(create(NAME).state_dict(), path)
    return path


def run(folder, photos, weights, moment="never", number=0):
    """Train in a process of its own, which kills itself at a moment; the folder is resumed if it is there."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), *sys.path])}
    arguments = [folder, photos, weights, moment, number]
    return subprocess.run([sys.executable, "-c", PROGRAM, *map(str, arguments)], env=environment, check=False)


@pytest.fixture(scope="module")
def whole(tmp_path_factory, photos, weights):
    folder = tmp_path_factory.mktemp("runs") / "whole"
    assert run(folder, photos, weights).returncode == 0
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    ("moment", "number", "checkpointed"),
    [("caching", 3, False), ("step", 2, False), ("step", 4, True)],
    ids=["while-caching", "before-a-checkpoint", "after-a-checkpoint"],
)
def test_a_real_student_killed_and_resumed_is_the_one_left_alone(
    tmp_path, photos, weights, whole, moment, number, checkpointed
):
    cut = tmp_path / "cut"
    assert run(cut, photos, weights, moment, number).returncode == -9
    assert (cut / CHECKPOINT).exists() == checkpointed
    assert run(cut, photos, weights).returncode == 0
    wanted, found = (load_file(folder / "student.safetensors") for folder in (whole, cut))
    assert all(torch.equal(value, found[name]) for name, value in wanted.items())


def test_a_run_that_ends_while_its_teacher_works_is_resumed_exactly(tmp_path, photos, monkeypatch):
    monkeypatch.setattr(students, "create", lambda *_: small_sam())
    monkeypatch.setattr(students, "promptable", lambda name: name)
    save_file(small_sam(3).state_dict(), tmp_path / "teacher.safetensors")
    settings = config(DistillEncoderConfig, steps=4, batch_size=2, canvases=((1.0, 64),), views=2)

    def student(name, resume=False, prepared=None):
        teacher = TeacherFile(NAME, tmp_path / "teacher.safetensors")
        run = Run(tmp_path / name, resume, prepared=prepared)
        return load_file(train(settings, run, data=open_source([photos]), teacher=teacher))

    def stop(done, _):
        if done == 2:
            raise ZeroDivisionError

    whole = student("whole")
    with pytest.raises(ZeroDivisionError):
        student("cut", prepared=stop)
    cut = student("cut", resume=True)
    assert all(torch.equal(value, cut[name]) for name, value in whole.items())

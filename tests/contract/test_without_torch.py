"""samlet works where torch is not installed: each program below runs in a process that cannot import it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from samlet.models.registry import DEFAULT_MODEL, shipped_folder

BLOCK_TORCH = """
import sys

class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "torchvision", "safetensors"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Block())
"""

IMPORT_EVERYTHING = """
import pkgutil
from importlib import import_module
from importlib.util import find_spec

import samlet

TORCH = ("samlet.nn", "samlet.training", "samlet.export", "samlet.runtime.torch", "samlet.benchmarking.reference")
SPECS = (".registry", ".own", ".spec")
PROGRAMS = ("samlet.__main__",)
OPTIONAL = ("samlet.integrations.fiftyone", *(() if find_spec("fastapi") else ("samlet.web",)))

def torch_free(path, prefix):
    for module in pkgutil.iter_modules(path, prefix):
        if module.name.startswith((*TORCH, *OPTIONAL)) or module.name in PROGRAMS:
            continue
        if module.name.startswith("samlet.models.") and not (module.ispkg or module.name.endswith(SPECS)):
            continue
        yield module.name
        if module.ispkg:
            yield from torch_free(import_module(module.name).__path__, module.name + ".")

names = list(torch_free(samlet.__path__, "samlet."))
for name in names:
    import_module(name)
print(*names)
"""

SEGMENT = """
import numpy as np
import samlet

image = np.full((120, 160, 3), 40, np.uint8)
image[30:90, 50:110] = 220
model = samlet.load()
masks = model.predict(model.embed(image), samlet.Prompts.points([[80, 60]]))
print(masks[0].area_px)
"""


def run_without_torch(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", BLOCK_TORCH + program], capture_output=True, text=True, check=False)


def test_the_block_blocks():
    result = run_without_torch("import torch")
    assert "No module named 'torch'" in result.stderr


def test_every_torch_free_module_imports():
    result = run_without_torch(IMPORT_EVERYTHING)
    assert result.returncode == 0, result.stderr
    assert {"samlet.predictor", "samlet.sam_api.predictor", "samlet.hub.weights"} <= set(result.stdout.split())


@pytest.mark.parametrize(
    "program",
    [
        "import samlet; samlet.models.create",
        "from samlet.models import load_checkpoint",
        "import samlet; samlet.load('mobile-sam', checkpoint='mobile_sam.pt')",
        "from samlet.sam_api import sam_model_registry; sam_model_registry['vit_b']()",
        "from samlet.sam_api import SamPredictor; SamPredictor(object())",
    ],
)
def test_what_needs_torch_says_how_to_get_it(program):
    result = run_without_torch(program)
    assert result.stderr.strip().splitlines()[-1].startswith("samlet.errors.MissingExtraError: ")
    assert 'pip install "samlet[torch]"' in result.stderr


def test_the_default_model_segments_a_picture():
    if shipped_folder(DEFAULT_MODEL) is None:
        pytest.skip(f"this checkout ships no {DEFAULT_MODEL} yet (src/samlet/models/shipped)")
    result = run_without_torch(SEGMENT)
    assert result.returncode == 0, result.stderr
    assert int(result.stdout) > 0

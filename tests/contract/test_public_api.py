"""The public names are a promise: taking one away, or making `import samlet` heavy, is a decision, not an accident."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec

import pytest

import samlet

PUBLIC = [
    "Backend",
    "Embedding",
    "ImageSpec",
    "Mask",
    "MaskGenerator",
    "MaskLogits",
    "MaskSet",
    "ModelSpec",
    "PointLabel",
    "Predictor",
    "Prompts",
    "SamletError",
    "__version__",
    "errors",
    "load",
    "models",
    "sam_api",
]
SAM_API = [
    "ResizeLongestSide",
    "SamAutomaticMaskGenerator",
    "SamPredictor",
    "create_efficientvit_sam_model",
    "sam_model_registry",
]


def test_the_public_names_are_these():
    assert samlet.__all__ == PUBLIC
    assert samlet.sam_api.__all__ == SAM_API


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_resolves(name):
    if name == "models" and find_spec("torch") is None:
        pytest.skip("samlet.models needs torch; tests/contract/test_without_torch.py says what happens then")
    assert getattr(samlet, name) is not None
    assert name in dir(samlet)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'samlet' has no attribute 'segment'"):
        samlet.segment  # noqa: B018 - the access is the test


def test_importing_samlet_loads_nothing_heavy():
    program = "import sys, samlet; print(*{'torch', 'onnxruntime', 'cv2', 'numpy', 'PIL'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == ""

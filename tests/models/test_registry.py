from __future__ import annotations

import re
from pathlib import Path

import pytest

from samlet.errors import UnknownModelError
from samlet.models import registry
from samlet.models.registry import DEFAULT_MODEL, MODELS, get_spec, shipped_folder
from samlet.spec import ModelSpec

MODELS_FOLDER = Path(registry.__file__).parent


def test_the_default_is_in_the_registry():
    assert get_spec(DEFAULT_MODEL) in MODELS


def test_no_name_means_two_models():
    for spec in MODELS:
        assert all(get_spec(name) is spec for name in (spec.name, *spec.aliases))


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("vit_h", "sam-vit-h"),
        ("vit_l", "sam-vit-l"),
        ("vit_b", "sam-vit-b"),
        ("vit_t", "mobile-sam"),
        ("edge_sam", "edge-sam"),
        ("repvit", "repvit-sam"),
        ("mobile_sam", "mobile-sam"),
        ("efficientvit_sam_xl1", "efficientvit-sam-xl1"),
        ("EfficientViT-SAM-L0", "efficientvit-sam-l0"),
        (" sam_vit_b ", "sam-vit-b"),
    ],
)
def test_names_that_users_type(typed, name):
    assert get_spec(typed).name == name


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        ("mobilsam", "mobile-sam"),
        ("efficientvit-sam-l3", "efficientvit-sam-l0"),
        ("zebra", "`samlet models`"),
        ("", ""),
    ],
)
def test_an_unknown_name_is_answered_with_close_ones(typed, hint):
    with pytest.raises(UnknownModelError, match=f'^There is no model "{typed}": .*{hint}'):
        get_spec(typed)


def test_a_name_of_timm_is_a_spec_that_travels_as_json():
    spec = get_spec(" timm:mobilenetv3_small_050.lamb_in1k ")
    assert (spec.name, spec.options) == ("timm:mobilenetv3_small_050.lamb_in1k", {"backbone": spec.name[5:]})
    assert (spec.image.canvas, spec.builder) == (512, "samlet.models.timm_student.network:build")
    assert ModelSpec.from_json(spec.to_json()) == spec


@pytest.mark.parametrize("typed", ["timm:", "timm:hf-hub:someone/model", "timm:local-dir:folder", "timm:a/b"])
def test_timm_is_never_asked_to_fetch_a_model(typed):
    with pytest.raises(UnknownModelError, match=f'^There is no model "{typed}": give a name of timm'):
        get_spec(typed)


def test_a_spec_of_your_own_is_found_by_its_import_string(tmp_path, monkeypatch):
    (tmp_path / "own_net.py").write_text("from samlet.models.registry import MODELS\nSPEC, OTHER = MODELS[0], 3\n")
    (tmp_path / "broken_net.py").write_text("import a_module_that_is_not_here\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert get_spec("own_net:SPEC") is MODELS[0]
    for typed, sentence in [
        ("own_net:OTHER", "own_net has no ModelSpec of the name OTHER."),
        ("own_net:NOTHING", "own_net has no ModelSpec of the name NOTHING."),
        ("no_net:SPEC", "Python finds no module no_net, is its folder on PYTHONPATH?"),
        ("no_net.deeper:SPEC", "Python finds no module no_net.deeper, is its folder on PYTHONPATH?"),
    ]:
        with pytest.raises(UnknownModelError) as refused:
            get_spec(typed)
        assert str(refused.value) == f'There is no model "{typed}": {sentence}'
    with pytest.raises(ModuleNotFoundError, match="a_module_that_is_not_here"):
        get_spec("broken_net:SPEC")


@pytest.mark.parametrize("spec", MODELS, ids=lambda spec: spec.name)
def test_a_spec_is_sound(spec):
    room = spec.builder.removeprefix("samlet.models.").partition(".")[0]
    assert (MODELS_FOLDER / room / "spec.py").is_file(), "a builder lies in the room of its spec"
    assert re.fullmatch(r"samlet\.models\.\w+\.\w+:build", spec.builder)
    assert spec.image.canvas % 32 == 0
    assert (spec.classes is None) == (spec.task == "promptable")
    if spec.classes is not None:
        assert spec.options["classes"] == len(spec.classes)
    if spec.checkpoint is not None:
        assert spec.checkpoint.license == spec.license
        assert spec.checkpoint.sha256 is None or re.fullmatch("[0-9a-f]{64}", spec.checkpoint.sha256)
        assert spec.checkpoint.urls
        assert all(
            url.startswith("https://") and url.endswith(spec.checkpoint.file_name) for url in spec.checkpoint.urls
        )


FACTS = {  # canvas, license, whether there is an official file and a hash of it
    **{f"efficientvit-sam-{b}": (s, "Apache-2.0", False, False) for b, s in (("b0", 768), ("b1", 512))},
    **{f"efficientvit-sam-{b}": (512, "Apache-2.0", True, True) for b in ("l0", "l1", "l2")},
    **{f"efficientvit-sam-{b}": (1024, "Apache-2.0", True, True) for b in ("xl0", "xl1")},
    "edge-sam": (1024, "S-Lab-1.0 (non-commercial)", True, True),
    "edge-sam-rpn": (1024, "S-Lab-1.0 (non-commercial)", False, False),  # its proposals were never published
    "mobile-sam": (1024, "Apache-2.0", True, True),
    "repvit-sam": (1024, "Apache-2.0", True, False),  # its publisher states no hash
    **{f"sam-vit-{size}": (1024, "Apache-2.0", True, True) for size in "blh"},
}


@pytest.mark.parametrize("name", FACTS)
def test_facts_of_the_sam_line(name):
    spec = get_spec(name)
    file = spec.checkpoint
    facts = (spec.image.canvas, spec.license, file is not None, file is not None and file.sha256 is not None)
    assert facts == FACTS[name]
    assert (spec.image.prompt_canvas, spec.mask_tokens) == (1024, 4)


def test_a_model_is_shipped_if_its_manifest_is_here(tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "__file__", str(tmp_path / "__init__.py"))
    folder = tmp_path / "shipped" / "mobile-sam"
    folder.mkdir(parents=True)
    assert shipped_folder("mobile-sam") is None
    (folder / "manifest.json").write_text("{}")
    assert shipped_folder("mobile-sam") == folder

from __future__ import annotations

import re

import pytest

from samlet.errors import UnknownModelError
from samlet.models import registry
from samlet.models.registry import DEFAULT_MODEL, MODELS, get_spec, shipped_folder
from samlet.spec import ModelSpec

NAMES = [
    *(f"efficientvit-sam-{backbone}" for backbone in ("b0", "b1", "l0", "l1", "l2", "xl0", "xl1")),
    "edge-sam",
    "edge-sam-rpn",
    "mobile-sam",
    "repvit-sam",
    *(f"sam-vit-{size}" for size in "blh"),
]
NOT_FREE = {"edge-sam", "edge-sam-rpn"}  # for commercial use
WITHOUT_HASH = {"repvit-sam"}  # its publisher states none


def test_the_zoo_is_complete():
    assert [spec.name for spec in MODELS] == NAMES
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
    smaller = {"efficientvit-sam-b0": 768, "efficientvit-sam-b1": 512} | {
        f"efficientvit-sam-l{i}": 512 for i in (0, 1, 2)
    }
    assert spec.image.canvas == smaller.get(spec.name, 1024)
    assert spec.image.prompt_canvas == 1024
    assert re.fullmatch(r"samlet\.models\.\w+\.\w+:build", spec.builder)
    assert spec.mask_tokens == 4
    assert spec.license == ("S-Lab-1.0 (non-commercial)" if spec.name in NOT_FREE else "Apache-2.0")
    if spec.checkpoint is not None:
        assert spec.checkpoint.license == spec.license
        assert spec.name in WITHOUT_HASH or re.fullmatch("[0-9a-f]{64}", spec.checkpoint.sha256)
        assert spec.checkpoint.urls
        assert all(
            url.startswith("https://") and url.endswith(spec.checkpoint.file_name) for url in spec.checkpoint.urls
        )


def test_only_samlets_own_models_have_no_official_file():
    own = ["efficientvit-sam-b0", "efficientvit-sam-b1", "edge-sam-rpn"]  # EdgeSAM's proposals were never published
    assert [spec.name for spec in MODELS if spec.checkpoint is None] == own


def test_a_model_is_shipped_if_its_manifest_is_here(tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "__file__", str(tmp_path / "__init__.py"))
    folder = tmp_path / "shipped" / "mobile-sam"
    folder.mkdir(parents=True)
    assert shipped_folder("mobile-sam") is None
    (folder / "manifest.json").write_text("{}")
    assert shipped_folder("mobile-sam") == folder

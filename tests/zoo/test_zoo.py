from __future__ import annotations

import re

import pytest

from samlet import zoo
from samlet.errors import UnknownModelError
from samlet.zoo import DEFAULT_MODEL, MODELS, get_spec, shipped_folder

NAMES = [
    *(f"efficientvit-sam-{backbone}" for backbone in ("b0", "b1", "l0", "l1", "l2", "xl0", "xl1")),
    "edge-sam",
    "mobile-sam",
    "repvit-sam",
    *(f"sam-vit-{size}" for size in "blh"),
]
NOT_FREE = {"edge-sam"}  # for commercial use
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


@pytest.mark.parametrize("spec", MODELS, ids=lambda spec: spec.name)
def test_a_spec_is_sound(spec):
    assert spec.image.canvas == (512 if re.search("-(l[012]|b[01])$", spec.name) and "vit-sam" in spec.name else 1024)
    assert spec.image.prompt_canvas == 1024
    assert re.fullmatch(r"samlet\.models\.\w+:build", spec.builder)
    assert spec.mask_tokens == 4
    assert spec.licence == ("S-Lab-1.0 (non-commercial)" if spec.name in NOT_FREE else "Apache-2.0")
    if spec.checkpoint is not None:
        assert spec.checkpoint.licence == spec.licence
        assert spec.name in WITHOUT_HASH or re.fullmatch("[0-9a-f]{64}", spec.checkpoint.sha256)
        assert spec.checkpoint.urls
        assert all(
            url.startswith("https://") and url.endswith(spec.checkpoint.file_name) for url in spec.checkpoint.urls
        )


def test_only_samlets_own_models_have_no_official_file():
    assert [spec.name for spec in MODELS if spec.checkpoint is None] == ["efficientvit-sam-b0", "efficientvit-sam-b1"]


def test_a_model_is_shipped_if_its_manifest_is_here(tmp_path, monkeypatch):
    monkeypatch.setattr(zoo, "__file__", str(tmp_path / "__init__.py"))
    folder = tmp_path / "shipped" / "mobile-sam"
    folder.mkdir(parents=True)
    assert shipped_folder("mobile-sam") is None
    (folder / "manifest.json").write_text("{}")
    assert shipped_folder("mobile-sam") == folder

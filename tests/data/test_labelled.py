"""What a project exports is read again: by pycocotools, by labelme's own reader where it is, by our readers always."""

import contextlib
import io
import json

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO
from tests.data.test_writing import SIZE_HW, arrays, iou

from samlet.data import open_data
from samlet.data.cutouts import cutout_png
from samlet.data.labelled import LABELLED_FORMATS, LabelledImage, files_of
from samlet.errors import DataError, InputError
from samlet.geometry import rle
from samlet.masks import Mask, MaskSet

PHOTO = np.random.default_rng(0).integers(0, 255, (*SIZE_HW, 3)).astype(np.uint8)
LABELS = ("cat", "dog", "cat")


def image(name="one.jpg", labels=LABELS, masks=None):
    masks = [rle.encode(array) for array in arrays()] if masks is None else masks
    return LabelledImage(name, MaskSet([Mask(code) for code in masks], SIZE_HW), labels, lambda: PHOTO)


def exported(folder, formats, images=None, labels=("dog",)):
    for name, content in files_of([image()] if images is None else images, formats, labels):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else b"".join(content))
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def opened(path):
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(path)


@pytest.mark.parametrize(("form", "least"), [("coco", 1.0), ("coco-polygons", 0.9)])
def test_pycocotools_reads_coco_with_its_classes_and_holes(form, least, tmp_path):
    (file,) = exported(tmp_path, [form], [image(), image("sub/two.png", ("bird", "dog", "cat"))])
    coco = opened(tmp_path / file)
    assert [coco.imgs[number]["file_name"] for number in coco.getImgIds()] == ["one.jpg", "sub/two.png"]
    assert coco.loadCats(coco.getCatIds()) == [
        {"id": 1, "name": "dog"},
        {"id": 2, "name": "cat"},
        {"id": 3, "name": "bird"},
    ]
    annotations = coco.loadAnns(coco.getAnnIds(1))
    assert [annotation["category_id"] for annotation in annotations[:2]] == [2, 1]
    for annotation, array in list(zip(annotations, arrays(), strict=False))[:2]:
        assert iou(rle.decode(rle.from_json(coco.annToRLE(annotation))), array) >= least


def test_our_reader_takes_every_coco_file(tmp_path):
    Image.fromarray(PHOTO).save(tmp_path / "one.jpg")
    (file,) = [name for name in exported(tmp_path, ["coco"]) if name.endswith("json")]
    (sample,) = open_data([tmp_path / file], tmp_path).samples
    assert [annotation.category for annotation in sample.annotations] == list(LABELS)
    assert [annotation.rle for annotation in sample.annotations] == [mask.rle for mask in image().masks]


def test_labelme_files_lie_beside_their_photo(tmp_path):
    assert exported(tmp_path, ["labelme"]) == ["labelme/one.json"]
    Image.fromarray(PHOTO).save(tmp_path / "labelme/one.jpg")
    (sample,) = open_data([tmp_path / "labelme"]).samples
    assert [annotation.category for annotation in sample.annotations] == list(LABELS)
    for annotation, array in zip(sample.annotations, arrays(), strict=True):
        assert iou(annotation.to_array(), array) > 0.9


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # labelme leaves the photo open
def test_labelme_itself_opens_the_file(tmp_path):
    try:
        from labelme._label_file import LabelFile
    except ImportError as error:
        pytest.skip(f"labelme is not installed here: {error}")
    exported(tmp_path, ["labelme"])
    Image.fromarray(PHOTO).save(tmp_path / "labelme/one.jpg")
    assert {shape["label"] for shape in LabelFile(str(tmp_path / "labelme/one.json")).shapes} == set(LABELS)


def test_yolo_has_numbers_of_classes_and_their_names(tmp_path):
    assert exported(tmp_path, ["yolo"], labels=["dog", 'a "quoted" one']) == ["yolo/data.yaml", "yolo/labels/one.txt"]
    lines = (tmp_path / "yolo/labels/one.txt").read_text().splitlines()
    assert [line.split()[0] for line in lines] == ["2", "0", "2"]
    described = (tmp_path / "yolo/data.yaml").read_text()
    assert described.endswith('names:\n  0: "dog"\n  1: "a \\"quoted\\" one"\n  2: "cat"\n')


def test_a_label_map_gives_each_pixel_to_the_uppermost_mask(tmp_path):
    lower, upper = np.zeros(SIZE_HW, bool), np.zeros(SIZE_HW, bool)
    lower[10:40, 10:40], upper[20:60, 20:60] = True, True
    exported(tmp_path, ["label-map"], [image(labels=("cat", "dog"), masks=[rle.encode(upper), rle.encode(lower)])])
    classes = np.array(Image.open(tmp_path / "label-map/classes/one.png"))
    objects = np.array(Image.open(tmp_path / "label-map/objects/one.png"))
    assert json.loads((tmp_path / "label-map/classes.json").read_text()) == {"1": "dog", "2": "cat"}
    assert (classes == np.where(upper, 2, np.where(lower, 1, 0))).all()
    assert (objects == np.where(upper, 1, np.where(lower, 2, 0))).all()


def test_masks_and_cutouts_are_a_picture_for_each_object(tmp_path):
    names = ["001_cat.png", "002_a_b.png", "003_object.png"]
    given = [image(labels=("cat", "a/ b", "..")), image("empty.png", (), [])]
    files = exported(tmp_path, ["masks", "cutouts"], given)
    assert files == [f"{folder}/one/{name}" for folder in ("cutouts", "masks") for name in names]
    for name, array in zip(names, arrays(), strict=True):
        assert (np.array(Image.open(tmp_path / "masks/one" / name)) == array * 255).all()
        cutout = np.array(Image.open(tmp_path / "cutouts/one" / name))
        rows, columns = np.nonzero(array)
        window = np.s_[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        assert (cutout[..., 3] == array[window] * 255).all()
        assert (cutout[..., :3] == PHOTO[window]).all()


def test_a_cutout_needs_a_mask_of_the_photo():
    with pytest.raises(DataError, match="empty"):
        cutout_png(PHOTO, rle.encode(np.zeros(SIZE_HW, bool)))
    with pytest.raises(DataError, match="does not fit"):
        cutout_png(PHOTO, rle.encode(np.ones((3, 4), bool)))


def test_every_format_is_written_for_an_image_without_masks(tmp_path):
    assert exported(tmp_path, LABELLED_FORMATS, [image(masks=[], labels=())], []) == [
        "annotations.coco.json",
        "annotations.polygons.coco.json",
        "geojson/one.geojson",
        "label-map/classes.json",
        "label-map/classes/one.png",
        "label-map/objects/one.png",
        "labelme/one.json",
        "sa1b/one.json",
        "yolo/data.yaml",
        "yolo/labels/one.txt",
    ]


def test_names_must_fit_masks_and_formats_must_be_known():
    with pytest.raises(InputError, match="3 masks but 1 names"):
        image(labels=("cat",))
    with pytest.raises(InputError, match="'pdf' is no format"):
        list(files_of([], ["pdf"], []))

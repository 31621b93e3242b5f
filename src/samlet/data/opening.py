"""Opens whatever holds images and masks: a folder, a COCO, LVIS or labelme file, a tar shard, a folder of shards."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from samlet.data import coco, labelme, lvis
from samlet.data.broken import Broken
from samlet.data.fields import load_json
from samlet.data.image_folder import IMAGE_SUFFIXES, read_folder
from samlet.data.sample import Opened, tell_apart
from samlet.data.shards import read_shard
from samlet.errors import DataError, InputError
from samlet.reading import is_folder, is_missing, list_folder

_NAMED = 3  # of the missing files


def open_data(
    paths: Sequence[str | Path],
    images: str | Path | None = None,
    allow_missing: int = 0,
    broken: Broken | None = None,
    tell: Callable[[str], None] | None = None,
) -> Opened:
    """The samples of all paths in order, and the names of the image files that are missing.

    A path is a folder of images with annotations beside them (`samlet.data.image_folder` says which), a COCO or LVIS
    annotation file whose images lie in the folder `images`, a labelme file, an SA-1B shard (.tar) or a folder of
    shards. Masks are read and checked, pixels are not. What cannot be read of a folder's images and records or of a
    file's annotations is `broken` (None: that is an error). `tell` hears what was found otherwise than the data says.
    Equal names are told apart.
    Raises DataError for what cannot be read, and if more than `allow_missing` images are missing.
    """
    if allow_missing < 0:
        raise InputError(f"--allow-missing is {allow_missing}; it must be 0 or more.")
    if images is not None and not any(_is_annotation_file(Path(path)) for path in paths):
        raise InputError("--images belongs to a COCO or LVIS .json in --data; folders and shards hold their images.")
    folder = None if images is None else Path(images)
    opened = _together(_open(Path(path), folder, broken, tell or _say_nothing) for path in paths)
    check_missing(opened.missing, len(opened.samples), allow_missing)
    return Opened(tell_apart(opened.samples), opened.missing)


def _say_nothing(_: str) -> None:
    """Where nobody listens."""


def _open(path: Path, images: Path | None, broken: Broken | None, tell: Callable[[str], None]) -> Opened:
    if is_missing(path):
        raise DataError(f"{path} does not exist; give a folder, a COCO or LVIS .json, or an SA-1B .tar.")
    shards = shards_in(path)
    if shards:
        return _together(map(read_shard, shards))
    if is_folder(path):
        return read_folder(path, broken)
    if _is_annotation_file(path):
        return _open_annotations(path, images, broken, tell)
    raise DataError(f"{path} is neither a folder, nor a COCO or LVIS .json, nor an SA-1B .tar.")


def _is_annotation_file(path: Path) -> bool:
    return path.suffix.lower() == ".json"


def shards_in(path: Path) -> list[Path]:
    """The shards that a path means: itself, or all of a folder that holds shards and no images; else none."""
    if is_missing(path):
        return []
    if not is_folder(path):
        return [path] if path.suffix.lower() == ".tar" else []
    files = list_folder(path)
    shards = [file for file in files if file.suffix.lower() == ".tar"]
    return [] if any(file.suffix.lower() in IMAGE_SUFFIXES for file in files) else shards


def check_missing(missing: Sequence[str], found: int, allowed: int) -> None:
    """DataError if more than `allowed` images are missing."""
    if len(missing) <= allowed:
        return
    named = ", ".join(missing[:_NAMED]) + (", …" if len(missing) > _NAMED else "")
    raise DataError(
        f"{len(missing)} of {len(missing) + found} images are missing: {named}; "
        f"bring them, or go on without them with --allow-missing {len(missing)}."
    )


def _open_annotations(path: Path, images: Path | None, broken: Broken | None, tell: Callable[[str], None]) -> Opened:
    content = load_json(path, coco.pack_polygons)
    if labelme.is_labelme(content):
        return labelme.read_beside(content, path)
    if isinstance(content, dict) and "image" in content:
        raise DataError(f"{path} is the SA-1B record of one image; give the folder it lies in.")
    if isinstance(content, list):
        raise DataError(f"{path} is a list, as detectors write it: give it to --detections, and annotations to --data.")
    if images is None:
        raise DataError(f"{path} only lists images; say with --images in which folder they lie.")
    if is_missing(images) or not is_folder(images):
        raise DataError(f"{images} is not a folder; --images is the folder of the images that {path} lists.")
    place_of = lvis.place_of if lvis.is_lvis(content) else coco.place_of
    opened = coco.read_samples(content, path, images, place_of, tell, broken)
    if not opened.samples and not opened.missing:
        raise DataError(f"No image of {path} can be used; the last: {'' if broken is None else broken.last}")
    if not opened.samples:
        raise DataError(
            f"None of the {len(opened.missing)} images of {path} lies in {images}, not even {opened.missing[0]}; "
            "is it the right folder?"
        )
    return opened


def _together(parts: Iterable[Opened]) -> Opened:
    together = Opened([], [])
    for samples, missing in parts:
        together.samples.extend(samples)
        together.missing.extend(missing)
    return together

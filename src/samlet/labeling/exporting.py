"""Results of a finished job as files of other programs: COCO, labelme, YOLO, PNG and what else the library writes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from samlet.data.labelled import LabelledImage, files_of
from samlet.data.matching import parts_of
from samlet.errors import InputError, OutputError
from samlet.files import aside_path, forget, make_folder, output_error
from samlet.labeling.finished import finished_job, read_results
from samlet.labeling.listing import image_ids
from samlet.labeling.places import Place
from samlet.masks.mask_set import OBJECT

FORMATS = ("coco", "coco-polygons", "labelme", "yolo", "masks", "label-map", "geojson", "sa1b")
"""Those of `data/labelled.py` that need no photos."""


def export_results(
    place: Place, folder: Path, formats: Sequence[str], on_image: Callable[[int, int], None] | None = None
) -> int:
    """Write the masks of a finished job into a new folder, whole or not at all; the number of images.

    Masks that nobody named are of the class "object". `on_image` hears how many images of how many are done.
    InputError for a job that is not finished and for unknown formats; OutputError for a folder that is not empty.
    """
    unknown = next((form for form in formats if form not in FORMATS), None if formats else "nothing")
    if unknown is not None:
        raise InputError(f"{unknown} cannot be exported; there are {', '.join(FORMATS)}.")
    job = finished_job(place)
    _check_empty(folder)
    make_folder(folder.absolute().parent)
    aside, count = aside_path(folder), 0

    def images() -> Iterator[LabelledImage]:
        nonlocal count
        names = names_of(image_ids(place))
        for image in read_results(place, job):
            yield LabelledImage(
                names[image.image_id], image.masks, tuple(label or OBJECT for label in image.labels), _no_photo
            )
            count += 1
            if on_image is not None:
                on_image(count, job.images)

    try:
        for name, content in files_of(images(), formats, ()):
            path = aside / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                file.writelines([content] if isinstance(content, bytes) else content)
        aside.mkdir(exist_ok=True)
        _check_empty(folder)
        if folder.exists():
            folder.rmdir()
        aside.rename(folder)
    except OSError as error:
        raise output_error(folder, error) from error
    finally:
        forget(aside)
    return count


def names_of(ids: Sequence[str]) -> dict[str, str]:
    """What the files of each image are called: by its id, as a path without a root, no two alike but for a suffix."""
    plain = {image_id: "/".join(parts_of(image_id.partition("://")[2] or image_id)) or "image" for image_id in ids}
    shared = Counter(str(PurePosixPath(name).with_suffix("")) for name in plain.values())
    taken: Counter[str] = Counter()
    names = {}
    for image_id, name in plain.items():
        stem, suffix = str(PurePosixPath(name).with_suffix("")), PurePosixPath(name).suffix
        taken[stem] += 1
        names[image_id] = f"{stem}_{suffix[1:]}_{taken[stem]}{suffix}" if shared[stem] > 1 else name
    return names


def _no_photo() -> Any:
    raise InputError("Cut-outs need the photos, which an export does not read.")


def _check_empty(folder: Path) -> None:
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise OutputError(f'"{folder}" is there already and is not an empty folder: choose another --output.')
    except OSError as error:
        raise output_error(folder, error) from error

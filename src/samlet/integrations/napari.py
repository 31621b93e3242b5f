"""napari: clicks in a points layer become masks in a labels layer (`pip install "samlet[napari]"`).

    from samlet.integrations.napari import ClickSegmenter

    segmenter = ClickSegmenter(viewer, viewer.layers["photo"])

In the application it is a widget: Plugins, samlet, Click segmenter.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from samlet.errors import InputError
from samlet.extras import import_with_extra
from samlet.images import read_image
from samlet.loading import load
from samlet.predictor import Predictor

ON, OFF, MASKS = "on the object", "not on it", "masks"
"""The names of the layers that are added."""


class ClickSegmenter:
    """Segments the 2-D image layer `image` (uint8, gray or RGB) of a viewer while points are set.

    `model`: one that `samlet.load` made, by default the one that ships with samlet. The mask of the clicks is drawn
    into `masks` as label `object_number`; `next_object` goes on with another. ImageError if it is no such image.
    """

    def __init__(self, viewer: Any, image: Any, model: Predictor | None = None) -> None:
        self._model = load() if model is None else model
        self._photo = read_image(np.asarray(image.data))
        self._embedding = self._model.embed(self._photo)
        place = {"scale": image.scale[-2:], "translate": image.translate[-2:]}
        self._viewer = viewer
        self.masks = viewer.add_labels(np.zeros(self._photo.shape[:2], np.int32), name=MASKS, **place)
        self._on = viewer.add_points(ndim=2, name=ON, face_color="limegreen", size=8, **place)
        self._off = viewer.add_points(ndim=2, name=OFF, face_color="crimson", size=8, **place)
        self.object_number = 1
        self._before = np.array(self.masks.data)
        for layer in (self._on, self._off):
            layer.events.data.connect(self._changed)
        viewer.layers.selection.active = self._on

    def next_object(self) -> None:
        """Keep the mask as it is, and start another with no clicks."""
        self.object_number += 1
        self._before = np.array(self.masks.data)
        for layer in (self._on, self._off):
            with layer.events.data.blocker():
                layer.data = np.empty((0, 2))
        self._viewer.layers.selection.active = self._on

    def _changed(self, _event: Any = None) -> None:
        """Draw the mask of all clicks anew; a click beside the image is none."""
        height, width = self._photo.shape[:2]
        on, off = (self._inside(layer.data, height, width) for layer in (self._on, self._off))
        data = self._before.copy()
        if len(on):
            points = np.concatenate([on, off])
            labels = [1] * len(on) + [0] * len(off)
            (mask,) = self._model.segment(self._photo, points=points, labels=labels, embedding=self._embedding)
            data[mask.to_array()] = self.object_number
        self.masks.data = data

    @staticmethod
    def _inside(points_yx: Any, height: int, width: int) -> np.ndarray[Any, Any]:
        points_xy = np.asarray(points_yx, float).reshape(-1, 2)[:, ::-1]
        return points_xy[((points_xy >= 0) & (points_xy < (width, height))).all(axis=1)]


def click_segmenter_widget(viewer: Any) -> Any:
    """The widget of the application: buttons to start on the active image layer, and to go on with another object."""
    widgets = import_with_extra("magicgui.widgets", "napari", "samlet.integrations.napari")
    start, another = widgets.PushButton(text="Segment the active image"), widgets.PushButton(text="Next object")
    running: list[ClickSegmenter] = []

    def begin() -> None:
        active = viewer.layers.selection.active
        if active is None or type(active).__name__ != "Image":
            raise InputError("Choose an image layer first.")
        running[:] = [ClickSegmenter(viewer, active)]

    def go_on() -> None:
        for segmenter in running:
            segmenter.next_object()

    start.changed.connect(begin)
    another.changed.connect(go_on)
    return widgets.Container(widgets=[start, another])

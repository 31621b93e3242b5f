"""What a browser needs to decode by itself: the features of an image, and the graphs of the model.

Features go out as a safetensors file, float32 as they are: the browser's masks are the server's.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
from fastapi import APIRouter
from numpy.typing import NDArray
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, Response

from samlet.runtime.artifact import GRAPHS, MANIFEST
from samlet.runtime.composed import ComposedBackend
from samlet.runtime.graphs import GraphBackend
from samlet.web.schemas import FeaturesAsk
from samlet.web.service import Service

_KINDS = {"f4": "F32", "f2": "F16", "i8": "I64", "i4": "I32", "u1": "U8"}
_GRAPH_SECONDS = 7 * 86_400  # the page asks for a graph by its sha256, so that an old one is never taken for a new one
_FILE: dict[int | str, dict[str, Any]] = {200: {"content": {"application/octet-stream": {}}}}


def feature_routes(service: Service) -> APIRouter:
    """`POST /api/features` and `GET /model/{file}` of a service."""
    router = APIRouter()

    @router.post("/api/features", response_class=Response, responses=_FILE)
    async def features(ask: FeaturesAsk) -> Response:
        """What the encoder says of an image, as a safetensors file: for clients that decode by themselves."""
        arrays = service.kept(ask.embedding).embedding.features
        return Response(await run_in_threadpool(to_safetensors, arrays), media_type="application/octet-stream")

    @router.get("/model/{file}", response_class=FileResponse, responses=_FILE)
    async def model_file(file: str) -> Response:
        """A file of the model that answers here: `manifest.json`, or one of the four ONNX graphs that it names."""
        backend = service.model.backend
        backend = backend.decoder if isinstance(backend, ComposedBackend) else backend  # both run the same files
        if not isinstance(backend, GraphBackend) or file not in (MANIFEST, *GRAPHS):
            raise HTTPException(404, "There is no such file of the model: its clients must let the server decode.")
        age = "no-cache" if file == MANIFEST else f"max-age={_GRAPH_SECONDS}"
        return FileResponse(backend.folder / file, headers={"Cache-Control": age})

    return router


def to_safetensors(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Arrays as a safetensors file (the layout, not the library, which samlet's core does without)."""
    header: dict[str, Any] = {}
    parts: list[bytes] = []
    place = 0
    for name, array in arrays.items():
        part = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
        header[name] = {
            "dtype": _KINDS[array.dtype.str[1:]],
            "shape": list(array.shape),
            "data_offsets": [place, place + len(part)],
        }
        parts.append(part)
        place += len(part)
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)  # numbers begin at a multiple of eight
    return b"".join((struct.pack("<Q", len(head)), head, *parts))

"""ONNX Runtime's sessions, for the backends that run their graphs in them. It knows providers, not graphs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from samlet.errors import BackendError
from samlet.runtime.graphs import Graph
from samlet.runtime.telemetry import import_without_telemetry

if TYPE_CHECKING:
    import onnxruntime
else:
    onnxruntime = import_without_telemetry("onnxruntime")

TENSORRT, CUDA, CPU = "TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"

Provider = str | tuple[str, dict[Any, Any]]  # by name, perhaps with options


def has(provider: str) -> bool:
    """Whether the installed ONNX Runtime was built with a provider. Its libraries may still be missing."""
    return provider in onnxruntime.get_available_providers()


def open_graph(path: Path, threads: int, providers: Sequence[Provider], needed: str = CPU) -> Graph:
    """A graph file, ready to run on the first of `providers` that takes each of its nodes.

    BackendError if it cannot be read, or if the provider `needed` is not among those that the session has: ONNX Runtime
    itself would go on without one whose libraries it does not find.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # What shapes a run had is kept with its memory; shapes of questions differ, and memory is what there is little of.
    options.enable_mem_pattern = False
    if all(provider == CPU for provider in providers):
        _share_memory()
        options.add_session_config_entry("session.use_env_allocators", "1")
    # Else the threads of one graph go on spinning when it has ended, on the cores that the next graph needs.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    try:
        session = onnxruntime.InferenceSession(os.fspath(path), options, providers=list(providers))
    except Exception as error:  # ONNX Runtime's errors have no common class
        version = onnxruntime.__version__
        raise BackendError(
            f"ONNX Runtime {version} cannot load {path}: install a newer onnxruntime or export the model again "
            f"({error})."
        ) from error
    if needed not in session.get_providers():
        raise BackendError(
            f"ONNX Runtime cannot start its {needed}, most likely for want of NVIDIA's libraries: install those that "
            f"onnxruntime-gpu {onnxruntime.__version__} names, or use the backend onnx on the cpu."
        )
    names = [output.name for output in session.get_outputs()]

    def run(inputs: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        arrays: Sequence[Any] = session.run(names, inputs)  # typed for sparse tensors and sequences too
        return dict(zip(names, arrays, strict=True))

    return run


@cache
def _share_memory() -> None:
    """Give all sessions of the process one memory, grown by what is asked for.

    A session's own doubles each time and is never given back; eight of them held twice what they needed
    (`benchmarks/memory.py`).
    """
    place = onnxruntime.OrtMemoryInfo(
        "Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
    )
    as_asked = {
        "max_mem": 0,
        "arena_extend_strategy": 1,
        "initial_chunk_size_bytes": -1,
        "max_dead_bytes_per_chunk": -1,
    }
    with suppress(RuntimeError):  # the program around samlet has registered one: that is shared too
        onnxruntime.create_and_register_allocator(place, onnxruntime.OrtArenaCfg(as_asked))

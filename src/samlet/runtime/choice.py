"""What the backend "auto" takes for an artifact: which runtime encodes, which decodes, on how many threads, and why.

`samlet doctor --tune` measures it (`samlet.benchmarking.tuning`) and the answer is kept in the cache for this machine,
these versions and this model. Until then it is guessed from what was measured elsewhere (docs/performance.md).
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from samlet.files import make_folder, write_aside
from samlet.hub.folder import cache_folder, has_cache
from samlet.runtime.artifact import read_manifest
from samlet.runtime.cpu import cpu_features, cpu_name
from samlet.runtime.graphs import usable_cores

RUNTIMES = ("onnx", "openvino")  # that can be composed
COMPOSED = ("openvino+onnx", "onnx+openvino")  # their names: the encoder's first
TUNING = "tuning"  # the folder in the cache
_VERSIONS = ("samlet", "onnxruntime", "onnxruntime-gpu", "openvino")


@dataclass(frozen=True)
class Choice:
    """Runtimes of encoder and decoder, their threads (None: what suits the machine), and why, as half a sentence."""

    encoder: str
    decoder: str
    reason: str
    encoder_threads: int | None = None
    decoder_threads: int | None = None

    @property
    def name(self) -> str:
        """The backend's name: one runtime's, or "ENCODER+DECODER"."""
        return self.encoder if self.encoder == self.decoder else f"{self.encoder}+{self.decoder}"


def parts_of(backend: str) -> tuple[str, str]:
    """The runtimes of encoder and decoder that a backend's name says."""
    encoder, _, decoder = backend.partition("+")
    return encoder, decoder or encoder


def choose(folder: Path, precision: str = "float32") -> Choice:
    """What "auto" takes for an artifact whose encoder computes in `precision`; BackendError if it has no manifest.

    What was measured here counts; a measurement is of the artifact as it is stored.
    """
    stored = str(read_manifest(folder).get("precision", "float32"))
    wanted = precision if precision == "bfloat16" else stored
    measured = None if wanted == "bfloat16" else read_choice(folder)
    return measured or guess(wanted)


def guess(precision: str = "float32") -> Choice:
    """What "auto" takes before anything was measured, for an encoder that computes in `precision`.

    ONNX Runtime answers a click 1.2 to 2 times as fast as OpenVINO wherever both were measured, and encodes as fast in
    float32. Only OpenVINO computes in bfloat16, and in int8 it encodes 1.8 to 2.5 times as fast with VNNI, else 1.3.
    """
    if precision == "bfloat16":
        return Choice("openvino", "onnx", "only OpenVINO computes in bfloat16 here, and ONNX Runtime decodes faster")
    if find_spec("openvino") is None:
        return Choice("onnx", "onnx", 'openvino is not installed: pip install "samlet[openvino]"')
    from samlet.runtime.sessions import CUDA, has

    if has(CUDA):
        return Choice("onnx", "onnx", "ONNX Runtime is installed for CUDA")
    features = " and ".join(cpu_features()) or "neither AVX-512 nor VNNI"
    if precision == "int8":
        return Choice(
            "openvino", "onnx", f"this CPU has {features}: OpenVINO encodes faster in int8, ONNX Runtime decodes faster"
        )
    return Choice(
        "onnx",
        "onnx",
        f"this CPU has {features}: in float32 ONNX Runtime encodes as fast as OpenVINO and decodes faster",
    )


def machine_facts(folder: Path) -> dict[str, Any]:
    """All that a measured choice depends on: the processor, the cores, the versions, the graphs of the artifact."""
    return {
        "cpu": cpu_name(),
        "usable_cores": usable_cores(),
        "system": platform.system(),
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS"),
        "versions": {name: _version(name) for name in _VERSIONS},
        "files": read_manifest(folder).get("files"),
    }


def choice_file(folder: Path) -> Path | None:
    """Where the measured choice for an artifact on this machine is kept, if there is a cache."""
    if not has_cache():
        return None
    facts = json.dumps(machine_facts(folder), sort_keys=True)
    return cache_folder() / TUNING / f"{sha256(facts.encode()).hexdigest()[:32]}.json"


def read_choice(folder: Path) -> Choice | None:
    """What `write_choice` kept for this artifact, machine and versions; None if nothing, or nothing sound, is there."""
    if not has_cache() or not (cache_folder() / TUNING).is_dir():
        return None
    path = choice_file(folder)
    if path is None:
        return None
    with suppress(OSError, ValueError, RecursionError):  # a cache is never a reason to fail
        return _choice_of(json.loads(path.read_text(encoding="utf-8")))
    return None


def write_choice(folder: Path, choice: Choice, measured: Mapping[str, Any]) -> Path | None:
    """Keep a choice with what it was `measured` from (JSON values, for people), and tell where: None without a cache.

    OutputError if it cannot be written.
    """
    path = choice_file(folder)
    if path is None:
        return None
    record = {"choice": asdict(choice), "machine": machine_facts(folder), "measured": dict(measured)}
    make_folder(path.parent)
    with write_aside(path) as aside:
        aside.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    return path


def _choice_of(content: Any) -> Choice | None:
    """The choice in a cached file, if all of it makes sense."""
    record = content.get("choice") if isinstance(content, dict) else None
    if not isinstance(record, dict):
        return None
    encoder, decoder = record.get("encoder"), record.get("decoder")
    threads = record.get("encoder_threads"), record.get("decoder_threads")
    sound = all(count is None or (type(count) is int and 1 <= count <= usable_cores()) for count in threads)
    if not sound or encoder not in RUNTIMES or decoder not in RUNTIMES:
        return None
    return Choice(encoder, decoder, str(record.get("reason")), *threads)


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None

"""Which model is run, and how: the options that the verbs share, and the one way they open it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from cyclopts import Parameter

from samlet.cli.options.bounds import Between
from samlet.cli.pull import with_weights

if TYPE_CHECKING:
    from samlet.spec import ModelSpec, Task

ModelName: TypeAlias = Annotated[str, Parameter(help="A name from `samlet models`, or an exported folder.")]
BackendName: TypeAlias = Annotated[
    Literal["auto", "onnx", "openvino", "openvino+onnx", "onnx+openvino", "tensorrt", "torch"],
    Parameter(help="What runs the model (encoder+decoder); auto takes the best here, see samlet doctor --tune."),
]
CheckpointFile: TypeAlias = Annotated[Path, Parameter(help="A weights file of that model, for torch.")]
ClassesFile: TypeAlias = Annotated[
    Path,
    Parameter(help="Names of the classes of a --checkpoint that are not the model's own: a text file, a class a line."),
]
Device: TypeAlias = Annotated[str, Parameter(help="cpu, cuda, cuda:1 or (torch) mps; default: what the backend takes.")]
Threads: TypeAlias = Annotated[
    int,
    Parameter(help="CPU threads, not for torch; default: what suits this machine.", validator=Between(1, 1024)),
]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """Which model, and what runs it; None is the default."""

    model: ModelName | None = None
    backend: BackendName = "auto"
    checkpoint: CheckpointFile | None = None
    device: Device | None = None
    precision: Annotated[
        Literal["float32", "bfloat16", "float16"] | None,
        Parameter(help="What the encoder computes in: bfloat16 in OpenVINO or torch, float16 in torch."),
    ] = None
    threads: Threads | None = None

    def arguments(self) -> dict[str, Any]:
        """The arguments of `samlet.load`."""
        return {
            "name": self.model,
            "backend": self.backend,
            "checkpoint": self.checkpoint,
            "device": self.device,
            "precision": self.precision,
            "threads": self.threads,
        }

    def spec(self) -> ModelSpec:
        """What the model's description says, before anything is loaded or fetched."""
        from samlet import loading

        return loading.spec_of(self.model, self.checkpoint)

    def load(self, task: Task = "promptable", **changed: Any) -> Any:
        """The model of a task, ready. Published weights that are not here are fetched once all else is known to fit."""
        from samlet import loading

        return with_weights(lambda: loading.load(**(self.arguments() | changed), task=task))


THE_DEFAULT = ModelOptions()

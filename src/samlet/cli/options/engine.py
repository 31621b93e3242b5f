"""What runs the workers of `samlet label`: processes of this machine, or Ray."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from samlet.cli.options.bounds import Between
from samlet.errors import InputError

if TYPE_CHECKING:
    from samlet.labeling.engines.engine import Engine


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class EngineOptions:
    """The engine, and what only Ray knows."""

    engine: Annotated[
        Literal["local", "ray"], Parameter(help="local: processes of this machine; ray: actors of a Ray cluster.")
    ] = "local"
    ray_address: Annotated[
        str | None,
        Parameter(
            help="The cluster, as ray://HOST:10001 or HOST:6379; default: $RAY_ADDRESS, or one that is started here "
            "for this run."
        ),
    ] = None
    min_workers: Annotated[
        int | None,
        Parameter(
            help="With ray: start with so many and grow to --workers as the cluster has room; default: --workers.",
            validator=Between(1, 100_000),
        ),
    ] = None
    gpus_per_worker: Annotated[
        float, Parameter(help="With ray: what a worker takes of a GPU, 0.25 say; default: 0.", validator=Between(0, 64))
    ] = 0.0

    def check(self, workers: int | None) -> None:
        """InputError for options that do not go together, before a model is loaded."""
        if self.engine == "local":
            given = [field.name for field in fields(self)[1:] if getattr(self, field.name) != field.default]
            if given:
                raise InputError(f"--{given[0].replace('_', '-')} belongs to --engine ray.")
            return
        if workers is None and self.ray_address is not None:
            raise InputError("How large a cluster may be is yours to say: give --workers, of --threads cores each.")
        if workers == 0:
            raise InputError("--workers 0 is this process alone: with --engine ray give 1 or more.")
        if self.min_workers is not None and workers is not None and self.min_workers > workers:
            raise InputError(f"--min-workers {self.min_workers} is more than --workers {workers}.")
        if self.ray_address is not None:
            from samlet.labeling.engines.ray import check_reachable

            check_reachable(self.ray_address)

    def make(self, workers: int, threads: int) -> Engine:
        """So many workers of so many threads each."""
        if self.engine == "local":
            from samlet.labeling.engines.local import LocalEngine

            return LocalEngine(workers, threads)
        from samlet.labeling.engines.ray import RayEngine, import_ray

        import_ray()
        least = min(workers, self.min_workers or workers)
        return RayEngine(self.ray_address, least, workers, threads, self.gpus_per_worker)


HERE = EngineOptions()

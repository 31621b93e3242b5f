"""`samlet models`: what there is, and bringing weights here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from cyclopts import App, Parameter

from samlet.cli.pull import pull_with_progress
from samlet.cli.tables import megabytes, print_table
from samlet.hub import weights
from samlet.models.registry import MODELS, get_spec, shipped_folder
from samlet.spec import ModelSpec

app = App(name="models", help="List the models; pull or import their weights.")


@app.default
def list_models() -> None:
    """List the models: size, cost, license, and where their weights are or would come from."""
    columns = (
        ("name", "left"),
        ("parameters", "right"),
        ("encoder GMACs", "right"),
        ("canvas", "right"),
        ("license", "left"),
        ("weights", "left"),
    )
    print_table(columns, [_row(spec) for spec in MODELS])


@app.command
def pull(name: Annotated[str, Parameter(help="A name from `samlet models`.")], /) -> None:
    """Download a model's official weights into the cache, checked by their sha256."""
    spec = get_spec(name)
    if spec.checkpoint is None and shipped_folder(spec.name):
        print(f"{spec.name} came with samlet: there is nothing to pull.")
        return
    print(pull_with_progress(spec))


@app.command(name="import")
def import_file(
    file: Annotated[Path, Parameter(help="A weights file; an official one is recognized by its sha256.")],
    /,
    *,
    model: Annotated[str | None, Parameter(help="The model it belongs to, where it is no official file.")] = None,
) -> None:
    """Copy a weights file into the cache, so that its model can be used without a download."""
    spec, path = weights.import_file(file, model)
    print(f"{spec.name}: {path}")


def _row(spec: ModelSpec) -> tuple[str, ...]:
    parameters = f"{spec.parameters / 1e6:.1f} M" if spec.parameters else "–"
    macs = f"{spec.encoder_macs / 1e9:.1f}" if spec.encoder_macs else "–"
    return spec.name, parameters, macs, str(spec.image.canvas), spec.license, _whereabouts(spec)


def _whereabouts(spec: ModelSpec) -> str:
    if shipped_folder(spec.name):
        return "shipped"
    if weights.find(spec):
        return "cached" if weights.is_official(spec) else "imported"
    if spec.checkpoint is None:
        return "none published"
    hosts = dict.fromkeys(urlsplit(url).netloc for url in weights.sources(spec))
    size = f", {megabytes(spec.checkpoint.size_bytes)}" if spec.checkpoint.size_bytes else ""
    return f"{' or '.join(hosts)}{size}"

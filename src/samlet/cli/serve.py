"""`samlet serve`: the server without the page."""

from __future__ import annotations

import sys
from typing import Annotated

from cyclopts import Parameter

from samlet.cli.options.bounds import Between
from samlet.cli.options.listening import THIS_MACHINE, ListenOptions
from samlet.cli.options.model import THE_DEFAULT, ModelOptions
from samlet.extras import import_with_extra
from samlet.web.settings import Settings

_MB_PER_IMAGE = 128  # of the cache, for one more image whose shared arrays, 31 MB, wait for more clicks
IMAGES_KEPT = 1024 // _MB_PER_IMAGE


def serve(
    *,
    max_megapixels: Annotated[
        float, Parameter(help="The largest image that is taken.", validator=Between(0.01, 100))
    ] = 50,
    cache_mb: Annotated[
        int, Parameter(help="Memory for embedded images, in MB; the oldest go first.", validator=Between(1, 1 << 20))
    ] = 1024,
    batch_size: Annotated[
        int,
        Parameter(
            help="Images that are encoded together where several wait: for a GPU. On a CPU it gains nothing, and "
            "changes embeddings in their last digit.",
            validator=Between(1, 64),
        ),
    ] = 1,
    label_studio: Annotated[
        str | None, Parameter(help="Address of the Label Studio whose images may be fetched, as http://localhost:8080.")
    ] = None,
    label_studio_key: Annotated[
        str | None, Parameter(help="Its access token; default: what it sends itself.", env_var="LABEL_STUDIO_API_KEY")
    ] = None,
    where: ListenOptions = THIS_MACHINE,
    model: ModelOptions = THE_DEFAULT,
) -> None:
    """Answer over HTTP: embed, predict, segment, everything. GET /docs tells how; Ctrl-C stops it.

    It listens on this machine only. To let others in, name an address and a token.
    """
    serving = import_with_extra("samlet.web.serving", "web", "The server")
    settings = Settings(
        pixels=round(max_megapixels * 1e6),
        cache_bytes=cache_mb << 20,
        encode_batch=batch_size,
        label_studio=label_studio,
        label_studio_key=label_studio_key,
    )
    listening = where.listen(settings)
    ready = model.load(images_kept=max(2, cache_mb // _MB_PER_IMAGE))
    print(f"samlet serves {ready.spec.name} on {listening.url} (stop with Ctrl-C)", file=sys.stderr, flush=True)
    serving.run(listening, ready)

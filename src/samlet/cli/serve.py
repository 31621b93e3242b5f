"""`samlet serve`: the server without the page."""

from __future__ import annotations

import sys
from typing import Annotated

from cyclopts import Parameter

from samlet.cli.options.bounds import Between
from samlet.cli.options.model import THE_DEFAULT, ModelOptions
from samlet.extras import import_with_extra

IMAGES_KEPT = 8  # whose shared arrays, 31 MB each, wait for more clicks: those who click now


def serve(
    *,
    host: Annotated[str, Parameter(help="Address to listen on; others than this machine's own need a --token.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, Parameter(help="Port to listen on; 0: any that is free.", validator=Between(0, 65535))] = 8000,
    token: Annotated[
        str | None, Parameter(help="What every request must carry (Authorization: Bearer …).", env_var="SAMLET_TOKEN")
    ] = None,
    allow_host: Annotated[
        tuple[str, ...], Parameter(help="A host name that clients may call the server by. Repeatable.")
    ] = (),
    model: ModelOptions = THE_DEFAULT,
) -> None:
    """Answer over HTTP: embed, predict, segment, everything. GET /docs tells how; Ctrl-C stops it.

    It listens on this machine only. To let others in, name an address and a token.
    """
    serving = import_with_extra("samlet.web.serving", "web", "The server")
    listening = serving.listen(host, port, token, allow_host)
    ready = model.load(images_kept=IMAGES_KEPT)
    print(f"samlet serves {ready.spec.name} on {listening.url} (stop with Ctrl-C)", file=sys.stderr, flush=True)
    serving.run(listening, ready)

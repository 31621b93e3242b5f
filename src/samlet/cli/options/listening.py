"""Where a server listens, and who may ask it: the options that `samlet app` and `samlet serve` share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from samlet.cli.options.bounds import Between
from samlet.extras import import_with_extra

if TYPE_CHECKING:
    from samlet.web.serving import Listening
    from samlet.web.settings import Settings


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ListenOptions:
    """Address and port, and what opens them to others."""

    host: Annotated[str, Parameter(help="Address to listen on; others than this machine's own need a --token.")] = (
        "127.0.0.1"
    )
    port: Annotated[int, Parameter(help="Port to listen on; 0: any that is free.", validator=Between(0, 65535))] = 8000
    token: Annotated[
        str | None,
        Parameter(
            help="What every request must carry (Authorization: Bearer …); it opens the page as http://…/?token=TOKEN.",
            env_var="SAMLET_TOKEN",
        ),
    ] = None
    allow_host: Annotated[
        tuple[str, ...], Parameter(help="A host name that browsers may call the server by. Repeatable.")
    ] = ()

    def listen(self, settings: Settings) -> Listening:
        """The open socket; errors as `samlet.web.serving.listen`."""
        serving = import_with_extra("samlet.web.serving", "web", "The server")
        return serving.listen(self.host, self.port, self.token, self.allow_host, settings)


THIS_MACHINE = ListenOptions()

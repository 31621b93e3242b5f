"""What a store's library raises, as one sentence: who is to blame, and what to set where nobody is let in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from samlet.errors import DataError, ImageError, InputError, SamletError
from samlet.labeling.sources.retrying import CutError, is_passing, status_of

_URL = re.compile(r"(?P<protocol>[a-z][a-z0-9+.-]+)://", re.IGNORECASE)
_DENIED = frozenset({401, 403})
# Of each store: the variables that its library reads credentials from.
_CREDENTIALS = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (or AWS_PROFILE)",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS",
    "abfs": "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
}
SAME_STORE = {"s3a": "s3", "gcs": "gs", "az": "abfs", "abfss": "abfs", "adl": "abfs"}
_NO_CREDENTIALS = frozenset(
    {
        "NoCredentialsError",
        "PartialCredentialsError",
        "DefaultCredentialsError",
        "ProfileNotFound",
        "TokenRetrievalError",
    }
)
_PUBLIC = frozenset({"http", "https"})


def protocol_of(url: str) -> str:
    """`s3`, `gs`, `https`, … of a URL, one word for each store; "" of a path."""
    match = _URL.match(url)
    protocol = "" if match is None else match["protocol"].lower()
    return SAME_STORE.get(protocol, protocol)


@contextmanager
def telling(name: str, error: type[SamletError] = DataError, done: str = "read") -> Iterator[None]:
    """Makes one sentence of whatever a store's library raises about `name`, which is to be `done`: an `error`.

    For an ImageError a store that does not answer, in spite of all asking, is a DataError: nothing can be said of the
    image then. A host of the web may be gone for ever, so there it is an ImageError as well. Without credentials it is
    an InputError.
    """
    try:
        yield
    except SamletError:
        raise
    except FileNotFoundError as reason:
        raise error(f"{name} does not exist.") from reason
    except CutError as reason:
        raise error(f"{name} cannot be {done}: {reason}.") from reason
    except Exception as reason:
        protocol = protocol_of(name)
        if type(reason).__name__ in _NO_CREDENTIALS:
            raise InputError(f"{name} cannot be {done}: there are no credentials: {_advice(protocol)}.") from reason
        status = status_of(reason)
        if isinstance(reason, PermissionError) or status in _DENIED:
            raise error(f"{name} cannot be {done}: access is denied: {_advice(protocol)}.") from reason
        words = " ".join(str(reason).split())[:200] or type(reason).__name__
        if is_passing(reason) and protocol not in _PUBLIC:
            kind = DataError if error is ImageError else error
            raise kind(f"{name} cannot be {done}, for its store does not answer: {words}; try later.") from reason
        raise error(f"{name} cannot be {done}: {words.rstrip('.')}.") from reason


def _advice(protocol: str) -> str:
    variables = _CREDENTIALS.get(protocol)
    return f"set {variables}" if variables else "see what its host wants"

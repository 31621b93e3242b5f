"""Models of your own by the import string of their spec: `my_encoder:SPEC` is `SPEC` in `my_encoder.py`."""

from __future__ import annotations

import re
from importlib import import_module

from samlet.errors import UnknownModelError
from samlet.spec import ModelSpec

IMPORT_STRING = re.compile(r"([a-z_]\w*(?:\.[a-z_]\w*)*):([a-z_]\w*)", re.IGNORECASE)


def own_spec(name: str) -> ModelSpec | None:
    """The spec that an import string names, or None if `name` is no import string. Imports, and so runs, that module.

    Raises UnknownModelError if there is no such module, or no ModelSpec of that name in it.
    """
    found = IMPORT_STRING.fullmatch(name)
    if found is None:
        return None
    module, attribute = found.groups()
    try:
        spec = getattr(import_module(module), attribute, None)
    except ModuleNotFoundError as error:
        if not f"{module}.".startswith(f"{error.name}."):
            raise  # the module is here and misses another one
        raise UnknownModelError(
            f'There is no model "{name}": Python finds no module {module}, is its folder on PYTHONPATH?'
        ) from error
    if not isinstance(spec, ModelSpec):
        raise UnknownModelError(f'There is no model "{name}": {module} has no ModelSpec of the name {attribute}.')
    return spec

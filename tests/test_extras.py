from __future__ import annotations

import sys

import pytest

from samlet.errors import MissingExtraError
from samlet.extras import import_with_extra


def test_what_is_installed_is_imported():
    assert import_with_extra("samlet.errors", "torch", "This").MissingExtraError is MissingExtraError


def test_what_is_missing_names_the_install_that_helps(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtraError, match=r'^The torch backend needs .* pip install "samlet\[torch\]"\.$'):
        import_with_extra("torch", "torch", "The torch backend")


def test_a_defect_of_our_own_is_not_blamed_on_the_extra():
    with pytest.raises(ModuleNotFoundError, match=r"samlet\.nowhere"):
        import_with_extra("samlet.nowhere", "torch", "This")

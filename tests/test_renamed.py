"""Old imports still work, and say what they are called now."""

from __future__ import annotations

import importlib
import importlib.util
import subprocess
import sys

import pytest

from samlet.renamed import RENAMED


@pytest.mark.parametrize("old", RENAMED)
def test_an_old_name_leads_to_a_module_that_is_there(old: str) -> None:
    assert importlib.util.find_spec(f"samlet.{RENAMED[old]}") is not None


def test_an_old_import_warns_and_gives_the_same_objects() -> None:
    program = (
        "import warnings\n"
        "with warnings.catch_warnings(record=True) as said:\n"
        "    warnings.simplefilter('always')\n"
        "    from samlet.zoo import MODELS, get_spec\n"
        "    from samlet.zoo.edge_sam import RPN\n"
        "from samlet.models import registry\n"
        "assert MODELS is registry.MODELS and get_spec(RPN.name) is RPN\n"
        "assert get_spec('samlet.zoo.edge_sam:RPN') is RPN\n"
        "print(*(warning.message for warning in said), sep='\\n')"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines() == [
        "samlet.zoo is now samlet.models.registry.",
        "samlet.zoo.edge_sam is now samlet.models.edge_sam.spec.",
    ]


def test_a_name_that_never_was_is_not_found() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"No module named 'samlet\.aquarium'"):
        importlib.import_module("samlet.aquarium")

"""Offline means offline: the quick start asks for no address, connects to nothing and leaves no file in the home."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from samlet.runtime.telemetry import LIBRARIES, SENDER

ROOT = Path(__file__).parents[2]
PROGRAMS = sorted(path for folder in ("src", "benchmarks", "examples") for path in (ROOT / folder).rglob("*.py"))
# What Python itself is asked for; connections out of native code are for strace to see.
WATCH = """
import sys

def hook(event, arguments):
    if event in {"socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"}:
        print("ATTEMPT", event, arguments[-1], file=sys.stderr)

sys.addaudithook(hook)
"""
QUICK_START = """
from samlet.cli import main
assert main(["segment", "coffee.jpg", "--point", "250,225"]) == 0
"""
OTHER_LIBRARIES = f"""
from importlib.util import find_spec
from samlet.runtime.telemetry import import_without_telemetry
for name in {LIBRARIES!r}:
    find_spec(name) and import_without_telemetry(name)
assert sys.modules["{SENDER}"] is None
"""


class WithoutTypes(ast.NodeTransformer):
    """Leaves out what is imported for type checkers only."""

    def visit_If(self, node: ast.If) -> ast.If:
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            node.body = [ast.Pass()]
        self.generic_visit(node)
        return node


def loads_at_run_time(tree: ast.Module) -> Iterator[str]:
    """The modules that a file imports when it runs: by statements outside `if TYPE_CHECKING`, or by `import_module`."""
    for node in ast.walk(WithoutTypes().visit(tree)):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "import_with_extra")):
            yield from (str(each.value) for each in node.args[:1] if isinstance(each, ast.Constant))


def test_what_is_looked_for_is_found() -> None:
    code = "if TYPE_CHECKING:\n import a\nelse:\n b = c('d')\nimport e.f\nfrom g.h import i\nimport_module('j')"
    assert sorted(loads_at_run_time(ast.parse(code))) == ["e.f", "g.h", "j"]


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_libraries_with_telemetry_are_imported_in_one_place(path: Path) -> None:
    loaded = {name.partition(".")[0] for name in loads_at_run_time(ast.parse(path.read_text(encoding="utf-8")))}
    assert loaded.isdisjoint({*LIBRARIES, SENDER}), "use samlet.runtime.telemetry.import_without_telemetry"


def works(*command: str) -> bool:
    """Whether a tool is here and may do what it is for: containers forbid some."""
    return (
        shutil.which(command[0]) is not None
        and subprocess.run(command, check=False, capture_output=True).returncode == 0
    )


def watched(program: str, folder: Path) -> str:
    """Run a program with an empty home in `folder` and no network where that can be had; what it reached for."""
    home, log = folder / "home", folder / "connections.txt"
    home.mkdir()
    command = [sys.executable, "-c", WATCH + program]
    if works("strace", "-o", os.devnull, "true"):
        command = ["strace", "-f", "-qq", "-e", "trace=connect,sendto", "-o", str(log), *command]
    if works("unshare", "--map-root-user", "--net", "true"):
        command = ["unshare", "--map-root-user", "--net", *command]
    hidden = {"ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "SAMLET_CACHE", "CI"}
    environment = {name: value for name, value in os.environ.items() if name not in hidden} | {"HOME": str(home)}
    ran = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    attempts = [line for line in ran.stderr.splitlines() if line.startswith("ATTEMPT")]
    calls = log.read_text(errors="replace").splitlines() if log.exists() else []
    left = [str(path) for path in home.rglob("*") if path.is_file()]
    return "\n".join([*attempts, *(line for line in calls if "AF_INET" in line), *left])


def test_the_quick_start_reaches_for_nothing(tmp_path: Path) -> None:
    shutil.copy(ROOT / "examples" / "coffee.jpg", tmp_path)
    assert watched(QUICK_START, tmp_path) == ""
    assert (tmp_path / "coffee.mask.png").is_file()


def test_nor_do_the_libraries_that_would(tmp_path: Path) -> None:
    assert watched(OTHER_LIBRARIES, tmp_path) == ""


def test_the_watch_sees_an_attempt(tmp_path: Path) -> None:
    sending = "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'', ('127.0.0.1', 9))"
    program = f"import socket\ntry:\n {sending}\nexcept OSError:\n pass"
    assert "ATTEMPT socket.sendto ('127.0.0.1', 9)" in watched(program, tmp_path)

"""The house rules of CONTRIBUTING.md that a command can see."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "samlet"
MODULES = sorted(SOURCE.rglob("*.py"))
LONGEST_MODULE = 400
LONGEST_FUNCTION = 40
FOLDERS_WITHOUT_A_NOUN = {"utils", "common", "helpers", "core", "base", "misc"}
TRACKED_FOLDERS = ("src", "tests", "docs", "examples", "benchmarks", ".ci", ".github")
TEXT_SUFFIXES = {"", ".py", ".md", ".toml", ".json", ".yml", ".yaml", ".txt"}
MACHINE_PATH = re.compile(r"(?<![\w.~$}/-])(?:/(?:home|root|work|Users|mnt|opt)/\w|[A-Z]:\\Users\\)")

each_module = pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(SOURCE).as_posix())


def text_files() -> Iterator[Path]:
    inside = (path for folder in TRACKED_FOLDERS for path in (ROOT / folder).rglob("*"))
    for path in (*ROOT.iterdir(), *inside):
        ours = path.name != ".git" and "__pycache__" not in path.parts  # a worktree's .git is a file
        if ours and path.is_file() and path.suffix in TEXT_SUFFIXES:
            yield path


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def code_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function's body: a verb of the command line declares its options in a long signature."""
    body = function.body
    is_docstring = isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant)
    code = body[1:] if is_docstring else body
    return (function.end_lineno or 0) - code[0].lineno + 1 if code else 0


@each_module
def test_a_module_is_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST_MODULE


@each_module
def test_a_function_is_short(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert [f"{f.name}, line {f.lineno}" for f in functions(tree) if code_lines(f) > LONGEST_FUNCTION] == []


@each_module
def test_a_module_says_what_it_is(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


@each_module
def test_no_error_is_swallowed(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert not re.search(r"strict\s*=\s*False", source), "load strictly; zip strictly"
    for handler in (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ExceptHandler)):
        assert handler.type is not None, f"a bare except in line {handler.lineno}"
        catches_all = isinstance(handler.type, ast.Name) and handler.type.id in {"Exception", "BaseException"}
        does_nothing = all(isinstance(statement, ast.Pass) for statement in handler.body)
        assert not (catches_all and does_nothing), f"any error is swallowed in line {handler.lineno}"


def test_folders_are_nouns() -> None:
    folders = [path for top in (SOURCE, ROOT / "tests") for path in top.rglob("*") if path.is_dir()]
    assert [path for path in folders if path.name in FOLDERS_WITHOUT_A_NOUN] == []


def test_no_path_of_a_machine() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {match.group()}"
        for path in text_files()
        for match in MACHINE_PATH.finditer(path.read_text(encoding="utf-8"))
    ]
    assert found == []

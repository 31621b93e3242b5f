# The commands of a working day. `just` lists them.

default:
    @just --list

# a virtual environment with everything the tests need
setup:
    python3 -m venv .venv
    .venv/bin/pip install -e ".[dev]"
    .venv/bin/pre-commit install

# rewrite what can be rewritten
format:
    ruff check --fix .
    ruff format .

# everything that reads the code without running it
lint:
    ruff check .
    ruff format --check .
    pyright
    lint-imports

# the fast tests, or those named: `just test tests/geometry`
test *paths:
    python -m pytest {{ paths }}

# the slow ones too
test-all:
    python -m pytest -m "slow or not slow"

# what the gate does: a fresh environment, the lints, the tests
gate:
    .ci/run

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

# build the page into the package (node 20 or later); its result is committed
web:
    cd web && npm ci && npm run check && npm run lint && npm test && npm run build

# what the gate does: a fresh environment, the lints, the tests
gate:
    .ci/run

# the next stage of the default model, or the rest of one that was stopped, beside all other work; state in runs/default/
# (memory that is kept, in large pages, is worth a third of the time of a step)
train-default data="../shared/data" teacher="../shared/teacher/tinyvit_sam.safetensors":
    GLIBC_TUNABLES=glibc.malloc.mmap_threshold=4294967296:glibc.malloc.trim_threshold=8589934592:glibc.malloc.hugetlb=1 \
    OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} nice -n 19 samlet train default --teacher-checkpoint {{ teacher }} \
    --data {{ data }}/train {{ data }}/photos --val {{ data }}/val

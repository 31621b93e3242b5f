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

# the pictures of the app in docs/app (needs Chromium and playwright)
screenshots:
    python docs/screenshots.py

# what the gate does: a fresh environment, the lints, the tests
gate:
    .ci/run

# the next stage of the default model, or the rest of one that was stopped, beside all other work; state in runs/default/
# (memory that is kept, in large pages, is worth a third of the time of a step)
train-default data="../shared/data" teacher="../shared/teacher/tinyvit_sam.safetensors":
    GLIBC_TUNABLES=glibc.malloc.mmap_threshold=4294967296:glibc.malloc.trim_threshold=8589934592:glibc.malloc.hugetlb=1 \
    OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} nice -n 19 samlet train default --teacher-checkpoint {{ teacher }} \
    --data {{ data }}/train {{ data }}/photos --val {{ data }}/val

# what a GPU machine takes along for a few minutes of training: a pack of small photos, and the teacher
gpu-pack data="../shared/data" teacher="../shared/teacher/tinyvit_sam.safetensors":
    samlet train pack {{ data }}/train {{ data }}/photos --output runs/gpu/packs
    cp {{ teacher }} runs/gpu/teacher.safetensors

# train from such a pack for so many seconds: the teacher online, in bfloat16; stopped and started again, it goes on
# (runs/gpu/state holds the checkpoints and the log, runs/gpu/out what a finished stage leaves)
gpu pack="runs/gpu/packs/pack-000.tar" seconds="540" device="cuda" workers="12" *options:
    timeout --signal=TERM --kill-after=30 {{ seconds }} samlet train default --data {{ pack }} \
        --teacher-checkpoint runs/gpu/teacher.safetensors --state runs/gpu/state --weights runs/gpu/weights \
        --ledger runs/gpu/ledger.md --device {{ device }} --precision bfloat16 --online --workers {{ workers }} {{ options }}

# docs/models/digits.md: two classifiers, three seeds each, on scikit-learn's digits
digits:
    python benchmarks/class_sets.py digits runs/digits-data
    for run in efficientvit-m0-0 efficientvit-m0-1 efficientvit-m0-2 cascadedvit-s-0 cascadedvit-s-1 cascadedvit-s-2; do \
        nice -n 19 samlet train classify --recipe digits --student ${run%-*} --seed ${run##*-} \
            --data runs/digits-data/train --output runs/digits/$run --resume && \
        samlet eval --protocol classification --data runs/digits-data/val --output runs/digits/$run/val \
            --checkpoint runs/digits/$run/student.safetensors --backend torch || exit 1; \
    done
    python benchmarks/class_sets.py table runs/digits

# docs/models/efficientvit-seg-b0.md: five classes of pixels, on the default's backbone and on a random one that is frozen
photo-classes data="../shared/data" checkpoint="checkpoints/efficientvit-sam-b0.safetensors":
    python benchmarks/class_sets.py photos runs/photo-classes --data {{ data }}
    nice -n 19 samlet train semantic --recipe pixels --data runs/photo-classes/train --output runs/pixels \
        --checkpoint {{ checkpoint }} --resume
    nice -n 19 samlet train semantic --recipe pixels --data runs/photo-classes/train --output runs/pixels-frozen \
        --freeze-backbone --resume
    nice -n 19 samlet train semantic --recipe pixels --data runs/photo-classes/train --output runs/pixels-random --resume
    for run in pixels pixels-random pixels-frozen; do \
        samlet eval --protocol semantic --data runs/photo-classes/val --output runs/$run/val \
            --checkpoint runs/$run/student.safetensors --backend torch || exit 1; \
    done
    python benchmarks/class_sets.py colors runs/photo-classes

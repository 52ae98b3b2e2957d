# make train    watch a network learn handwritten digits
# make test     lint and types, then the suite twice at once: with NumPy and SciPy alone, and with everything and coverage
# make bench    measure minikeras beside its peers, and write docs/performance.md; some minutes
# make clean    remove what these have installed
#
# They install what they need into .venv (and .venv-minimal) when pyproject.toml has changed, and are offline otherwise.
# Another interpreter: make test PYTHON=python3.12
# How many processes run the tests of everything: make test WORKERS=4
#
# Peers of make bench are never installed: PEERS="/path/to/python ..." are interpreters that have PyTorch, or Keras 3
# with TensorFlow, JAX or PyTorch. A part of it, which only prints:
#   make bench ROUNDS=9 MINUTES=20 WORKLOADS="mnist digits" CONTENDERS="numpy torch-last" PARTS="workloads profile" SEED=1

PYTHON ?= python3
WORKERS ?= 2
ROUNDS ?= 5
MINUTES ?= 8
SEED ?= 0
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2] if sys.version_info >= (3, 10) else "")' 2>/dev/null)
ifeq ($(VERSION),)
FOUND := $(or $(shell $(PYTHON) --version 2>/dev/null),no such Python)
$(error minikeras needs Python 3.10 or newer, but "$(PYTHON)" is $(FOUND). Try: make PYTHON=python3.12)
endif

MAKEFLAGS += --no-print-directory
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# nothing of the caller's environment may shadow what is installed here
unexport PYTHONPATH PYTHONHOME MYPYPATH

.PHONY: train test bench clean
.NOTPARALLEL:

train: .venv/.installed-$(VERSION)
	.venv/bin/python examples/train_digits.py

test: .venv/.installed-$(VERSION) .venv-minimal/.pytest-$(VERSION)
	.venv/bin/python -m ruff check .
	.venv/bin/python -m mypy
	@echo "With everything ($(WORKERS) processes, shown at the end), and meanwhile with NumPy and SciPy alone:"
	@OPENBLAS_NUM_THREADS=1 .venv/bin/python -m pytest -n $(WORKERS) --dist worksteal --cov > .venv/test.log 2>&1 & everything=$$!; \
	trap 'kill $$everything' INT TERM; \
	.venv-minimal/bin/python -m pytest -q -m "not slow"; minimal=$$?; \
	wait $$everything; code=$$?; \
	cat .venv/test.log; \
	if [ $$minimal != 0 ]; then echo "With NumPy and SciPy alone it has failed: see above"; fi; \
	exit $$(( code != 0 ? code : minimal ))

bench: .venv/.installed-$(VERSION)
	.venv/bin/python tests/benchmarks/run.py --rounds $(ROUNDS) --minutes $(MINUTES) --seed $(SEED) \
		$(if $(PEERS),--peers $(PEERS)) $(if $(THREADS),--threads $(THREADS)) \
		$(if $(WORKLOADS),--workloads $(WORKLOADS)) $(if $(CONTENDERS),--contenders $(CONTENDERS)) \
		$(if $(PARTS),--parts $(PARTS)) \
		$(if $(WORKLOADS)$(filter-out all,$(CONTENDERS))$(PARTS),--json bench.json,--page)

clean:
	rm -rf .venv .venv-minimal

.venv/.installed-$(VERSION): pyproject.toml .venv/.created-$(VERSION)
	@echo "Installing minikeras with its extras into .venv"
	@.venv/bin/python -m pip install --quiet --editable '.[dev]'
	@touch $@

.venv-minimal/.pytest-$(VERSION): pyproject.toml .venv-minimal/.created-$(VERSION)
	@echo "Installing minikeras and pytest into .venv-minimal"
	@.venv-minimal/bin/python -m pip install --quiet --editable . 'pytest>=8.2'
	@touch $@

# --clear: an environment that was left half made, or made with another Python, is made anew
.venv/.created-$(VERSION) .venv-minimal/.created-$(VERSION):
	@$(PYTHON) -m venv --clear $(@D)
	@touch $@

# AOS: `make` alone lists what there is. Every target first makes the virtual environment match the lock file.

VENV ?= .venv
# Processes for the tests, each with servers of its own; 0 runs all in one, one after the other (for --pdb).
JOBS ?= 2
# More arguments for pytest, for example PYTEST_ARGS="tests/kernel -x".
PYTEST_ARGS ?=
# 0 leaves Debian's chromium out, and with it the browser tests.
CHROMIUM ?= 1

export VENV
.DEFAULT_GOAL := help
.PHONY: help environment demo test up down check bench test-long clean format
# A file is run by one process, so that what its tests share is made once. Bytecode is kept in any case: the tests start
# hundreds of processes, and each would compile what it imports.
PARALLEL := $(if $(filter-out 0,$(JOBS)),-n $(JOBS) --dist loadfile --no-loadscope-reorder)
PYTEST := env -u PYTHONDONTWRITEBYTECODE $(VENV)/bin/python -m pytest $(PARALLEL)

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

# Compares and installs only what differs: a moved clone is a difference that no file's date shows.
environment:
	@.ci/environment '$(VENV)'

demo: environment ## a company closes its month under policy, with live progress (ASK=1 asks you)
	@$(VENV)/bin/python -m examples.month_end.demo

test: environment ## run all tests but the long ones (JOBS=0 in one process)
	@[ '$(CHROMIUM)' = 0 ] || .ci/browser
	@$(PYTEST) $(PYTEST_ARGS)

up: environment ## start the whole system on this machine and keep it running
	@./aos up --detach

down: environment ## stop it
	@./aos down

check: environment ## format, lint, import rules and types
	@.ci/check '$(VENV)'

bench: environment ## run the benchmarks (ONLY=name,... for some), as JSON lines
	@$(VENV)/bin/python -m bench $(ONLY)

# Some take longer than the five minutes after which every thread's stack is printed; printing them can end a busy process.
test-long: environment ## run the long tests: crashes at random moments, simulations of many seeds
	@$(PYTEST) -m long -o faulthandler_timeout=3600 $(PYTEST_ARGS)

clean: ## remove the virtual environment and all caches; data of a running system stays
	@if [ -e '$(VENV)/pyvenv.cfg' ]; then rm -rf '$(VENV)'; fi
	@rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache build dist src/*.egg-info
	@find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +

format: environment ## format the code and mend what can be mended safely
	@$(VENV)/bin/ruff check --quiet --fix . || true
	@$(VENV)/bin/ruff format .

# One place for the commands of the house. Needs python3 (3.11 or newer) and git; `make` alone explains.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
ARGS   ?=

.DEFAULT_GOAL := help
.PHONY: help up fast test test-fast check bench lock format clean

help: ## What can be made here
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

up: $(VENV)/.run ## Start a gateway in the foreground (ARGS="--demo --listen 0.0.0.0:8080")
	@$(BIN)/wayhouse up $(ARGS)

fast: $(VENV)/.run ## Compile the bus's frame mover and the overlay's engine (needs cc and Python's headers); optional, used from the next start on
	@$(BIN)/python -m wayhouse.bus.drivers.frames_compiled
	@$(BIN)/python -m wayhouse.overlay.engine.native_part

check: $(VENV)/.dev ## Format, lint, types, floors, test map: seconds
	@$(BIN)/ruff format --check --quiet . && $(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache >$(VENV)/imports.log || { cat $(VENV)/imports.log; exit 1; }
	@$(BIN)/python tools/test_map.py

test: $(VENV)/.dev ## Everything; installs the outside parts that tests use (Debian, as root)
	@tools/install-test-parts
	@$(BIN)/python tools/run_tests.py $(ARGS)

test-fast: $(VENV)/.dev ## Without outside parts
	@$(BIN)/pytest -m "not external" $(ARGS)

bench: $(VENV)/.bench ## All benchmarks (ARGS=rpc: one); rewrites docs/benchmarks.md
	@tools/install-test-parts
	@$(BIN)/python -m bench $(ARGS)

format: $(VENV)/.dev ## Put the code in order
	@$(BIN)/ruff format --quiet . && $(BIN)/ruff check --fix .

lock: $(VENV)/.dev ## Rewrite the locked versions (needs the network)
	@$(BIN)/pip install --quiet uv
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate \
		requirements/build.in pyproject.toml -o requirements/run.txt
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate \
		requirements/build.in pyproject.toml --extra dev -o requirements/dev.txt
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate \
		requirements/bench.in -c requirements/dev.txt -o requirements/bench.txt

$(VENV)/bin/python:
	@tools/make-venv $(PYTHON) $(VENV)

$(VENV)/.run: $(VENV)/bin/python requirements/run.txt pyproject.toml
	@echo "Installing Wayhouse into $(VENV) (once) ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/run.txt
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: $(VENV)/bin/python requirements/dev.txt pyproject.toml
	@echo "Installing Wayhouse and its tools into $(VENV) (once) ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@ $(VENV)/.run

$(VENV)/.bench: $(VENV)/.dev requirements/bench.txt
	@echo "Installing what the benchmarks measure against into $(VENV) (once) ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bench.txt
	@touch $@

clean: ## Remove what was made
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis

# Each target is a line that a person could type. `make run` and `make test` set up all they need.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: run test lint bench clean

run: .venv/run
	@$(BIN)/scim-ledger serve

# Many tests wait for processes: three at a time fill two cores.
test: .venv/dev
	$(BIN)/python -m pytest -n 3

lint: .venv/dev
	$(BIN)/ruff check --no-cache .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell

bench: .venv/dev
	$(BIN)/python -m tests.bench

.venv/run: pyproject.toml
	@$(PYTHON) -m venv .venv || { echo "This needs Python 3.11 or later with venv (Debian: apt install python3-venv)." >&2; exit 1; }
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	@touch $@

.venv/dev: pyproject.toml
	@$(PYTHON) -m venv .venv || { echo "This needs Python 3.11 or later with venv (Debian: apt install python3-venv)." >&2; exit 1; }
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@ .venv/run

clean:
	rm -rf .venv

# Each target is a line that a person could type. `make run` and `make test` set up all they need.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: run test lint bench bench-quick bench-check bench-record bench-docs bench-year clean

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

# What a request costs (docs/performance.md): everything, with the peers that can be installed.
bench: .venv/dev .venv/peers
	$(BIN)/python -m tests.bench --json bench.json

bench-quick: .venv/dev
	$(BIN)/python -m tests.bench --quick

# Fails where a ratio is worse than recorded; bench-record records, on a quiet machine.
bench-check: .venv/dev
	$(BIN)/python -m tests.bench --check

bench-record: .venv/dev
	$(BIN)/python -m tests.bench --record

# The same as bench, with 1,000,000 users too; brings docs/performance.md and its picture up to date.
bench-docs: .venv/dev .venv/peers
	$(BIN)/python -m tests.bench --million --large --docs --json bench.json

# 100,000 people, 2,000,000 requests: up to an hour.
bench-year: .venv/dev
	$(BIN)/python -m tests.bench.year --people 100000 --requests 2000000

.venv/run: pyproject.toml
	@$(PYTHON) -m venv .venv || { echo "This needs Python 3.11 or later with venv (Debian: apt install python3-venv)." >&2; exit 1; }
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	@touch $@

.venv/dev: pyproject.toml
	@$(PYTHON) -m venv .venv || { echo "This needs Python 3.11 or later with venv (Debian: apt install python3-venv)." >&2; exit 1; }
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@ .venv/run

# Nobody needs them: the benchmark says which it leaves out.
.venv/peers: .venv/dev
	-@mkdir -p $@ && $(BIN)/pip install --quiet --disable-pip-version-check scim2-flask==0.1.1
	-@npm install --silent --no-audit --no-fund --prefix $@ scimmy@1.3.5 scimmy-routers@1.3.2 express@5

clean:
	rm -rf .venv

# Every target sets itself up: all it needs is Python 3.11 to 3.13 with venv.
PYTHON ?= python3
BIN := .venv/bin
ARGS ?=

.PHONY: demo serve test lint bench soak

demo: .venv/.installed ## a listed person is denied, pays, is taken off, is allowed
	$(BIN)/clearway demo $(ARGS)

serve: .venv/.installed ## the service, on an embedded Valkey
	$(BIN)/clearway serve $(ARGS)

test: .venv/.installed ## every test but the soak
	$(BIN)/python -m pytest $(ARGS)

lint: .venv/.installed ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: .venv/.installed ## the benchmarks
	$(BIN)/python -m benchmarks $(ARGS)

soak: export CLEARWAY_SOAK_S ?= 600
soak: .venv/.installed ## the tests that go on for CLEARWAY_SOAK_S seconds each
	$(BIN)/python -m pytest -m soak --soak --timeout=0 -s $(ARGS)

# The lock is complete, so nothing is resolved; hatchling is in it, so nothing is isolated.
.venv/.installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(None if (3, 11) <= sys.version_info[:2] <= (3, 13) else "Clearway needs Python 3.11 to 3.13; say which with make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --no-deps -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

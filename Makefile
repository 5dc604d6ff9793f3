# Every target sets itself up: all it needs is Python 3.11 to 3.13 with venv.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --no-deps --no-build-isolation
ARGS ?=
# These wait for servers and leases; no branch of what decides hangs on them.
TIMED := connection embedded lease lost_socket sentinels slots store_model tls

.PHONY: help demo serve test lint coverage bench soak wheel sbom hooks lock cli chart docs

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1	/p' Makefile | expand -t 18
	@echo '  ARGS="..." is handed on: make demo ARGS=--once, make test ARGS="tests/roster -k merge"'

demo: .venv/.runs ## a listed person is denied, pays, is taken off, is allowed
	$(BIN)/clearway demo $(ARGS)

serve: .venv/.runs ## the service, on an embedded Valkey
	$(BIN)/clearway serve $(ARGS)

test: .venv/.installed ## every test but the soak
	$(BIN)/python -m pytest $(ARGS)

lint: .venv/.installed ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

coverage: .venv/.installed ## the branches of what decides that its tests take: as many as ever
	$(BIN)/python -m pytest -q --hypothesis-seed=0 --cov --cov-report=term $(TIMED:%=--ignore=tests/roster/test_%.py) tests/roster $(ARGS)

bench: .venv/.installed ## the benchmarks
	$(BIN)/python -m benchmarks $(ARGS)

soak: export CLEARWAY_SOAK_S ?= 600
soak: .venv/.installed ## the tests that go on for CLEARWAY_SOAK_S seconds each
	$(BIN)/python -m pytest -m soak --soak --timeout=0 -s $(ARGS)

wheel: .venv/.runs ## the wheels of the service and of the client, in dist/
	$(BIN)/hatchling build --target wheel
	cd clients/python && ../../$(BIN)/hatchling build --target wheel --directory ../../dist

sbom: ## what it is made of, as CycloneDX, in dist/sbom.cdx.json
	@$(PYTHON) .ci/sbom.py dist/sbom.cdx.json

hooks: .venv/.installed ## ruff and mypy before each commit
	$(BIN)/pre-commit install

lock: .venv/.installed ## requirements.lock, as pyproject.toml has it now; needs uv
	$(BIN)/python .ci/lock.py $(ARGS)

cli: .venv/.runs ## docs/cli.md, as the commands are now
	$(BIN)/python .ci/cli_page.py

docs: .venv/.installed ## the documentation as a site, in site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

chart: ## deploy/kubernetes, as the chart makes it; needs helm
	$(PYTHON) .ci/manifests.py $(ARGS)

# The lock is complete, so nothing is resolved; what builds is in it, so nothing is isolated.
.venv/.runs: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(None if (3, 11) <= sys.version_info[:2] <= (3, 13) else "Clearway needs Python 3.11 to 3.13; say which with make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	sed '/^# == run/,$$d' requirements.lock | $(PIP) --require-hashes -r /dev/stdin
	sed '/^# == parquet/,$$d' requirements.lock | $(PIP) --require-hashes -r /dev/stdin
	$(PIP) -e .
	@touch $@

.venv/.installed: .venv/.runs
	$(PIP) --require-hashes -r requirements.lock
	@touch $@

# Everything that a person needs: `make demo` and `make test`. All steps install what they need into .venv first.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3 python; do \
  command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
PROVIDER ?=
SRC ?=
DB ?=
DOCS ?=

.PHONY: help local demo test check unit explore faults bench bench-quota bench-scale bench-kinds lock clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

# ---- installation: hash-locked, by uv when it can be had, by pip otherwise

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "llmsweep needs Python 3.11 or newer on the PATH" >&2; exit 2; }
	@$(PYTHON) scripts/install.py venv $(VENV)

$(VENV)/.runtime: requirements/bootstrap.lock requirements/runtime.lock pyproject.toml scripts/install.py | $(BIN)/python
	@$(PYTHON) scripts/install.py sync $(VENV) requirements/runtime.lock
	@touch $@

$(VENV)/.dev: requirements/dev.lock $(VENV)/.runtime
	@$(PYTHON) scripts/install.py sync $(VENV) requirements/dev.lock
	@touch $@

# ---- for people

local: $(VENV)/.runtime ## what LOCAL_MODEL_PATH needs: runs embedding models of your own, offline
	@$(PYTHON) scripts/install.py sync $(VENV) requirements/local.lock

demo: $(VENV)/.runtime ## docstrings, a data dictionary and embeddings, from nothing to results
	@$(BIN)/sweep demo $(if $(PROVIDER),--provider $(PROVIDER)) $(if $(SRC),--src "$(SRC)") $(if $(DB),--db "$(DB)") $(if $(DOCS),--docs "$(DOCS)")

# Bytecode is kept wherever we are: each worker would rewrite the assertions of all tests again, four seconds of it.
test: $(VENV)/.dev ## all tests, on real Valkey and PostgreSQL that it starts itself
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -q -n 4 --dist loadscope -m "not faults" $(ARGS)

unit: $(VENV)/.dev ## the tests that need no server
	@$(BIN)/python -m pytest -q tests/unit $(ARGS)

explore: $(VENV)/.dev ## new examples for the property tests, seven times as many
	@$(BIN)/python -m pytest -q -n 4 --dist loadscope -p no:randomly --hypothesis-profile=explore --timeout=7200 $(or $(TESTS),tests/unit tests/contract) $(ARGS)

check: $(VENV)/.dev ## ruff, mypy, import-linter, hadolint, compose schema, locks
	@$(BIN)/python -m scripts.check

# ---- for the machines

faults: $(VENV)/.dev ## every fault of the failure policy, with real processes; writes reports/faults.json
	@$(BIN)/python -m scripts.bench faults

bench: $(VENV)/.dev ## side by side with the alternatives; writes reports/bench.json
	@$(BIN)/python -m scripts.bench throughput

bench-quota: $(VENV)/.dev ## share of the quota used, and what went over it; writes reports/bench-quota.json
	@$(BIN)/python -m scripts.bench quota

bench-scale: $(VENV)/.dev ## what a job costs from 10^3 to 10^6 of them, and asking how far 10^7 are; writes reports/bench-scale.json
	@$(BIN)/python -m scripts.bench scale

bench-kinds: $(VENV)/.dev ## the kinds on real input with a fifth of the answers wrong; writes reports/kinds.json
	@$(BIN)/python -m scripts.bench kinds

lock: $(VENV)/.runtime ## resolves requirements/*.in anew into *.lock
	@$(PYTHON) scripts/install.py lock $(VENV)

clean: ## stops the embedded servers and removes what make made
	-@test -x $(BIN)/sweep && $(BIN)/sweep down
	rm -rf $(VENV) .sweep reports .pytest_cache .mypy_cache .ruff_cache *.egg-info

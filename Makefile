# What a developer types. Every target makes .venv first when it is missing or older than the files that define it.
PYTHON ?= python3
CONSTRAINTS := $(CURDIR)/constraints.txt
DEFINED_BY := constraints.txt pyproject.toml $(wildcard */pyproject.toml plugins/*/pyproject.toml)
PIP_INSTALL := -m pip install --quiet --disable-pip-version-check --constraint $(CONSTRAINTS)
BIN := .venv/bin
# The api and the client promise Python 3.10: their tests run there too where one is found.
PYTHON310 := $(shell for p in python3.10 $(HOME)/.pyenv/versions/3.10.*/bin/python3.10; do \
	$$p -c 'import venv' >/dev/null 2>&1 && { echo $$p; break; }; done)

# ML-Agents itself, for the tests that compare with it. It promises Python 3.10.12 at the most, and works on more.
MLAGENTS := mlagents==1.1.0 mlagents_envs==1.1.0
TORCH_FOR_CPUS ?= torch==2.13.0+cpu
MLAGENTS_IMPORTS := 'attrs' 'cattrs<1.7' 'numpy<1.24' 'packaging' 'pillow' 'protobuf<3.21' 'pyyaml' 'setuptools<80' 'six' \
	'tensorboard==2.14.*' 'typing_extensions'

# The libraries whose shapes the client's integrations have.
INTEGRATIONS := lightning==2.6.6 pytorch_lightning==2.6.6 stable-baselines3==2.9.2 tensorboardX tensorboard torchrl==0.14.1 \
	wandb==0.31.0

.PHONY: help demo test test-310 test-integrations soak lint format bench fuzz clean

help:  ## this list
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: .venv  ## a daemon, four real workers and a live view, in about 20 seconds
	$(BIN)/stats-aggregator demo

# Three at once: many of the tests wait for processes and clocks, not for a core.
test: .venv $(if $(PYTHON310),test-310)  ## the suite, under five minutes on two cores
	$(BIN)/python -m pytest -n 3 --dist worksteal tests

test-integrations: .venv  ## beside the libraries themselves, in environments that have them: a gigabyte, once
	@$(MAKE) --no-print-directory .venv-mlagents || echo 'No ML-Agents here: tests that compare with it are skipped.'
	$(BIN)/python -m pytest -n 3 tests/mlagents
	@if $(MAKE) --no-print-directory .venv-integrations; \
		then .venv-integrations/bin/python -m pytest -n 2 tests/integrations; \
		else echo 'Not all of the libraries are to be had here: tests beside those are skipped.'; \
		$(BIN)/python -m pytest -n 2 -rs tests/integrations; fi

test-310: .venv310
	.venv310/bin/python -m pytest -n 3 tests/api tests/worker_client

soak: .venv  ## kills, pauses and cuts for SOAK_MINUTES (10), and what the oracle says to it
	$(BIN)/python -m tests.soak

fuzz: .venv  ## all that may happen to the core, in ever new examples for FUZZ_MINUTES (10)
	$(BIN)/python -m tests.aggregator.model

lint: .venv  ## ruff, strict mypy, import directions
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy plugins/api/src worker_client/src plugins/standard/src plugins/example/src plugins/mlagents/src plugins/wandb/src aggregator/src
	PYTHONPATH=plugins/example/src:plugins/mlagents/src:plugins/wandb/src $(BIN)/lint-imports

format: .venv  ## ruff's formatter and its safe fixes
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .venv  ## the figures of tests/bench/README.md, each beside a reference; ONLY="worker closing" for some
	$(BIN)/python -m tests.bench $(ONLY)

clean:  ## all that make made
	rm -rf .venv .venv310 .venv-mlagents .venv-integrations .mypy_cache .ruff_cache .pytest_cache .hypothesis tests/bench/results

.venv: $(DEFINED_BY)
	$(PYTHON) -m venv --clear .venv
	$(BIN)/python $(PIP_INSTALL) --upgrade pip
	$(BIN)/python $(PIP_INSTALL) -e plugins/api -e worker_client -e plugins/standard -e 'aggregator[demo]' --group dev
	@touch .venv

.venv310: $(DEFINED_BY)
	$(PYTHON310) -m venv --clear .venv310
	.venv310/bin/python $(PIP_INSTALL) --upgrade pip
	.venv310/bin/python $(PIP_INSTALL) -e plugins/api -e worker_client --group test
	@touch .venv310

.venv-mlagents: $(DEFINED_BY)
	$(PYTHON) -m venv --clear .venv-mlagents
	.venv-mlagents/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --ignore-requires-python \
		$(MLAGENTS) '$(TORCH_FOR_CPUS)' || { rm -rf .venv-mlagents; exit 1; }
	.venv-mlagents/bin/python -m pip install --quiet --disable-pip-version-check $(MLAGENTS_IMPORTS) \
		-e plugins/api -e worker_client -e plugins/standard -e plugins/mlagents -e aggregator
	@touch .venv-mlagents

.venv-integrations: $(DEFINED_BY)
	$(PYTHON) -m venv --clear .venv-integrations
	.venv-integrations/bin/python -m pip install --quiet --disable-pip-version-check '$(TORCH_FOR_CPUS)' $(INTEGRATIONS) \
		gymnasium pytest pytest-timeout pytest-xdist -e plugins/api -e worker_client -e plugins/standard \
		-e plugins/wandb -e aggregator \
		|| { rm -rf .venv-integrations; exit 1; }
	@touch .venv-integrations

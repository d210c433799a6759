# Five words: install, fix, check, test, demo. Each does all the set-up that it needs. `make test-flavors` is the sixth.

PYTHON ?= python3
VENV := .venv
PEER := .venv-mlflow
FLAVORS := .venv-flavors
SERVERS := .venv-bentoml .venv-litserve
BIN := $(VENV)/bin

# Bytecode is worth having: without it every command compiles its imports again.
unexport PYTHONDONTWRITEBYTECODE
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.DEFAULT_GOAL := help
.PHONY: help install fix check test test-flavors test-faults demo benchmarks benchmarks-flavors benchmarks-images benchmarks-serving clean

help: ## show these words
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

install: $(VENV)/.dev ## set up .venv with everything for working on pack

fix: install ## format and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

check: install ## formatting, lint and strict types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

test: install $(PEER)/.done ## all tests, against real MLflow in its own environment
	PACK_TEST_MLFLOW_PYTHON=$(CURDIR)/$(PEER)/bin/python $(BIN)/python -m pytest -n auto $(ARGS)

test-flavors: $(FLAVORS)/.done ## every flavor, with all frameworks and MLflow in one environment
	$(FLAVORS)/bin/python -m pytest tests/flavors tests/conversion examples $(ARGS)

test-faults: install ## kills, full disks and races at full size
	PACK_TEST_FULL_SIZE=1 $(BIN)/python -m pytest -m faults $(ARGS)

demo: $(VENV)/.demo ## from a data frame to a served alias
	$(BIN)/python examples/quickstart.py

benchmarks: install $(PEER)/.done ## ratios against MLflow, measured in one run
	$(BIN)/python -m benchmarks.beside_mlflow --peer $(PEER)/bin/python $(ARGS)
	$(BIN)/python -m benchmarks.tracking --peer $(PEER)/bin/python $(ARGS)

benchmarks-flavors: $(FLAVORS)/.done ## size, time to save and time to load of every flavor, beside MLflow's
	$(FLAVORS)/bin/python -m benchmarks.flavors $(ARGS)

benchmarks-images: install $(PEER)/.done ## images beside those of MLflow's Dockerfile, in a real Docker engine
	$(BIN)/python -m benchmarks.images --peer $(PEER)/bin/python $(ARGS)

benchmarks-serving: $(VENV)/.bench $(PEER)/.tuned $(SERVERS:=/.done) ## requests a second beside a hand-written app and three servers
	$(BIN)/python -m benchmarks.serving $(ARGS)

clean: ## remove the environments and caches that make has built
	rm -rf $(VENV) $(PEER) $(FLAVORS) $(SERVERS) .mypy_cache .ruff_cache .hypothesis

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q -U "pip>=25.1"

$(VENV)/.demo: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "setting up $(VENV) (about a minute, once)"
	$(BIN)/python -m pip install -q -c constraints.txt -e ".[all]"
	@touch $@

$(VENV)/.dev: $(VENV)/.demo
	$(BIN)/python -m pip install -q -c constraints.txt -e ".[all,boosters,onnx,pytorch]" --group dev
	@touch $@

$(PEER)/.done: tests/interop/constraints-mlflow.txt
	@echo "setting up $(PEER) with MLflow, the peer of the interoperability tests (some minutes, once)"
	$(PYTHON) -m venv $(PEER)
	$(PEER)/bin/python -m pip install -q -c tests/interop/constraints-mlflow.txt mlflow==3.17.2 skops
	@touch $@

$(FLAVORS)/.done: pyproject.toml examples/packml-perpetual/pyproject.toml tests/flavors/constraints-flavors.txt tests/flavors/frameworks.txt
	@echo "setting up $(FLAVORS) with every framework that has a flavor (some minutes and 6 GB, once)"
	$(PYTHON) -m venv $(FLAVORS)
	$(FLAVORS)/bin/python -m pip install -q -U "pip>=25.1"
	$(FLAVORS)/bin/python -m pip install -q -c tests/flavors/constraints-flavors.txt -r tests/flavors/frameworks.txt -e ".[all]" -e examples/packml-perpetual --group dev
	@touch $@

$(VENV)/.bench: $(VENV)/.dev
	$(BIN)/python -m pip install -q --group bench
	@touch $@

# What a tuned MLflow is given stays beside its environment: the tests use MLflow as it is installed.
$(PEER)/.tuned: $(PEER)/.done constraints.txt
	$(PEER)/bin/python -m pip install -q -c constraints.txt --no-deps --upgrade --target $(PEER)/tuned uvloop httptools
	@touch $@

.venv-%/.done: benchmarks/serving/constraints-%.txt
	@echo "setting up .venv-$* with $*, a peer of the serving benchmarks (a minute, once)"
	$(PYTHON) -m venv .venv-$*
	.venv-$*/bin/python -m pip install -q -c $< $* scikit-learn pandas joblib
	@touch $@

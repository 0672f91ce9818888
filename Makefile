# Each environment is made on first use, and brought up to date when pyproject.toml changes:
# .venv for development, .venv-demo for the demo, .venv-docs for the site, .venv-lowest for the lowest versions.
# With PYTHON given, the names end in its version: .venv-3.12.

TARGETS := help demo install test test-redis test-lowest check coverage fuzz bench docs wheel clean

help: ## list the targets
	@echo "make TARGET [PYTHON=/path/to/python3.12] [ARGS=...]; ARGS goes to pytest, the demo or the coverage script"
	@sed -n 's/^\([a-z-]*\):.* ## /  \1\t/p' Makefile | expand -t 16

.DEFAULT_GOAL := help
.PHONY: $(TARGETS)

# Only an interpreter that was named on the command line or in the environment gets environments of its own.
ifeq ($(origin PYTHON),undefined)
  PYTHON := $(shell command -v python3.11 || command -v python3 || command -v python)
else
  SUFFIX := -$(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
endif

VENV := .venv$(SUFFIX)
DEMO_VENV := .venv-demo$(SUFFIX)
LOWEST_VENV := .venv-lowest$(SUFFIX)
DOCS_VENV := .venv-docs$(SUFFIX)
BIN := $(VENV)/bin
EXTRAS := speed,server,cli,report,ws,mcp,redis
PIP := -m pip --disable-pip-version-check install --progress-bar off

define MAKE_VENV
@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11")'
@echo "== Making $(@D) with $$($(PYTHON) --version)"
@$(PYTHON) -m venv $(@D)
endef

demo: $(DEMO_VENV)/.installed ## stream a story from the scripted model, or with HF_TOKEN from the Hugging Face router
	@echo "== Streaming"
	@$(DEMO_VENV)/bin/python -m responses_proto demo $(ARGS)

$(DEMO_VENV)/.installed: pyproject.toml
	$(MAKE_VENV)
	@echo "== Installing the library with the extras server and cli"
	@$(@D)/bin/python $(PIP) --no-compile --editable '.[server,cli]'
	@touch $@

install: $(VENV)/.installed ## make the development environment

$(VENV)/.installed: pyproject.toml
	$(MAKE_VENV)
	@echo "== Installing the library with its extras and the development tools; this takes a minute or two"
	@$(@D)/bin/python $(PIP) --upgrade pip
	@$(@D)/bin/python $(PIP) --editable '.[$(EXTRAS)]' --group dev
	@touch $@

test: install ## run the test suite
	$(BIN)/python -m pytest -n auto $(ARGS)

test-redis: install ## install redis-server from the system's packages, if it can, and run the tests that need it
	@sh tests/install_redis.sh
	$(BIN)/python -m pytest -n auto tests/server/test_processes.py tests/server/test_sharing.py tests/testing/test_stores.py $(ARGS)

test-lowest: $(LOWEST_VENV)/.installed ## run the test suite with the lowest declared versions of the dependencies
	$(LOWEST_VENV)/bin/python -m pytest -n auto --ignore-glob='tests/interop/test_*ai*.py' --ignore=tests/typing $(ARGS)

# Without the peers, which need newer versions than the library does.
$(LOWEST_VENV)/.installed: pyproject.toml tests/lowest.py
	$(MAKE_VENV)
	@echo "== Installing the lowest versions of the dependencies; this takes a minute or two"
	@$(@D)/bin/python tests/lowest.py > $(@D)/constraints.txt
	@$(@D)/bin/python $(PIP) --upgrade pip
	@$(@D)/bin/python $(PIP) --constraint $(@D)/constraints.txt --group tools \
	  --editable '.[$(EXTRAS),otel,aiohttp,httpx2,http2,testing]'
	@touch $@

check: install ## run ruff, pyright, mypy, the layer test and the typing tests
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/mypy
	$(BIN)/python -m tests.verify_types
	$(BIN)/python -m pytest tests/test_layers.py tests/typing

coverage: install ## measure each module that never awaits by its own tests
	$(BIN)/python -m tests.coverage_by_module $(ARGS)

fuzz: install ## run the tests of damaged streams and random requests for a long time
	$(BIN)/python -m pytest tests/protocol/test_damage.py tests/hostile/test_fuzz.py --hypothesis-profile=fuzz $(ARGS)

bench: install ## compare speed and memory with the peers; BENCH="--json FILE --plot FILE" keeps the results
	$(BIN)/python -m benchmarks $(BENCH)

docs: $(DOCS_VENV)/.installed ## build the site in build/site; warnings are errors
	$(DOCS_VENV)/bin/sphinx-build --fail-on-warning --keep-going --quiet -d build/doctrees docs build/site $(ARGS)
	@echo "== The site is in build/site/index.html"

$(DOCS_VENV)/.installed: pyproject.toml
	$(MAKE_VENV)
	@echo "== Installing the library with its extras and the site generator"
	@$(@D)/bin/python $(PIP) --upgrade pip
	@$(@D)/bin/python $(PIP) --editable '.[$(EXTRAS),otel,testing]' --group docs
	@touch $@

wheel: install ## build the wheel, and use it in an environment of its own
	$(BIN)/python -m tests.wheel

clean: ## remove the environments and what tools leave behind
	rm -rf .venv .venv-* build dist .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache

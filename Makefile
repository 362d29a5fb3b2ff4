# `make demo` and `make test` work on a fresh machine: Python 3.10 or newer and make are all they ask for.

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
# Three on two cores: some tests wait, and each worker takes seconds to import what they need, and up to 2 GB of memory.
WORKERS ?= 3
# Quick tests wait for nothing.
QUICK_WORKERS ?= 2

.PHONY: demo test test-quick quality style docs clean

demo: $(VENV)/.installed
	$(BIN)/python app.py

test: $(VENV)/.installed
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup

test-quick: $(VENV)/.installed
	$(BIN)/python -m pytest -n $(QUICK_WORKERS) --dist loadgroup -m "not slow and not browser and not e2e"

quality: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

style: $(VENV)/.installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.installed
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 10) else "hubgan needs Python 3.10 or newer; name one by PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) build dist site src/*.egg-info

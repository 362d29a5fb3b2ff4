# `make demo` and `make test` work on a fresh machine: Python 3.10 or newer and make are all they ask for.

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
# Arguments of `pip install`. The CPU build of PyTorch is smaller by several GB:
# make demo PIP_ARGS='--extra-index-url https://download.pytorch.org/whl/cpu'
PIP_ARGS ?=
# Three on two cores: some tests wait, and each worker takes seconds to import what they need, and up to 2 GB of memory.
WORKERS ?= 3
# Quick tests wait for nothing.
QUICK_WORKERS ?= 2

.PHONY: demo test test-quick gpu-check quality style docs dist clean

demo: $(VENV)/.demo
	@echo 'The demo starts. For the command hubgan, run in another terminal: . $(BIN)/activate'
	$(BIN)/python app.py

test: $(VENV)/.installed
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup

test-quick: $(VENV)/.installed
	$(BIN)/python -m pytest -n $(QUICK_WORKERS) --dist loadgroup -m "not slow and not browser and not e2e"

# Ten minutes on a machine with a GPU; the report is made to be pasted into an issue.
gpu-check: $(VENV)/.installed
	$(BIN)/python tests/gpu_check.py

quality: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

style: $(VENV)/.installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.installed
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@echo 'Open the web site in a browser: site/index.html'

dist: | $(VENV)/.created
	rm -rf dist
	$(BIN)/pip install --quiet build twine
	$(BIN)/python -m build
	$(BIN)/twine check --strict dist/*

# .demo stands for the packages of the demo, .installed for all packages of development.
$(VENV)/.demo: EXTRA = demo
$(VENV)/.installed: EXTRA = dev
$(VENV)/.demo $(VENV)/.installed: pyproject.toml | $(VENV)/.created
	@echo 'Installing hubgan[$(EXTRA)] into $(VENV): several GB with CUDA, which takes minutes.'
	$(if $(PIP_ARGS),,@echo 'Smaller, for CPUs: make $(or $(MAKECMDGOALS),demo) PIP_ARGS="--extra-index-url https://download.pytorch.org/whl/cpu"')
	$(BIN)/pip install $(PIP_ARGS) --editable '.[$(EXTRA)]'
	touch $@

$(VENV)/.created:
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 10) else "hubgan needs Python 3.10 or newer; name one by PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	touch $@

clean:
	rm -rf $(VENV) build dist site

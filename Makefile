# Needs Python 3.11 or newer with its venv module, and make. Everything else is installed into .venv.
PY ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help demo test lint fmt docs docs-serve bench clean

help:
	@echo "make demo    install, then run the order example"
	@echo "make test    install, then run the whole suite"
	@echo "make lint    ruff and mypy"
	@echo "make fmt     format the code"
	@echo "make docs    the documentation as a site: site/index.html"
	@echo "make bench   measure, beside raw SQLite and the naive matcher"

$(VENV)/.ready: pyproject.toml constraints.txt
	$(PY) -c 'import sys; sys.exit("aloma_py needs Python 3.11 or newer, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	$(PY) -m venv $(VENV)
	$(BIN)/pip install -q --disable-pip-version-check -c constraints.txt -e '.[test,dev,docs]'
	@touch $@

demo: $(VENV)/.ready
	@$(BIN)/python examples/demo.py

test: $(VENV)/.ready
	$(BIN)/python -m pytest

lint: $(VENV)/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

fmt: $(VENV)/.ready
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: export NO_MKDOCS_2_WARNING = 1
docs: $(VENV)/.ready
	@$(BIN)/mkdocs build --strict
	@echo "the documentation is in site/index.html"

docs-serve: export NO_MKDOCS_2_WARNING = 1
docs-serve: $(VENV)/.ready
	@$(BIN)/mkdocs serve --strict

bench: $(VENV)/.ready
	@$(BIN)/python tests/benchmarks/run.py

clean:
	rm -rf $(VENV) site

# `make demo` runs the main job and `make test` the tests; both set up what they need first.
# `EXTRA=ci` also sets up browsers, text games, the shop and the fuzzer, whose tests skip without.
PYTHON ?= python3
BIN := .venv/bin
EXTRA ?= dev

.PHONY: demo demo-metaworld demo-text demo-web test test-slow coverage lint docs clean help

help: ## List the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

.venv/bin/python:
	@echo "Setting up .venv (PyTorch is large: this takes a few minutes the first time) ..."
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv

.venv/%.installed: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --editable '.[$*]'
	@touch $@

demo: .venv/pusht.installed ## Record PushT, train tokenizer, MLE and RLVR, and print the table
	$(BIN)/rlvr-world demo pusht

demo-metaworld: .venv/metaworld.installed ## Record Meta-World, train on seven frames at a time, and print the tables
	$(BIN)/rlvr-world demo metaworld

demo-text: .venv/textworld.installed ## Make text games, train MLE and RLVR, and print the table
	$(BIN)/rlvr-world demo textworld

demo-web: .venv/web.installed ## Record web pages, train MLE and RLVR, print the tables and let agents plan
	$(BIN)/rlvr-world demo web

test: .venv/$(EXTRA).installed ## Run the tests
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

test-slow: .venv/$(EXTRA).installed ## Run the slow tests too
	$(BIN)/python -m pytest -m 'not gpu'

coverage: .venv/$(EXTRA).installed ## Run the tests and print the lines that they leave out
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --cov --cov-report=term-missing

lint: .venv/$(EXTRA).installed ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: .venv/docs.installed ## Build the site into docs/_build/html; links that lead nowhere are errors
	$(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going -c docs . docs/_build/html

clean: ## Delete what demos and runs made; .venv stays
	find checkpoints data -mindepth 1 -not -name README.md -delete

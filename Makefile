# Everything a reader, a class or a maintainer does. Needs make and Python 3.11 or newer, nothing else.
.DEFAULT_GOAL := help
SHELL := /bin/sh
.DELETE_ON_ERROR:

# The first Python that is new enough; `make PYTHON=/path/to/python3.12 book` chooses another.
NEW_ENOUGH = import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	$$p -c '$(NEW_ENOUGH)' >/dev/null 2>&1 && { echo $$p; break; }; done)
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
PYTEST := $(BIN)/python -m pytest -q
WORKERS ?= 2
NOTEBOOKS = $(wildcard book/*.ipynb)

# The nets of the course are small: one thread is several times faster than two on a busy laptop.
export OMP_NUM_THREADS := 1
export PYTHONUTF8 := 1

.PHONY: help book test test-package test-notebooks test-book lab serve execute lint ledger bench links clean

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' Makefile

.venv/pyvenv.cfg:
	@test -n "$(PYTHON)" || { echo "ganlab needs Python 3.11 or newer, and none was found: install it (python.org) and run make again." >&2; exit 1; }
	@$(PYTHON) -c '$(NEW_ENOUGH)' || { echo "ganlab needs Python 3.11 or newer, and $(PYTHON) is older or does not run." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' || { echo "This Python has no venv module: install it (Debian, Ubuntu: apt install python3-venv) and run make again." >&2; exit 1; }
	$(PYTHON) -m venv .venv

# The build backend first, and no build isolation: then a second run needs no network.
.venv/.book: pyproject.toml constraints.txt | .venv/pyvenv.cfg
	$(PIP) install -q -c constraints.txt hatchling editables
	$(PIP) install -q -c constraints.txt --no-build-isolation -e '.[book]'
	@touch $@

.venv/.test: .venv/.book
	$(PIP) install -q -c constraints.txt --no-build-isolation -e '.[book,torch,test]'
	@touch $@

book: .venv/.book  ## build the book, strictly, and say where it is
	$(BIN)/jupyter-book build . --all -W --keep-going -n
	@echo "The book is built. Open $(CURDIR)/_build/html/index.html"

# Four pytest runs, because notebooks, built pages and the package want different options.
test: test-package test-notebooks test-book  ## test everything: package, claims, notebooks, built book, ledger
	$(PYTEST) tests/test_claims.py

test-package: .venv/.test  ## package tests, claim tests and docstring examples
	$(PYTEST) -n $(WORKERS) --dist loadfile tests ganlab \
		--ignore=tests/test_book.py --ignore=tests/test_site.py --ignore=tests/test_claims.py

test-notebooks: .venv/.test  ## run every page and compare with its stored outputs
	@test -n "$(NOTEBOOKS)" || { echo "book/ has no notebook to test" >&2; exit 1; }
	$(PYTEST) -n $(WORKERS) --dist loadfile --nbval --nbval-current-env --nbval-cell-timeout 300 \
		--nbval-sanitize-with tests/nbval_sanitize.cfg $(NOTEBOOKS)

test-book: .venv/.test book  ## check the pages and the built site
	$(PYTEST) tests/test_book.py tests/test_site.py

lab: .venv/.test  ## open JupyterLab on the pages, for a class
	$(BIN)/jupyter lab --notebook-dir=book

serve: book  ## serve the built book on http://localhost:8000
	$(BIN)/python -m http.server --directory _build/html --bind 127.0.0.1 8000

execute: .venv/.test  ## run pages from a clean kernel and store their outputs: PAGE=book/xyz.ipynb, or all
	$(BIN)/python book/_tools/execute.py $(if $(PAGE),$(PAGE),$(NOTEBOOKS))

lint: .venv/.test  ## check the style of code and notebooks
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

ledger: .venv/.test  ## run all claim tests and record what they proved
	$(PYTEST) -n $(WORKERS) --dist loadfile --ledger tests/claims

bench: .venv/.test  ## measure the speeds that CHANGELOG.md quotes
	$(PYTEST) benchmarks --benchmark-only

links: .venv/.book  ## follow every outward link of the book (needs the network)
	$(BIN)/jupyter-book build . --all --builder linkcheck

clean:  ## remove what was built (not the environment)
	rm -rf _build .pytest_cache .ruff_cache .benchmarks

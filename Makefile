# `make design` and `make test` set everything up from nothing; each needs only a Python 3.11 to 3.13.

VENV := .venv
BIN := $(VENV)/bin
RUN := runs/design
SYSTEM := Li-Mn-O
# The first interpreter that starts and has the right version.
PYTHON := $(shell for p in python3.11 python3.12 python3.13 python3 python; do \
	"$$p" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' >/dev/null 2>&1 && { echo "$$p"; break; }; done)
# Errors only: what an index at hand does not have is no news.
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq
JOBS := $(shell $(PYTHON) -c 'import os; print(min(2, os.cpu_count() or 1))' 2>/dev/null || echo 1)
# Two worker processes that each open a thread per core would fight for the cores.
THREADS := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1

.PHONY: design test slow lint types layers house fuzz docs docs-serve columns bench format clean

design: $(VENV)/.installed
	$(BIN)/nucleate design pigen-mp -n 16 --where chemical_system=$(SYSTEM) -o $(RUN) $(if $(wildcard $(RUN)/run.json),--resume)

test: $(VENV)/.installed-dev
	$(THREADS) $(BIN)/python -m pytest -q -n $(JOBS)

slow: $(VENV)/.installed-dev
	$(THREADS) $(BIN)/python -m pytest -q -n $(JOBS) -m "slow or physical"

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check src tests benchmarks scripts
	$(BIN)/ruff format --check src tests benchmarks scripts

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix src tests benchmarks scripts
	$(BIN)/ruff format src tests benchmarks scripts

types: $(VENV)/.installed-dev
	$(BIN)/mypy

layers: $(VENV)/.installed-dev
	$(BIN)/lint-imports

# How the sources are built, in numbers; ARGS="--list words" names the places.
house: $(VENV)/.installed-dev
	$(BIN)/python scripts/house.py $(ARGS)

# Damaged files of every format; goes on where it was stopped. ARGS="--seed 1" for others.
fuzz: $(VENV)/.installed-dev
	$(THREADS) $(BIN)/python scripts/fuzz_readers.py build/fuzz $(ARGS)

# The site lies in build/site and opens without a server: build/site/index.html.
MKDOCS := NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs

docs: $(VENV)/.installed-docs
	$(MKDOCS) build --strict

docs-serve: $(VENV)/.installed-docs
	$(MKDOCS) serve

columns: $(VENV)/.installed
	$(BIN)/python scripts/columns_page.py

# Those that compare with a peer and need no data; the others say with --help what they want.
BENCHMARKS := cspnet descriptors local_environment_diversity other_interpreter relaxation sampling

bench: $(VENV)/.installed
	@for script in $(BENCHMARKS:%=benchmarks/%.py); do echo "== $$script"; $(THREADS) $(BIN)/python "$$script" || exit 1; done

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Nucleate needs Python 3.11, 3.12 or 3.13 on the PATH" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)

# Torch comes first and within the supported range: left to itself pip may take a newer build.
$(VENV)/.installed: pyproject.toml | $(BIN)/python
	$(PIP) install "torch>=2.10,<2.14"
	$(PIP) install -e .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml $(VENV)/.installed
	$(PIP) install -e ".[dev,fast-match]"
	@touch $@

$(VENV)/.installed-docs: pyproject.toml $(VENV)/.installed
	$(PIP) install -e ".[docs]"
	@touch $@

clean:
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache

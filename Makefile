# make demo: the main job on a simulated table; make test: the checks and the tests; make test-fast: those without Spark.
# They set up .venv first, once; it is made again only when pyproject.toml or requirements.lock changes.

VENV := .venv
READY := $(VENV)/.ready
AIRFLOW_VENV := .venv-airflow
AIRFLOW_READY := $(AIRFLOW_VENV)/.ready
BIN := $(VENV)/bin
PIP = $(BIN)/python -m pip --quiet --disable-pip-version-check
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3)
export PYSPARK_PYTHON := $(CURDIR)/$(BIN)/python
export OMP_NUM_THREADS ?= 1

.PHONY: demo test test-fast check docs setup lock clean

demo: $(READY)
	@$(BIN)/raresmith run conf/local.toml

test: $(READY)
	@$(MAKE) --jobs 2 check $(AIRFLOW_READY)  # one waits for downloads, the other computes
	$(BIN)/pytest --numprocesses 2 --dist loadgroup --no-loadscope-reorder

# The tests that start neither Spark nor torchrun.
test-fast: $(READY)
	$(BIN)/pytest --numprocesses 2 --dist loadgroup --no-loadscope-reorder -m 'not jvm and not torchrun'

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(READY)
	$(BIN)/python -c 'from raresmith.config.reference import page; print(page(), end="")' > docs/configuration.md

setup: $(READY)

$(READY): pyproject.toml requirements.lock | java
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null || \
	  { echo "raresmith needs Python 3.11 or 3.12 and found '$$($(PYTHON) --version 2>&1)'; install one, or name it: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo "Setting up $(VENV) (some minutes, once) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install --require-hashes --requirement requirements.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

# After a change of the requirements in pyproject.toml; what is locked already stays, unless UPGRADE=--upgrade is said.
lock: | java
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install uv
	UV_CUSTOM_COMPILE_COMMAND='make lock' $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --extra dev \
	  --generate-hashes --no-annotate $(UPGRADE) --output-file requirements.lock pyproject.toml

# Airflow pins versions of its own, so it lives beside the project.
$(AIRFLOW_READY): deploy/airflow/requirements.txt $(READY)
	@echo "Setting up $(AIRFLOW_VENV) (once) ..."
	@$(PYTHON) -m venv $(AIRFLOW_VENV)
	@$(AIRFLOW_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --requirement deploy/airflow/requirements.txt
	@touch $@

.PHONY: java
java:
	@sh deploy/check-java.sh

clean:
	rm -rf $(VENV) $(AIRFLOW_VENV) warehouse

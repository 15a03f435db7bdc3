# make repro: raw videos to report.  make test: all checks.  Both set up .venv first, once.
PYTHON ?= python3
VENV := .venv
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
# A user's own settings must not leak into the environment.
unexport PYTHONPATH PYTHONHOME

.PHONY: repro test clean
.DELETE_ON_ERROR:

repro: $(VENV)/.run
	@dualface params params.yaml > /dev/null
	dvc repro
	@dualface show results/metrics.json
	@echo "The report: $(CURDIR)/results/report.html"

test: $(VENV)/.test
	ruff check .
	ruff format --check .
	mypy
	MYPYPATH=benchmarks mypy benchmarks/*.py
	pytest

clean:
	rm -rf $(VENV)

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if (3, 11) <= v < (3, 14) else "dualface needs Python 3.11 to 3.13, and $(PYTHON) is %d.%d: make PYTHON=python3.12" % v[:2])'
	$(PYTHON) -m venv $(VENV)
	@python -m pip install --quiet --disable-pip-version-check --upgrade pip
	@touch $@

$(VENV)/.run: pyproject.toml requirements.lock $(VENV)/.python
	@echo "setting up $(VENV), once: several GB of packages, some minutes"
	@python -m pip install --quiet --disable-pip-version-check --constraint requirements.lock --editable .
	@git rev-parse --git-dir > /dev/null 2>&1 || dvc config --local core.no_scm true
	@touch $@

$(VENV)/.test: pyproject.toml requirements.lock $(VENV)/.run
	@python -m pip install --quiet --disable-pip-version-check --constraint requirements.lock --editable '.[test]'
	@touch $@

# The two commands: `make run` and `make test`. All else is for contributors: see CONTRIBUTING.md.
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip install --quiet --disable-pip-version-check --require-hashes

.PHONY: run test faults fuzz schema lint types imports checks bench lock clean

run: $(VENV)/runtime.stamp
	@exec $(PY) manage.py serve

test: $(VENV)/dev.stamp
	$(PY) -m pytest $(ARGS)

faults: $(VENV)/dev.stamp
	FAULT_ROUNDS=100 $(PY) -m pytest tests/faults $(ARGS)

fuzz: $(VENV)/dev.stamp
	FUZZ_EXAMPLES=300 $(PY) -m pytest tests/contract/test_schema.py $(ARGS)

schema: $(VENV)/dev.stamp
	$(PY) manage.py writeschema

lint: $(VENV)/dev.stamp
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

types: $(VENV)/dev.stamp
	$(VENV)/bin/mypy

imports: $(VENV)/dev.stamp
	$(VENV)/bin/lint-imports

checks: lint types imports
	$(PY) manage.py makemigrations --check --dry-run
	$(PY) manage.py check --deploy --fail-level WARNING

bench: $(VENV)/dev.stamp
	$(PY) benchmarks/fire_lag.py

lock: $(VENV)/dev.stamp
	$(VENV)/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header -o requirements.txt requirements.in
	$(VENV)/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header -o requirements-dev.txt requirements-dev.in

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(VENV)/created.stamp:
	@$(PYTHON) -c 'import sys; sys.exit("Cronsched needs Python 3.11 or newer; this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	@echo "Making the virtual environment in $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)
	@touch $@

# Development brings the runtime too, so a later `make run` has nothing left to install.
$(VENV)/runtime.stamp: $(VENV)/created.stamp requirements.txt
	@echo "Installing what Cronsched needs (once) ..."
	@$(PIP) -r requirements.txt
	@touch $@

$(VENV)/dev.stamp: $(VENV)/created.stamp requirements-dev.txt
	@echo "Installing what development needs (once) ..."
	@$(PIP) -r requirements-dev.txt
	@touch $(VENV)/runtime.stamp $@

# The two commands: `make run` and `make test`. All else is for contributors: see CONTRIBUTING.md.
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip install --quiet --disable-pip-version-check --require-hashes

.PHONY: run demo demo-github demo-clean cluster test test-long test-postgresql test-cluster faults fuzz docs lint types imports checks bench
.PHONY: image-check test-security bench-security sbom audit lock clean

run: $(VENV)/runtime.stamp
	@exec $(PY) manage.py serve

# Sample data in a data directory of its own, with a target on this machine whose jobs really fire; `make demo-clean`
# removes it.
DEMO := CRONSCHED_DATA_DIR=var/demo PORT=$${PORT:-5001} DEMO_ECHO_PORT=$${DEMO_ECHO_PORT:-5099} \
	CRONSCHED_ALLOWED_TARGETS=127.0.0.1 \
	CRONSCHED_ADMIN_PASSWORD=$${CRONSCHED_ADMIN_PASSWORD:-demo-password}

demo: $(VENV)/runtime.stamp
	@$(DEMO) $(PY) manage.py demo --echo-port $${DEMO_ECHO_PORT:-5099}
	@exec env $(DEMO) $(PY) manage.py serve

# A stand-in for GitHub on this machine, for trying workflows offline; start Cronsched with the settings that it prints.
demo-github: $(VENV)/runtime.stamp
	@echo "GITHUB_API_URL=http://127.0.0.1:$${GITHUB_PORT:-5098} GITHUB_TOKEN=any make run"
	@exec $(PY) -m demo.github_stand_in $${GITHUB_PORT:-5098}

demo-clean:
	rm -rf var/demo

# PostgreSQL, Redis, two web processes, two schedulers and two workers on this machine; Ctrl-C stops all. Data stays
# in var/cluster.
cluster: $(VENV)/dev.stamp
	@exec $(PY) -m deploy.cluster

test: $(VENV)/dev.stamp
	$(PY) -m pytest -m "not long" $(ARGS)

# The tests that drive a browser, start and kill processes, wait for real time, or fuzz.
test-long: $(VENV)/dev.stamp
	$(PY) -m pytest -m long $(ARGS)

# All tests but those of the browser and of installations that choose their database, on PostgreSQL.
test-postgresql: $(VENV)/dev.stamp
	$(PY) -m tests.on_postgresql $(ARGS)

# Attacks: roles, tokens, paths, headers, filters, uploads, slow clients, hostile targets.
test-security: $(VENV)/dev.stamp
	$(PY) -m pytest tests/security tests/accounts tests/executions/http tests/executions/completion \
		tests/executions/runs/test_hooks.py tests/console/pages/test_public.py tests/console/pages/test_feed.py \
		tests/console/pages/test_link_preview.py tests/cronsched/test_middleware.py $(ARGS)

# Load of attackers on a running installation; see its docstring.
bench-security: $(VENV)/dev.stamp
	$(PY) -m benchmarks.attacks

# The container image, built and run; on Debian, as root. See deploy/image_check.py.
image-check: $(VENV)/dev.stamp
	$(PY) -m deploy.image_check

# The software bill of materials (CycloneDX) of what requirements.txt installs.
sbom: $(VENV)/dev.stamp
	$(VENV)/bin/uvx --from cyclonedx-bom==7.5.0 cyclonedx-py requirements requirements.txt -o cronsched.sbom.json
	@echo "cronsched.sbom.json written."

# Known vulnerabilities of the locked versions; asks PyPI's database, so it needs the Internet.
audit: $(VENV)/dev.stamp
	$(VENV)/bin/uvx pip-audit==2.10.1 --require-hashes --disable-pip -r requirements.txt

faults: $(VENV)/dev.stamp
	FAULT_ROUNDS=100 $(PY) -m pytest tests/faults $(ARGS)

# The API's contract against PostgreSQL, Redis, two schedulers and two workers.
test-cluster: $(VENV)/dev.stamp
	TEST_CLUSTER=1 $(PY) -m pytest tests/contract $(ARGS)

fuzz: $(VENV)/dev.stamp
	FUZZ_EXAMPLES=300 $(PY) -m pytest tests/contract/test_schema.py $(ARGS)

docs: $(VENV)/dev.stamp
	$(PY) manage.py writedocs

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
	$(PY) -m benchmarks $(ARGS)

# The larger file first: both hold the same versions.
UV := $(VENV)/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header

lock: $(VENV)/dev.stamp
	$(UV) -o requirements-dev.txt requirements-dev.in
	$(UV) -c requirements-dev.txt -o requirements.txt requirements.in

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(VENV)/created.stamp:
	@$(PYTHON) -c 'import sys; ok = sys.version_info >= (3, 11); \
	    sys.exit(0 if ok else "Cronsched needs Python 3.11 or newer; this is " + sys.version.split()[0])'
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

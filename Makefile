# Everything that a fresh machine needs: `make run` and `make test`. See README.md.
PYTHON ?= python3
PORT ?= 8000
VENV := .venv
BIN := $(VENV)/bin
RUN := $(VENV)/.installed
DEV := $(VENV)/.installed-dev

# The type checker and the linter of revisions read Django's settings, and these must name a
# database; none is opened.
NOWHERE := $(foreach login,REGISTRY RUNTIME OWNER,TENANTRY_$(login)_URL=postgresql://nobody@localhost/none)

# What a run of the benchmarks writes, and what a quick one measures.
RESULTS := docs/performance/results.json
CORE := $(foreach each,append append-keyed read list,--scenario $(each))

.PHONY: run test test-slow lint bench bench-quick screenshots lock clean

run: $(RUN)
	@exec $(BIN)/python manage.py dev --port $(PORT)

test: $(DEV)
	$(BIN)/python -m pytest -m "not slow" --numprocesses 2 --dist loadfile --no-loadscope-reorder

test-slow: $(DEV)
	$(BIN)/python -m pytest -m slow

lint: $(DEV)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(NOWHERE) $(BIN)/mypy
	$(BIN)/lint-imports
	$(NOWHERE) $(BIN)/python manage.py rollout lint

# Everything that docs/performance.md shows; half an hour, on a machine with nothing else to do.
bench: $(DEV)
	$(BIN)/python -m benchmarks --json $(RESULTS)
	$(BIN)/python -m benchmarks.tables $(RESULTS) --into docs/performance.md
	$(BIN)/python -m benchmarks.plot $(RESULTS)

bench-quick: $(DEV)
	$(BIN)/python -m benchmarks --quick --peer bare --peer fastapi-orm $(CORE)

# The pictures of the admin in docs/screenshots/; takes Chromium.
screenshots: $(DEV)
	$(BIN)/python -m project.dev.screenshots

# Two locks, of what it takes to run and of what it takes to work on it; each holds every package
# with its hashes, for all platforms, and no address.
LOCK = $(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-header --quiet

lock: $(DEV)
	$(BIN)/python -m pip install --quiet uv
	$(LOCK) --all-extras --output-file requirements-dev.lock
	$(LOCK) --extra embedded --constraints requirements-dev.lock --output-file requirements.lock

PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all:

$(RUN): $(VENV)/.made
	@echo "Installing into $(VENV) …"
	@$(PIP) -r requirements.lock
	@touch $@

$(DEV): $(VENV)/.made
	@echo "Installing into $(VENV), with what the tests need …"
	@$(PIP) -r requirements-dev.lock
	@touch $(RUN) $@

$(VENV)/.made: requirements.lock requirements-dev.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "error: $(PYTHON) is too old or missing; Tenantry needs Python 3.11 or newer (make PYTHON=…)"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null \
		|| { echo "error: $(PYTHON) has no venv module; on Debian and Ubuntu: apt install python3-venv"; exit 1; }
	@rm -rf $(VENV)  # And not what it may be a link to.
	@$(PYTHON) -m venv $(VENV)
	@touch $@

clean:
	rm -rf $(VENV)

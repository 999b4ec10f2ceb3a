# Everything that a fresh machine needs: `make run` and `make test`. See README.md.
PYTHON ?= python3
PORT ?= 8000
VENV := .venv
BIN := $(VENV)/bin

# The type checker reads Django's settings, and these must name a database; none is opened.
NOWHERE := $(foreach login,REGISTRY RUNTIME OWNER,TENANTRY_$(login)_URL=postgresql://nobody@localhost/none)

.PHONY: run test test-slow lint bench-quick lock clean

run: $(VENV)/.installed
	@exec $(BIN)/python manage.py dev --port $(PORT)

test: $(VENV)/.installed
	$(BIN)/python -m pytest -m "not slow" --numprocesses 2 --dist loadfile

test-slow: $(VENV)/.installed
	$(BIN)/python -m pytest -m slow

lint: $(VENV)/.installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(NOWHERE) $(BIN)/mypy
	$(BIN)/lint-imports

bench-quick: $(VENV)/.installed
	$(BIN)/python -m benchmarks --quick

# The lock holds every package with its hashes, for all platforms, and no address.
lock: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-header --quiet --output-file requirements.lock

$(VENV)/.installed: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "error: $(PYTHON) is too old or missing; Tenantry needs Python 3.11 or newer (make PYTHON=…)"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null \
		|| { echo "error: $(PYTHON) has no venv module; on Debian and Ubuntu: apt install python3-venv"; exit 1; }
	@echo "Installing into $(VENV) …"
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r requirements.lock
	@touch $@

clean:
	rm -rf $(VENV)

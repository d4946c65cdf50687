# Every target installs what it needs: Debian, Python 3.11 to 3.13 and make are enough.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
INPUT ?= samples

.DEFAULT_GOAL := help
.PHONY: help label check test soak up down bench format docs openapi icons clean

help: ## show this help
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 12

label: $(VENV)/.runtime ## label the pictures in samples/, or INPUT=path
	@$(BIN)/smartsight label $(INPUT)

check: lint ## lint, types and unit tests, in seconds
	$(BIN)/pytest -q --numprocesses=2 --dist=loadscope tests/unit

test: lint ## lint, types and all tests
	@# Hundreds of processes start, which would all compile it where Python may not write bytecode itself.
	@$(BIN)/python -m compileall -q smartsight.py api_client commands producer results_api shared worker
	$(BIN)/pytest --durations=5 --numprocesses=4 --dist=loadscope --no-loadscope-reorder

.PHONY: lint
lint: $(VENV)/.development
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

soak: $(VENV)/.development ## kill servers and workers at random for an hour, or MINUTES=n
	SMARTSIGHT_TEST_SOAK_MINUTES=$(or $(MINUTES),60) $(BIN)/pytest -s --timeout=0 tests/faults/test_random.py

up: ## start RabbitMQ, Postgres, a worker and the API in containers
	@test -f .env || { echo 'Set passwords first: cp .env.example .env, and fill it in'; exit 1; }
	docker compose up --detach --build --wait

down: ## stop the containers; stored data is kept
	docker compose down

bench: $(VENV)/.development ## repeat the measurements of benchmarks/README.md
	$(BIN)/python -m benchmarks.label
	$(BIN)/python -m benchmarks.classify
	$(BIN)/python -m benchmarks.decoding
	$(BIN)/python -m benchmarks.accuracy
	$(BIN)/python -m benchmarks.memory
	$(BIN)/python -m benchmarks.pipeline
	$(BIN)/python -m benchmarks.submit
	$(BIN)/python -m benchmarks.pages
	$(BIN)/python -m benchmarks.fetching
	$(BIN)/python -m benchmarks.api
	$(BIN)/python -m benchmarks.export
	$(BIN)/python -m benchmarks.phone

format: $(VENV)/.development ## format the code and apply safe lint fixes
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(VENV)/.development ## generate the pages that come from the code
	$(BIN)/python -m tools.pages
	$(BIN)/python -c 'from shared.settings import as_markdown; print(as_markdown(), end="")' > docs/settings.md
	$(BIN)/python -c 'from shared.store.result_columns import as_markdown; print(as_markdown(), end="")' > docs/result-columns.md
	$(BIN)/python -c 'from results_api.service.app import openapi_json; print(openapi_json(), end="")' > docs/openapi.json

openapi: ## check docs/openapi.json by the recommended rules of Redocly and Spectral; needs Node.js
	npx --yes @redocly/cli@2 lint --extends recommended --max-problems 1000 docs/openapi.json
	npx --yes @stoplight/spectral-cli@6 lint --fail-severity warn docs/openapi.json

icons: $(VENV)/.development ## draw the icons from results_api/static/art, with Chromium
	$(BIN)/python -m tools.icons

clean: ## remove what was installed
	rm -rf $(VENV) build *.egg-info

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo 'Python 3.11 or newer is needed; choose one with make PYTHON=python3.12'; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); $(MAKE) --no-print-directory debian-venv; }

# Debian has venv in a separate package.
.PHONY: debian-venv
debian-venv:
	@test "$$(id -u)" = 0 || { echo 'Python cannot create virtual environments: sudo apt-get install python3-venv'; exit 1; }
	apt-get update -qq && apt-get install -qq -y python3-venv
	$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: $(BIN)/python pyproject.toml constraints.txt
	@echo 'Installing into $(VENV): a minute or two, once ...'
	@$(PIP) install --constraint constraints.txt --editable .
	@touch $@

$(VENV)/.development: $(VENV)/.runtime
	@$(PIP) install --constraint constraints.txt --editable '.[dev]'
	@touch $@

.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON := .venv/bin/python
# As pip does, uv trusts what this machine trusts, such as a company's own certificate.
ifneq ($(wildcard /etc/ssl/certs/ca-certificates.crt),)
export UV_SYSTEM_CERTS ?= true
endif
# A test process a core, at most 4: each may hold Spark and TensorFlow. PARALLEL= runs one after the other.
PARALLEL ?= -n logical --maxprocesses 4 --dist loadscope --no-loadscope-reorder
.PHONY: help setup nightly services services-down test test-all test-faults docker-test lint audit lock clean

help: ## List what make can do
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 15

setup: ## Make the locked environment in .venv
	@scripts/setup.sh

nightly: setup ## Run the night once on a generated sample shop
	@.venv/bin/nightshelf nightly --sample

services: setup ## Start PostgreSQL, an S3 store, Spark and Airflow as local processes
	@$(PYTHON) -m scripts.services up

services-down: setup ## Stop what 'make services' started; data stays in var/services
	@$(PYTHON) -m scripts.services down

test: setup ## Run the tests that CI runs
	@$(PYTHON) -m pytest -m "not slow" $(PARALLEL)

test-all: setup ## Run every test, the slow ones too
	@$(PYTHON) -m pytest $(PARALLEL)

test-faults: setup ## Run the fault suite whole: kills, races, lost replies, full disks, poison
	@timeout -s INT -k 120 10800 $(PYTHON) -m pytest tests/faults $(PARALLEL)

docker-test: setup ## Build the images, run a night in the whole stack, take it down; needs Docker
	@docker/try.sh

lint: setup ## Check style, types and what is known to be unsafe
	@.venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/mypy
	@.venv/bin/bandit -q -c pyproject.toml -r jobs models expectations dags benchmarks scripts docker

audit: setup ## Ask an advisory service, over the network, about every version that is locked
	@$(PYTHON) -m scripts.audit

lock: setup ## Lock the environment again, after a change of pyproject.toml
	@.tools/uv/bin/uv pip compile pyproject.toml --extra dev --generate-hashes --override overrides.txt \
	  --python-version 3.11 --no-emit-index-url --no-emit-find-links -q -o requirements.lock
	@docker/lock.sh

# Without the record in var/services nothing could stop the processes of 'make services'.
clean: ## Remove what runs made here: the sample shop, its lake, Airflow's files; var/services stays
	@! test -d var || find var/ -mindepth 1 -maxdepth 1 ! -name services -exec rm -rf {} +

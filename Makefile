# Everything a developer does here. Needs make, Python 3.11 or newer, and a package index.
.DEFAULT_GOAL := help
SHELL := /bin/bash

PYTHON ?= python3
UV_VERSION := 0.13.9
UV := .tools/bin/uv
UV_STAMP := .tools/.uv-$(UV_VERSION)
RUN := .venv/bin
STAMP := .venv/.synced
MANIFESTS := pyproject.toml uv.lock $(wildcard libs/*/pyproject.toml services/*/pyproject.toml)
SOURCES := $(wildcard libs/*/src services/*/src)
TESTS ?= tests
# Workers of pytest-xdist: 2 take about half the time; 0 runs the tests in one process, which
# also shows what they leave behind for one another. Long folders come first, so that no worker is left with one.
WORKERS ?= 2

# Tools that only `make check-manifests` needs, apart from the environment: they are large.
MANIFEST_TOOLS := .tools/manifests

# Services start in a third of the time from bytecode, so it is written also where the environment says not to.
unexport PYTHONDONTWRITEBYTECODE
STARTED := gateway.app, orchestrator.app, executor.app, knowledge.app, kwe.cli.up, kwe.local.stack

# A question may contain a dollar sign: hand it on as it was typed.
ifdef QUESTION
override QUESTION := $(value QUESTION)
export QUESTION
endif
ifdef CRASH
export CRASH
endif

##@ Use it

run: setup ## Start everything, run the example on QUESTION, and keep serving until Ctrl-C
	@$(RUN)/kwe up --example

demo: setup ## The same, but stop at the end: QUESTION='…' asks something else, CRASH=1 kills an executor
	@$(RUN)/kwe demo

clean: ## Throw away all local data (.kwe/)
	@if [ -e .kwe/owner.lock ] && command -v flock >/dev/null && ! flock -n .kwe/owner.lock true; then \
	  echo ".kwe/ is in use by process $$(cat .kwe/owner.lock): stop it first." >&2; exit 1; fi
	rm -rf .kwe

##@ Work on it

setup: $(STAMP) ## Create the environment, if anything changed since the last time
	@:

check: format lint types imports ## Everything CI runs, in the order that fails fastest
	@$(MAKE) --no-print-directory test

format: setup ## Is everything formatted?
	@$(RUN)/ruff format --check .

lint: setup ## Style and likely mistakes
	@$(RUN)/ruff check .

types: setup ## Static types
	@$(RUN)/mypy $(SOURCES)

imports: setup ## Who may import whom
	@$(RUN)/lint-imports

test: setup ## All tests, on real PostgreSQL and Valkey (TESTS=tests/unit for some of them)
	@$(RUN)/pytest -n $(WORKERS) --dist loadgroup --no-loadscope-reorder $(TESTS)

chaos: setup ## Kill, flush and restart things at random moments while work is going on
	@KWE_CHAOS_SECONDS=$${KWE_CHAOS_SECONDS:-120} $(RUN)/pytest tests/chaos -v -s

fix: setup ## Let the tools repair what they can
	@$(RUN)/ruff check --fix .
	@$(RUN)/ruff format .

check-manifests: setup $(MANIFEST_TOOLS)/.installed ## Render the Kubernetes manifests, check schemas and policies
	@$(MANIFEST_TOOLS)/bin/python deploy/k8s/check/check.py $(MANIFEST_TOOLS)
	@$(RUN)/pytest --quiet tests/architecture -k manifest

##@ Measure it

bench: setup ## Throughput, latency, fan-out, start-up, memory and idle cost
	@$(RUN)/python -m bench

bench-peers: setup ## The same work on other engines, side by side
	@$(RUN)/python -m bench.peers

##@ Ship it

images: ## Build the images: VERSION=1.4.0 and REGISTRY=registry.example.com/team name them
	@deploy/images/images.sh build

push: ## Push them, once built: VERSION and REGISTRY as above
	@deploy/images/images.sh push

sbom: setup ## What is in them, as CycloneDX, below dist/sbom
	@UV=$(UV) deploy/images/images.sh sbom

help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} \
	  /^##@/ {printf "\n%s\n", substr($$0, 5)} \
	  /^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# The stamp is older than a manifest only when there is something to install.
$(STAMP): $(MANIFESTS) | $(UV_STAMP)
	@[ -x $(RUN)/python ] || $(UV) venv --quiet --no-python-downloads --python $(PYTHON) .venv
	@$(UV) sync --no-python-downloads --all-packages --locked
	@$(RUN)/python -c 'import $(STARTED)'
	@touch $@

$(MANIFEST_TOOLS)/.installed: deploy/k8s/check/requirements.txt deploy/k8s/check/package.json | $(UV_STAMP)
	@$(UV) venv --quiet --allow-existing --no-python-downloads --python $(PYTHON) $(MANIFEST_TOOLS)
	@$(UV) pip install --quiet --python $(MANIFEST_TOOLS)/bin/python --requirement deploy/k8s/check/requirements.txt
	@cp deploy/k8s/check/package.json $(MANIFEST_TOOLS)/
	@if command -v npm >/dev/null; then \
	  npm install --prefix $(MANIFEST_TOOLS) --silent --no-audit --no-fund --no-package-lock; fi
	@touch $@

# The uv of this machine when it is the pinned one, otherwise one of our own.
$(UV_STAMP):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; name one with: make PYTHON=python3.11" >&2; exit 1; }
	@if [ "$$(uv --version 2>/dev/null | cut -d' ' -f2)" = "$(UV_VERSION)" ]; then \
	  mkdir -p .tools/bin && ln -sf "$$(command -v uv)" $(UV); \
	elif $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null; then \
	  $(PYTHON) -m venv .tools && .tools/bin/pip install --quiet uv==$(UV_VERSION); \
	elif $(PYTHON) -m pip --version >/dev/null 2>&1; then \
	  $(PYTHON) -m pip install --quiet --target .tools uv==$(UV_VERSION); \
	else \
	  echo "$(PYTHON) has neither venv nor pip. Install them (Debian and Ubuntu: apt install python3-venv)," >&2; \
	  echo "or install uv $(UV_VERSION) yourself, then run make again." >&2; exit 1; \
	fi
	@touch $@

.PHONY: run demo clean setup check format lint types imports test check-manifests chaos fix bench bench-peers images push sbom help

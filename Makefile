# Everything a person types. `make help` lists it.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup lock
PLATFORMCTL := .venv/bin/platformctl

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-14s %s\n", $$1, $$2}'

setup: ## Make the Python environment in .venv
	@.ci/setup

lock: ## Pin the Python packages again (needs .venv)
	@$${XDG_CACHE_HOME:-$$HOME/.cache}/platformctl/uv/bin/uv pip compile --quiet --upgrade --universal --generate-hashes \
	  --no-header --no-annotate --group dev pyproject.toml --output-file .ci/requirements.txt

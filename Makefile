# Everything a person types. `make help` lists it.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup demo lab-down test lint unit cases molecule mutation dirt kind kind-down kind-test conformance bench docs pictures source lock wheel release

PLATFORMCTL := .venv/bin/platformctl
LAB := inventories/lab

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-12s %s\n", $$1, $$2}'

setup: ## Install the Debian packages and make the Python environment in .venv
	@.ci/packages
	@.ci/setup

demo: setup ## Boot a lab of three hosts, install a site on it, run jobs on both schedulers
	@$(PLATFORMCTL) artifacts fetch -i $(LAB)
	@$(PLATFORMCTL) lab up
	@$(PLATFORMCTL) install -i $(LAB) --yes
	@$(PLATFORMCTL) verify -i $(LAB)
	@$(PLATFORMCTL) status -i $(LAB)

lab-down: ## Remove the lab of the demo
	@$(PLATFORMCTL) lab down

test: setup ## Lint, types, unit, integration and end-to-end tests
	@.ci/lint code
	@$(PLATFORMCTL) artifacts fetch -i $(LAB)
	@.ci/lint charts
	@.venv/bin/pytest --numprocesses=2 --no-loadscope-reorder \
	  tests/unit tests/properties tests/e2e tests/integration

lint: setup ## Lint and types only
	@.ci/lint code
	@$(PLATFORMCTL) artifacts fetch -i $(LAB)
	@.ci/lint charts

unit: setup ## Unit tests only: no lab, no root
	@.venv/bin/pytest --numprocesses=2 --no-loadscope-reorder tests/unit tests/properties

cases: setup ## Count which scripts and manifests are accepted (CASES=FOLDER), and run them both ways (RUN=LAB)
	@.venv/bin/python -m tests.cases $(if $(CASES),'$(CASES)') --files $(if $(RUN),--run '$(RUN)')

molecule: setup ## Try every role on labs of its own (SINCE=REVISION: only what changed concerns)
	@$(PLATFORMCTL) verify --molecule --list -i $(LAB) $(if $(SINCE),--since '$(SINCE)')
	@$(PLATFORMCTL) artifacts fetch -i $(LAB)
	@$(PLATFORMCTL) verify --molecule -i $(LAB) $(if $(SINCE),--since '$(SINCE)')

dirt: setup ## Try every situation of dirty hosts, on labs of its own (SEED=N: the same pairs again)
	@$(PLATFORMCTL) artifacts fetch -i $(LAB)
	@PLATFORMCTL_SEED=$(SEED) .venv/bin/pytest --dirt tests/e2e/test_dirt.py tests/e2e/test_removal.py tests/e2e/test_move.py

mutation: setup ## Change the code in small ways and tell what no test notices (MODULE=PATH: only there)
	@nice -n 15 .venv/bin/python -m tests.mutation $(MODULE)

kind: setup ## Make a kind cluster, install the charts on it (IMAGE=a public node image)
	@$(if $(IMAGE),podman pull --quiet '$(IMAGE)' >/dev/null || { echo 'error: IMAGE=$(IMAGE) cannot be had' >&2; exit 2; },:)
	@$(PLATFORMCTL) artifacts fetch -i inventories/kind
	@.venv/bin/python -m tests.kind up $(if $(IMAGE),--image $(IMAGE))
	@$(PLATFORMCTL) install -i inventories/kind --yes
	@$(PLATFORMCTL) status -i inventories/kind

kind-down: ## Remove the kind cluster
	@.venv/bin/python -m tests.kind down

kind-test: setup ## Test the charts on the kind cluster: install, again, upgrade, remove
	@$(PLATFORMCTL) artifacts fetch -i inventories/kind
	@.venv/bin/pytest tests/kind

conformance: setup ## Run Kubernetes' conformance suite on a lab of its own (FOCUS=part of the names)
	@.venv/bin/python -m tests.conformance --count $(if $(FOCUS),--focus '$(FOCUS)')
	@$(PLATFORMCTL) artifacts fetch -i $(LAB)
	@.venv/bin/python -m tests.conformance $(if $(FOCUS),--focus '$(FOCUS)')

bench: setup ## Measure, and say what got worse (RUNS=N: how often; FAIL=1: exit 1 then)
	@$(if $(filter-out 0 1,$(FAIL)),$(error FAIL=$(FAIL)? FAIL=1 fails when something got worse)):
	@.venv/bin/python -m tests.benchmarks $(if $(RUNS),--runs $(RUNS)) $(if $(filter 1,$(FAIL)),--fail-on-worse)

docs: setup ## Write variables.md, chart-values.md, benchmarks.md and cis.md in docs/ again from what they describe
	@$(PLATFORMCTL) schema --markdown > docs/variables.md
	@.venv/bin/python -m tests.chart_values > docs/chart-values.md
	@.venv/bin/python -m tests.benchmarks.document > docs/benchmarks.md
	@.venv/bin/python -m tests.cis > docs/cis.md

pictures: setup ## Record the pictures of the README on a lab of its own
	@.venv/bin/python docs/record.py demo docs/demo.svg --lab pictures
	@.venv/bin/python docs/record.py job docs/job.svg --lab pictures
	@$(PLATFORMCTL) lab down --name pictures

source: setup ## Take the lab's artefacts from elsewhere, and pin what is there: SOURCE=upstream, their publishers
	@echo 'artifacts_source: $(or $(filter upstream modules,$(SOURCE)),$(error which? SOURCE=upstream or SOURCE=modules))' \
	  > $(LAB)/group_vars/all/artifacts.yml
	@$(PLATFORMCTL) artifacts lock -i $(LAB)

wheel: ## Build the wheel of this commit in dist/, to install it elsewhere: pipx install ./dist/*.whl
	@.ci/setup
	@.venv/bin/python .ci/release.py wheel

release: ## Build all that is published of this commit in dist/: wheel, source, charts, SHA256SUMS
	@.ci/setup
	@.venv/bin/python .ci/release.py

lock: ## Pin the Python packages again (needs .venv)
	@$${XDG_CACHE_HOME:-$$HOME/.cache}/platformctl/uv/bin/uv pip compile --quiet --upgrade --universal \
	  --generate-hashes --no-header --no-annotate --group dev pyproject.toml --output-file .ci/requirements.txt

# What a person types: `make demo`, `make test`. Every target makes the environment it needs first.

# The first that FlowForge is tried with; where there is none, the rule of the environment says so.
PYTHON ?= $(shell for one in python3 python3.13 python3.12 python3.11; do $$one infra/tried_python.py 2> /dev/null && echo $$one && exit; done; echo python3)
SAM_VERSION := 1.170.0
CHECKOV_VERSION := 3.3.30
REGION ?= us-east-1
ARCH ?= x86_64

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_USER := 0
export SAM_CLI_TELEMETRY := 0
# Tests, demo and faults start processes by the hundred: each would compile our modules anew.
unexport PYTHONDONTWRITEBYTECODE
# The project's own folders are found from here, and its servers where they are said to be (the last three are FreeTDS').
unexport PYTHONSAFEPATH TDSHOST TDSPORT TDSVER

.PHONY: help demo build test test-fast test-pythons test-build test-sail test-s3 test-aws test-console screenshots test-api faults faults-quick soak lint format validate check-template clean bench bench-quick bench-lake bench-lake-full bench-files bench-load
.DEFAULT_GOAL := help

help: ## show this
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: .venv/stamp ## the whole chain on the sample bank: load, change, load again, check
	@.venv/bin/python -m demo

test: .venv/stamp ## all tests but those of faults and of Sail
	@.venv/bin/python -m tests

FAST := $(addprefix tests/,contracts engines gold lineage operations quality silver sources sql_policy tables)
NOT_FAST := $(addprefix --ignore tests/,tables/test_sail.py contracts/test_gate.py sources/files/test_long_records.py)
SPREAD := --numprocesses auto --dist loadscope --no-loadscope-reorder
FAST_TESTS := -q -r fE $(FAST) $(NOT_FAST) $(SPREAD)
test-fast: .venv/stamp ## of contracts, lineage, lake and sources what starts no server
	FLOWFORGE_TEST_FAST=1 .venv/bin/python -m pytest $(FAST_TESTS)

# Debian 12 has 3.11.2, Lambda 3.13, and a developer or CI often another one.
PYTHONS ?= $(wildcard /usr/bin/python3.11 /usr/bin/python3.13 /usr/local/bin/python3.13 $(HOME)/.pyenv/versions/3.13*/bin/python3.13)
test-pythons: .venv/stamp ## the same on Debian's own Python and on Lambda's, where the machine has them
	FLOWFORGE_TEST_FAST=1 .venv/bin/python -m tests.helpers.other_pythons $(PYTHONS) -- $(FAST_TESTS)

test-sail: .venv/stamp .venv-sail/stamp ## silver and gold read by Sail over Spark Connect, as by the other readers
	.venv/bin/python -m pytest tests/tables/test_sail.py

# Reports of their own, which .ci/run reads when all have ended.
faults-quick test-sail test-s3 test-aws test-api test-console: export PYTEST_ADDOPTS = --junitxml=.pytest_cache/$@.xml

# One folder a function and architecture, with a template that names them.
build: .venv/stamp ## the packages of all functions for Lambda, both architectures, with their sizes
	@.venv/bin/python -m infra.aws.build .aws-sam/packages

test-build: .venv/stamp ## the demo on packages alone, built for this machine's own Python
	@.venv/bin/python -m infra.aws.build .aws-sam/own --arch own --python own
	@.venv/bin/python -m demo --template .aws-sam/own/$(shell uname -m | sed s/aarch64/arm64/)/template.yaml

test-s3: .venv/stamp .venv-s3/stamp ## lake and stored files on an S3 that someone else wrote: SeaweedFS
	@.venv/bin/python -m tests.helpers.other_s3 .venv-s3/bin/weed

test-console: .venv/stamp .venv-console/stamp ## the console in a real Chromium: a user's whole story, every page, axe
	@$(CHROMIUM_THERE)
	@.venv/bin/python -m pytest -q tests/console

screenshots: .venv/stamp .venv-console/stamp ## the console's pictures in docs/
	@$(CHROMIUM_THERE)
	@.venv/bin/python -m tests.helpers.screenshots

test-api: .venv/stamp .venv-fuzz/stamp ## the local API under what Schemathesis makes of its description
	.venv/bin/python -m pytest -q tests/local_stack/test_fuzzed_api.py

AWS_TESTS ?= tests/functions
test-aws: .venv/stamp .venv-aws/stamp ## an AWS that someone else wrote, ministack: the template deployed, the bank to gold, the tests of functions
	@.venv/bin/python -m tests.helpers.other_aws .venv-aws/bin/ministack
	FLOWFORGE_TEST_AWS=.venv-aws/bin/ministack .venv/bin/python -m pytest -q $(AWS_TESTS) $(SPREAD)

faults: .venv/stamp ## kill -9, redelivery, outages, late committers: what was tried and what was lost
	@.venv/bin/python -m tests.faults

faults-quick: .venv/stamp ## a random selection of the same; CI runs it
	@.venv/bin/python -m tests.faults --quick

MINUTES ?= 10
soak: .venv/stamp ## loads under random writes and kills for MINUTES, and no drift: make soak MINUTES=60
	@.venv/bin/python -m tests.faults.soak --minutes $(MINUTES)

lint: .venv/stamp ## style, formatting and types
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/basedpyright

format: .venv/stamp ## mend what can be mended
	.venv/bin/ruff check --fix
	.venv/bin/ruff format

validate: .venv-sam/stamp ## the template, as AWS SAM sees it
	.venv-sam/bin/sam validate --lint --template template.yaml --region $(REGION)

# Without SAM and conditions, which it does not read; its reasoned exceptions are in the file of settings.
check-template: .venv/stamp .venv-checkov/stamp ## the template against checkov's rules of safe deployments
	@.venv/bin/python -m infra.aws.resolved .aws-sam/checkov/template.json
	@.venv-checkov/bin/python -m checkov.main --config-file infra/aws/checkov.yaml --file .aws-sam/checkov/template.json

clean: ## remove environments, caches and the local stack's data
	rm -rf .venv .venv-pythons .venv-sam .venv-sail .venv-s3 .venv-aws .venv-console .venv-fuzz .venv-checkov .flowforge .aws-sam .pytest_cache .hypothesis .ruff_cache *.egg-info

# A stamp tells a finished installation from one that was interrupted, or was begun by another Python.
.venv/stamp: pyproject.toml constraints.txt
	@$(PYTHON) infra/tried_python.py || [ $$? = 2 ]
	$(PYTHON) -m venv --clear .venv
	.venv/bin/pip install -qq --no-compile --constraint constraints.txt --editable '.[local,dev]'
	@touch $@

# An environment for one program, without a pip of its own and compiled modules, of which it loads a tenth to a half: that takes
# half of the CPU.
define installed
	$(PYTHON) -m venv --without-pip $(@D)
	.venv/bin/python -m pip --python $(@D)/bin/python install -qq --no-compile $(1)
	@touch $@
endef

# sam-cli pins what FlowForge pins otherwise, so it lives apart.
.venv-sam/stamp: | .venv/stamp
	$(call installed,aws-sam-cli==$(SAM_VERSION))

# checkov pins what FlowForge pins otherwise.
.venv-checkov/stamp: | .venv/stamp
	$(call installed,checkov==$(CHECKOV_VERSION))

# Sail, with the Spark Connect client that asks it, as one more reader of the lake: some 600 MB that nothing else needs.
.venv-sail/stamp: tests/helpers/sail.txt | .venv/stamp
	$(call installed,--requirement $<)

# SeaweedFS, a program of some 170 MB that only these tests need.
.venv-s3/stamp: tests/helpers/s3.txt | .venv/stamp
	$(call installed,--requirement $<)

# Playwright with the node that it brings, some 200 MB that only the console's tests need. The browser is Debian's, or that of CHROMIUM.
.venv-console/stamp: tests/helpers/console.txt | .venv/stamp
	$(call installed,--requirement $<)

CHROMIUM_THERE = command -v "$${CHROMIUM:-chromium}" > /dev/null || \
	{ [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium > /dev/null; } || \
	{ echo "no Chromium: install the package chromium, or name a program in CHROMIUM"; exit 1; }

# Schemathesis, a pytest plugin that the other tests do not need.
.venv-fuzz/stamp: tests/helpers/fuzz.txt | .venv/stamp
	$(call installed,--requirement $<)

# ministack, which pins what FlowForge pins otherwise.
.venv-aws/stamp: tests/helpers/aws.txt | .venv/stamp
	$(call installed,--requirement $<)

# Called by `sam build` for each function, with ARTIFACTS_DIR; the template says what belongs in it.
build-%: .venv/stamp
	.venv/bin/python -m infra.aws.package $* "$(ARTIFACTS_DIR)" --arch $(ARCH)

# Peers get environments of their own, .venv-bench-*, from benchmarks/*.txt when they first run.
bench-quick: .venv/stamp ## fetchmany, ConnectorX and FlowForge on the bank table; one JSON line at the end
	@.venv/bin/python -m benchmarks --quick

bench: .venv/stamp ## every contender and shape into docs/benchmarks.md: hours; see python -m benchmarks --help
	.venv/bin/python -m benchmarks --write

bench-lake: .venv/stamp ## merges, histories, gold and compaction against deltalake, pyiceberg, dlt; one JSON line at the end
	@.venv/bin/python -m benchmarks.lake

bench-lake-full: .venv/stamp ## the same with merges into a table of 20,000,000 rows: an hour
	@.venv/bin/python -m benchmarks.lake --rows 20000000 --batch 1000000

bench-files: .venv/stamp ## CSV, NDJSON and Parquet into Parquet against DuckDB's COPY and pyarrow
	@.venv/bin/python -m benchmarks.files

bench-load: .venv/stamp ## 200 tables and files under changes, kills and lost replies; and a model of many more
	@.venv/bin/python -m benchmarks.load

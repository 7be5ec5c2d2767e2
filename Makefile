# Everything here works from a fresh clone: the first target used makes a virtual environment and
# installs what it needs into it, from this project's own files.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Two files at a time: most tests wait for a broker or a process for half of their time. Each side has a broker of its own.
# One at a time, for a debugger say: make test PYTEST="-n 0 --pdb".
BESIDE := --numprocesses 2 --dist loadfile --no-loadscope-reorder
# What starts no process, imports no TensorFlow and takes no seconds; the folders are those that have such tests.
FAST := -m "not (broker or container or process or tensorflow or slow or soak)" --hypothesis-profile=quick \
    tests/unit tests/contract tests/conformance tests/test_*.py
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help demo test check lint format faults soak bench bench-peers audit sbom images compose clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.demo  ## the main job on an embedded broker: 1,000 prices in, 971 scores out, a picture
	$(BIN)/stream-scorer demo $(DEMO)

test: $(VENV)/.all  ## all tests, on a real Kafka broker (see README: where it comes from)
	$(BIN)/pytest $(BESIDE) $(PYTEST)

check: lint  ## lint, types and the fast tests, in a minute: no broker, no TensorFlow, no other process
	$(BIN)/pytest $(BESIDE) $(FAST) $(PYTEST)

lint: $(VENV)/.all  ## lint and types alone
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.all  ## put the code in order
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

faults: $(VENV)/.all  ## the fault suite alone: kill -9, rebalances, broker restarts, poison
	$(BIN)/pytest tests/faults -s $(PYTEST)

soak: $(VENV)/.all  ## the long runs: 30 minutes of every fault, 1,000 kills over 1,000,000 records, the shipped weights trained anew
	$(BIN)/pytest tests/faults tests/parity tests/integration/test_whole_api.py --soak=30 -m soak -s $(PYTEST)

bench: $(VENV)/.all  ## speed, latency, memory, start-up: tables and JSON, and ratios beside the kept ones
	$(BIN)/python -m bench $(BENCH)
	$(BIN)/python -m bench compare

bench-peers: $(VENV)/.all  ## the same two jobs in other engines, each in an environment of its own
	$(BIN)/python -m bench.peers $(BENCH)

# Asks a vulnerability service on the network, so no test and no CI step waits for it. It fails on a package that the
# service does not know, too: that one has not been looked at.
audit: $(VENV)/.all  ## known vulnerabilities of all packages that are installed here (needs PyPI)
	@$(BIN)/pip freeze --exclude-editable >$(VENV)/packages.txt
	$(BIN)/pip-audit --strict --no-deps --disable-pip --progress-spinner off --requirement $(VENV)/packages.txt $(AUDIT)

sbom: $(VENV)/.all  ## sbom.json: all packages that are installed here, with versions and licences (CycloneDX)
	$(BIN)/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible --of JSON -o sbom.json $(BIN)/python

images:  ## container images of the service and of a broker
	docker/build

compose: images  ## the main job in containers: Kafka, the service, a replay
	docker/up

clean:  ## remove the virtual environment and caches
	rm -rf $(VENV) sbom.json .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "make: $(PYTHON) is older than 3.11. Give another: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
	    { rm -rf $(VENV); echo "make: no virtual environment. On Debian or Ubuntu: apt-get install python3-venv" >&2; exit 1; }

# One stamp per set of extras, newer than the project file it was installed from.
$(VENV)/.%: pyproject.toml | $(BIN)/python
	@echo "installing stream-scorer[$*] into $(VENV) (TensorFlow is some 600 MB)"
	@$(BIN)/python -m pip install --quiet --editable '.[$*]'
	@touch $@

# `make run` and `make test` set themselves up; nothing else is needed beforehand but Python 3.11 or newer.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help setup run calibrate-demo faults fuzz soak test check lint types imports unit system bench install upgrade uninstall bundle prove-install clean
ARCH ?= aarch64
PY ?= 3.11
SECONDS ?= 30
FLOOD ?= 1e8
HOURS ?= 1

help:  ## what there is
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP)  ## virtual environment, packages, face detector

# Two steps, so that a change of code never installs anything, and a change of packages does.
$(STAMP): setup.cfg pyproject.toml models/manifest.toml
	@command -v $(PYTHON) >/dev/null || { echo "make: $(PYTHON) is not installed (apt-get install python3 python3-venv)"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "make: $(PYTHON) is older than 3.11; name a newer one: make PYTHON=python3.12 …"; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv $(VENV)  # also one that was begun only: Ctrl-C, or no python3-venv
	@echo "installing packages into $(VENV) (some minutes the first time) …"
	@$(BIN)/pip install --quiet --editable '.[dev]'
	@# Its own requirements exist on a Raspberry Pi only; the tests hold the driver to the package's signatures.
	@$(BIN)/pip install --quiet --no-deps picamera2==0.3.38
	@$(BIN)/python -m models prepare 640x384 320x192 >/dev/null
	@touch $@

run: $(STAMP)  ## the simulated station and the robot; Ctrl-C ends both
	@$(BIN)/patrol demo $(ARGS)

calibrate-demo: $(STAMP)  ## calibrate a simulated robot unattended; the true error of every figure at the end
	@$(BIN)/patrol-sim calibrate-demo $(ARGS)

faults: $(STAMP)  ## the fault matrix: every row breaks one thing before the unchanged robot (a quarter of an hour)
	@mkdir -p build
	@$(BIN)/python tests/faults/matrix.py --json build/faults.json --markdown build/faults.md $(ARGS)

# The fuzzer is no part of the packages for development: it exists for Linux on x86-64 alone.
fuzz: $(STAMP)  ## every byte parser before a fuzzer (SECONDS=30 each), 10⁸ damaged bytes through each codec (FLOOD=1e8)
	@$(BIN)/python -c 'import atheris' 2>/dev/null || $(BIN)/pip install --quiet --editable '.[fuzz]'
	@$(BIN)/python tests/fuzz/fuzz_run.py --seconds $(SECONDS) --flood $(FLOOD) --json build/fuzz/fuzz.json $(ARGS)

soak: $(STAMP)  ## the robot before its station for HOURS=1, random faults all the while; ARGS=--accelerated: in simulated time
	@$(BIN)/python tests/soak/soak.py --hours $(HOURS) $(ARGS)

test: check  ## every check that CI runs
check: lint types imports unit system

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

imports: $(STAMP)
	$(BIN)/lint-imports

unit: $(STAMP)
	$(BIN)/pytest -n 2 --dist loadfile -m "not system" tests

system: $(STAMP)  # whole processes wait most of the time: two beside each other keep one core of two busy
	$(BIN)/pytest -n 2 --dist loadfile -m system tests

bench: $(STAMP)  ## figures of this machine
	$(BIN)/patrol bench latency

install:  ## install the robot on this computer (as root; docs/installation.md)
	@systemd/install install

upgrade:  ## put this version beside the installed one and use it, if its doctor finds it fit (as root)
	@systemd/install upgrade

uninstall:  ## remove the robot; settings and events stay unless PURGE=1 (as root)
	@systemd/install uninstall

bundle: $(STAMP)  ## everything for a robot without internet: make bundle ARCH=aarch64 PY=3.11
	@systemd/bundle $(ARCH) $(PY) build

prove-install: $(STAMP)  ## installs on fresh Debian roots under a systemd of their own and tries every promise (as root; ten minutes)
	@mkdir -p build
	@$(BIN)/python tests/install/prove.py --json build/install.json $(ARGS)

clean:  ## remove the virtual environment and everything built
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

# make demo: set everything up and run the main job.   make test: the fast tests.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DATA ?=

.PHONY: setup demo test test-slow test-docker lint format benchmark clean

setup:
	@sh tools/setup.sh "$(PYTHON)" "$(VENV)"

demo: setup
	$(BIN)/cinc-ecg demo --out demo

test: setup
	$(BIN)/python -m pytest -n auto

test-slow: setup
	$(BIN)/python -m pytest -m slow

# Builds and runs the image; needs a Docker engine and the Dockerfile's base image.
test-docker: setup
	$(BIN)/python -m pytest -m docker -rs

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	git ls-files '*Dockerfile' | xargs $(BIN)/hadolint

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The published table: make benchmark DATA=folder-with-WFDB-records (simulated records otherwise).
benchmark: setup
	$(BIN)/python -m benchmarks.run $(if $(DATA),--data $(DATA)) --out docs/benchmarks.md

clean:
	rm -rf $(VENV) demo build dist *.egg-info

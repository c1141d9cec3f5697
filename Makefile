# make zoom   installs on first use and zooms a photo into zoomed/: make zoom PHOTO=mine.jpg SCALE=3.7
# make test   installs the test extras and runs every check; test-all adds the slow campaigns
PYTHON ?= python3
PHOTO  ?= examples/rooster.jpg
SCALE  ?= 3
OUT    ?= zoomed/

.PHONY: zoom test test-all clean

zoom: .venv/installed
	@.venv/bin/anyzoom zoom "$(PHOTO)" --scale "$(SCALE)" -o "$(OUT)" --overwrite

test: .venv/tested
	@scripts/check -n 2

test-all: .venv/tested
	@scripts/check -n 2 -m ""

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/installed: .venv/bin/python pyproject.toml constraints.txt
	@echo "Installing into .venv; the first time this takes a few minutes."
	@.venv/bin/python -m pip install --quiet --constraint constraints.txt --editable .
	@touch $@

.venv/tested: .venv/bin/python pyproject.toml constraints.txt
	@echo "Installing into .venv, with what the tests need."
	@.venv/bin/python -m pip install --quiet --constraint constraints.txt --editable '.[test]'
	@touch $@ .venv/installed

clean:
	rm -rf .venv zoomed .pytest_cache .mypy_cache .ruff_cache

# The commands of the README; each sets up what it needs.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: study test test-slow lint clean

study: .venv/study
	$(BIN)/python launch/sweep.py --preset demo
	$(BIN)/python analysis/fit_scaling.py

test: .venv/test
	$(BIN)/pytest -n auto --dist worksteal -m "not slow"

test-slow: .venv/test-slow
	$(BIN)/pytest -n auto --dist worksteal -m slow -rs --durations=40

lint: .venv/test-slow
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

clean:
	rm -rf .venv results

# A stamp file a group of packages: made again when what it depends on changes.
.venv/study: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch $@

.venv/test: .venv/study
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	touch $@

# With the compilers for hardware that is not here, the services of executors, and
# stores with their clients.
.venv/test-slow: .venv/test
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test,tpu-compile,gpu-compile,ray,slurm,gcs,s3,stores]'
	touch $@

# Each interpreter has an environment of its own, built again when the interpreter or the requirements change:
# `make test PYTHON=/path/to/python3.12` leaves .venv, that of the default python3, alone. Bytecode is made of what a run imports
# alone, since most of the packages is never imported, and here: container images often forbid to write it, and then every start of a
# command would take 3 s longer.
unexport PYTHONDONTWRITEBYTECODE
PYTHON ?= python3
ENV := $(if $(filter python3,$(PYTHON)),.venv,.venv-$(notdir $(PYTHON)))
STAMP := $(ENV)/.ready-$(shell { cat requirements.txt requirements-dev.txt; $(PYTHON) -c 'import sys; print(sys.executable, sys.version)'; } | cksum | cut -d' ' -f1)
RUN := $(ENV)/bin/python

# The benchmark's environment, with PyTorch: make bench BENCH="--only=lstm_step --repetitions=5"
BENCH ?=
BENCH_ENV := .venv-bench
BENCH_STAMP := $(BENCH_ENV)/.ready-$(shell { cat requirements.txt benchmarks/requirements.txt; $(PYTHON) -c 'import sys; print(sys.executable, sys.version)'; } | cksum | cut -d' ' -f1)

.PHONY: setup sweep test check bench clean

setup: $(STAMP)

sweep: $(STAMP)
	$(RUN) launch.py sweep --config=experiments/pronunciation.py --workdir=runs/pronunciation

test: $(STAMP)
	$(RUN) -m pytest -n 2 --dist loadfile tests

check: $(STAMP)
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m pyrefly check --python-interpreter-path=$(RUN)

bench: $(BENCH_STAMP)
	$(BENCH_ENV)/bin/python -m benchmarks.run $(BENCH)

clean:
	rm -rf .venv .venv-*

$(STAMP):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=/path/to/python3")'
	$(PYTHON) -m venv --clear $(ENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check --no-compile -r requirements-dev.txt
	$(RUN) -c "import launch, matplotlib.pyplot, seq2seq_jax.train.loop, seq2seq_jax.sweep.sweep, seq2seq_jax.compare.report"
	@touch $@

$(BENCH_STAMP):
	$(PYTHON) -m venv --clear $(BENCH_ENV)
	$(BENCH_ENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-compile -r benchmarks/requirements.txt
	@touch $@

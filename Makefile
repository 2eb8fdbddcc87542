# Each interpreter has an environment of its own, built again when the interpreter or the requirements change:
# `make test PYTHON=/path/to/python3.12` leaves .venv, that of the default python3, alone.
PYTHON ?= python3
ENV := $(if $(filter python3,$(PYTHON)),.venv,.venv-$(notdir $(PYTHON)))
STAMP := $(ENV)/.ready-$(shell { cat requirements.txt requirements-dev.txt; $(PYTHON) -c 'import sys; print(sys.executable, sys.version)'; } | cksum | cut -d' ' -f1)
RUN := $(ENV)/bin/python

.PHONY: sweep test check clean

sweep: $(STAMP)
	$(RUN) launch.py sweep --config=experiments/pronunciation.py --workdir=runs/pronunciation

test: $(STAMP)
	$(RUN) -m pytest -n 2 tests

check: $(STAMP)
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m pyrefly check

clean:
	rm -rf .venv .venv-*

$(STAMP): requirements.txt requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=/path/to/python3")'
	$(PYTHON) -m venv --clear $(ENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

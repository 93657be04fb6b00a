# Two commands do all the set-up: `make demo` and `make test`. Needs Python 3.11 with headers, a C++ compiler, make.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
LOCKED := $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes
CONFIG ?=
PORT ?=
EXECUTOR ?= local

.PHONY: help demo quick test long faults fuzz mutants tidy sanitize bench lint types imports up down clean lock

help:
	@echo "make demo    generate logs, run the daily DAG for some days, show the result"
	@echo "make quick   lint, and the tests of evaluation, store and top modules (tests/test_*.py), no MXNet: a minute"
	@echo "make test    lint, types, import contract, tests"
	@echo "make long    tests that take half a minute or more each (ten minutes)"
	@echo "make faults  every step of a day killed, failed or cut off from power at every call that changes its store (hours; EVERY=4: a fourth)"
	@echo "make fuzz    odd and damaged inputs of everything that is read, for SECONDS=600"
	@echo "make mutants small faults in the code, and whether the nearest tests notice them (an hour)"
	@echo "make tidy    clang-tidy over the native library (five minutes)"
	@echo "make sanitize  native libraries by g++ and clang++, -O0 to -O3, and with sanitizers: tests of operators on each (hours)"
	@echo "make bench   all benchmarks of speed, beside their peers, into docs/benchmarks/ (about an hour)"
	@echo "make up      local Airflow with its UI on 127.0.0.1 for every pipeline in conf/   (CONFIG=folder or file, PORT=8080)"
	@echo "             EXECUTOR=celery: with a message server and two workers"
	@echo "make down    stop it   (CONFIG=folder or file; default: every one of this checkout)"
	@echo "make clean   remove what the demo made (work/)"

.venv/cpu.stamp: requirements/build.lock requirements/cpu.lock setup.cfg
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11) and "Python 3.11 is needed: make PYTHON=/path/to/python3.11")'
	@echo "Installing the locked packages into .venv (1.4 GB, one to two minutes) ..."
	@$(PYTHON) -m venv .venv
	@$(LOCKED) -r requirements/build.lock
	@$(LOCKED) --no-build-isolation -r requirements/cpu.lock
	@touch $@

# The package itself, with its native operators, which are built anew when their sources change, and its bytecode, without
# which each command compiles all that it imports where PYTHONDONTWRITEBYTECODE is set.
.venv/package.stamp: .venv/cpu.stamp pyproject.toml setup.py $(wildcard pnn_gluon/ops/csrc/* pnn_gluon/data/csrc/*)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	@$(BIN)/python -m compileall -q pnn_gluon jobs dags
	@touch $@

.venv/test.stamp: .venv/package.stamp requirements/test.lock
	@$(LOCKED) --no-build-isolation -r requirements/test.lock
	@touch $@

# The workers of `make up EXECUTOR=celery`, and the server that hands them their tasks.
.venv/celery.stamp: .venv/package.stamp requirements/celery.lock
	@$(LOCKED) --no-build-isolation -r requirements/celery.lock
	@touch $@

# MLflow and OpenLineage, which the tests of tracking are tried against.
.venv/tracking.stamp: .venv/package.stamp requirements/tracking.lock
	@$(LOCKED) --no-build-isolation -r requirements/tracking.lock
	@touch $@

# `engine.kind = "spark"`; Java comes from the machine.
.venv/spark.stamp: .venv/package.stamp requirements/spark.lock
	@$(LOCKED) --no-build-isolation -r requirements/spark.lock
	@touch $@

# `export-onnx` and `score-table --engine onnxruntime`; what `make test` installs has them already.
.venv/onnx.stamp: .venv/package.stamp requirements/onnx.lock
	@$(LOCKED) --no-build-isolation -r requirements/onnx.lock
	@touch $@

# The CUDA build of MXNet in an environment of its own, 4.7 GB: the long tests of tests/test_cuda.py try it with no GPU.
.venv-cu112/stamp: requirements/build.lock requirements/cu112.lock
	@$(PYTHON) -m venv .venv-cu112
	@$(subst .venv,.venv-cu112,$(LOCKED)) -r requirements/build.lock
	@$(subst .venv,.venv-cu112,$(LOCKED)) --no-build-isolation -r requirements/cu112.lock
	@touch $@

demo: .venv/package.stamp
	@$(BIN)/pnn-gluon demo

# What loads no MXNet and starts no server, without the HTML report: a first answer in a minute; `make test` decides.
quick: lint
	$(BIN)/python -m pytest -n 0 $(filter-out tests/test_runtime.py,$(wildcard tests/test_*.py)) tests/store \
		tests/evaluation --ignore tests/evaluation/test_report.py

# A process for each core and one more, since some tests wait for servers, at most four: each has a PostgreSQL server and a
# small pipeline of its own. Bytecode of the tests is kept, which saves half of their loading the next time.
test: export PYTHONDONTWRITEBYTECODE :=
test: lint types imports
	$(BIN)/python -m pytest -n $$(($$(nproc) + 1)) --maxprocesses 4 --dist loadfile --no-loadscope-reorder

# What `make test` leaves out: the same again under other instruction sets and thread counts, kills of processes, races,
# and tracking and Spark, whose packages only this installs.
long: .venv/test.stamp .venv/celery.stamp .venv/tracking.stamp .venv/spark.stamp
	$(BIN)/python -m pytest tests/tracking tests/spark -n 0
	$(BIN)/python -m pytest -m long -n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder --ignore tests/faults

# What was tried and found is printed, a line for each step and kind of fault. STEPS="ingest and kill" for some,
# EVERY=4 for a fourth of the calls.
faults: .venv/test.stamp
	FAULTS_EVERY=$(or $(EVERY),1) $(BIN)/python -m pytest tests/faults -m long -n 0 -s $(if $(STEPS),-k "$(STEPS)")

# A finding is printed with its seed and made small. SECONDS=3600, TARGETS="lines json" for some, SEED=1 for the same again.
SECONDS ?= 600
fuzz: .venv/test.stamp
	$(BIN)/python -m tests.fuzz.search --seconds $(SECONDS) $(if $(SEED),--seed $(SEED)) $(TARGETS)

# Needs no package of .venv changed: the tool lies beside. MODULES="pnn_gluon/... ..." for some of tests/mutants.toml.
MUTMUT := mutmut==3.8.1 coverage==7.17.5 textual==8.2.8 mdit-py-plugins==0.7.0
mutants: .venv/test.stamp
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --upgrade --target work/mutants/tools $(MUTMUT)
	@PYTHONPATH=$(CURDIR)/work/mutants/tools $(BIN)/python -m tests.mutants $(MODULES)

sanitize: .venv/test.stamp
	@$(BIN)/python -m tests.ops.sanitize

bench: .venv/package.stamp .venv/onnx.stamp
	@$(BIN)/python -m benchmarks.all

lint: .venv/test.stamp
	$(BIN)/ruff check --config .ci/ruff.toml .
	$(BIN)/ruff format --config .ci/ruff.toml --check .
	$(BIN)/clang-format --dry-run --Werror pnn_gluon/ops/csrc/* pnn_gluon/data/csrc/*

# The tool (130 MB) lies beside .venv; -idirafter, so that of GCC's headers only omp.h is taken.
TIDY := work/tidy/tools
TIDY_FLAGS = -std=gnu++17 -fopenmp -Wno-psabi -Wno-unknown-pragmas -isystem $(wildcard \
	$(CURDIR)/.venv/lib/python3.*/site-packages/mxnet/include) -idirafter $(dir $(shell $(CXX) -print-file-name=include/omp.h))
tidy: .venv/test.stamp
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --upgrade --target $(TIDY) clang-tidy==23.1.4
	@for file in pnn_gluon/ops/csrc/*.cc pnn_gluon/data/csrc/*.cc; do \
		PYTHONPATH=$(TIDY) $(BIN)/python $(TIDY)/bin/clang-tidy --quiet $$file -- $(TIDY_FLAGS) || exit 1; done

types: .venv/test.stamp
	$(BIN)/mypy

imports: .venv/test.stamp
	$(BIN)/lint-imports --no-cache

up: .venv/package.stamp $(if $(filter celery,$(EXECUTOR)),.venv/celery.stamp)
	@$(BIN)/pnn-gluon up --executor $(EXECUTOR) $(if $(CONFIG),--config $(CONFIG)) $(if $(PORT),--port $(PORT))

down: .venv/package.stamp
	@$(BIN)/pnn-gluon down $(if $(CONFIG),--config $(CONFIG))

clean:
	rm -rf work

# Needs uv; keeps the versions of the present locks unless setup.cfg asks for others.
LOCK := uv pip compile --quiet --generate-hashes --no-annotate --python-version 3.11 --no-emit-index-url \
	--no-emit-find-links --custom-compile-command "make lock" setup.cfg
lock:
	$(LOCK) --extra cpu --extra all --output-file requirements/cpu.lock
	$(LOCK) --extra cpu --extra all --extra onnx --extra test --constraint requirements/cpu.lock \
		--output-file requirements/test.lock
	$(LOCK) --extra cu112 --extra all --constraint requirements/cpu.lock --output-file requirements/cu112.lock
	$(LOCK) --extra cpu --extra serve --constraint requirements/cpu.lock --output-file requirements/serve.lock
	$(LOCK) --extra cpu --extra all --extra celery --no-strip-extras --constraint requirements/cpu.lock \
		--output-file requirements/celery.lock
	$(LOCK) --extra cpu --extra all --extra tracking --constraint requirements/test.lock \
		--output-file requirements/tracking.lock
	$(LOCK) --extra cpu --extra all --extra spark --constraint requirements/cpu.lock \
		--output-file requirements/spark.lock
	$(LOCK) --extra cpu --extra serve --extra onnx --constraint requirements/test.lock --output-file requirements/onnx.lock

# Everything a fresh machine needs is Python 3.11 or 3.12 and make; each target sets up what it needs.
SHELL := /bin/bash
PYTHON ?= $(firstword $(foreach p,python3.11 python3.12 python3,$(if $(shell command -v $(p) >/dev/null 2>&1 && $(p) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' 2>/dev/null && echo yes),$(p))))
PY := .venv/bin/python
READY := .venv/.ready

.PHONY: e2e bench-serving aa car-loan lab lab-full ci-models permuted demo test test-slow check faults bench bench-quick lint types imports doctest clean lock help

help: ## Show the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

$(READY): requirements.lock requirements-uv.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "make: expected Python 3.11 or 3.12 on the path, found neither. Next: install one, or make PYTHON=/path/to/python"; exit 2; }
	@echo "Setting up .venv (once, about a minute) ..."
	@$(PYTHON) -m venv .venv
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.lock
	@.venv/bin/uv pip install --quiet --python $(PY) --require-hashes --compile-bytecode -r requirements.lock
	@.venv/bin/uv pip install --quiet --python $(PY) --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(READY) ## A year of real flights, night by night, under three policies
	@$(PY) examples/flights/prepare.py var/flights
	@.venv/bin/tidegate replay flights --from 2013-03-01 --to 2013-12-31 --history 2013-01-01 --policy all \
		--faults examples/flights/faults.yaml --id demo --fresh --out var/demo

# Two processes share the cores: threads of each would wait for those of the other.
test: $(READY) ## Unit, integration and browser tests; all but the slow ones
	@OMP_NUM_THREADS=1 $(PY) -m pytest -q -n 2 --dist loadfile -m "not slow"

test-slow: $(READY) ## The dear ones: Prefect UI in a browser, the lab's chain, more of `tidegate ci`, simulations (ten minutes; needs chromium)
	@$(PY) -m pytest -q -m slow

e2e: $(READY) ## All of it at work: up, a drifted night, the automation, a person in a browser, the gateway; var/e2e (5 min; needs chromium)
	@OMP_NUM_THREADS=1 $(PY) -m pytest -q -s tests/e2e/loop tests/e2e/up

check: $(READY) lint types imports doctest ## Everything else that CI asks for: style, types, arrows, examples

lint: $(READY)
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .

types: $(READY)
	@.venv/bin/mypy

imports: $(READY)
	@.venv/bin/lint-imports

doctest: $(READY)
	@$(PY) -m pytest -q --doctest-modules --ignore=tidegate/adapters/migrations tidegate serving

faults: $(READY) ## Every row of the fault catalogue that has a test, a line each
	@$(PY) tests/faults.py

bench: $(READY) ## Measure, beside the peers; writes var/bench and docs/benchmarks.md (25 min)
	@$(PY) examples/flights/prepare.py var/flights
	@$(PY) benchmarks/night.py
	@$(PY) benchmarks/drift.py
	@$(PY) benchmarks/history.py
	@PYTHONPATH=. $(PY) benchmarks/gateway.py
	@$(PY) benchmarks/page.py --date $$(date +%F) > var/bench/benchmarks.md
	@cp var/bench/benchmarks.md docs/benchmarks.md

bench-serving: $(READY) ## The gateway beside MLflow's server and FastAPI; kills and switches under load (40 min; ARGS="--rounds 1")
	@$(PY) examples/flights/prepare.py var/flights
	@PYTHONPATH=. $(PY) benchmarks/gateway.py $(ARGS)
	@PYTHONPATH=. $(PY) benchmarks/switching.py
	@PYTHONPATH=. $(PY) benchmarks/kill_loop.py --loops 200 --durability buffered --out var/bench/kill_buffered.json
	@PYTHONPATH=. $(PY) benchmarks/kill_loop.py --loops 200 --durability sync --out var/bench/kill_sync.json
	@$(PY) benchmarks/servingpage.py --date $$(date +%F) > docs/benchmarks-serving.md

bench-quick: $(READY) ## The cheaper peers at 100,000 and 1,000,000 rows; writes var/bench/drift-quick.json (6 min)
	@$(PY) benchmarks/drift.py --quick

permuted: $(READY) ## A year in which nothing drifts: no retrain may be for decay (SEEDS="1 2")
	@$(PY) examples/flights/prepare.py var/flights
	@$(PY) benchmarks/permuted.py $(SEEDS)

aa: $(READY) ## Does the false-alarm budget hold where nothing drifts? Four minutes or so (ARGS="--budget 2")
	@$(PY) examples/flights/prepare.py var/flights
	@.venv/bin/tidegate aa flights --from 2013-01-01 --to 2013-12-30 $(ARGS)

lab: $(READY) ## Known faults beside the rules of the trade, at the same false pages; var/lab/scoreboard.html (10 min)
	@$(PY) examples/flights/prepare.py var/flights
	@.venv/bin/tidegate lab flights --quick --from 2013-01-01 --to 2013-12-30 $(ARGS)

lab-full: $(READY) ## The same on 200 paired seeds; hours, and goes on where it was stopped
	@$(PY) examples/flights/prepare.py var/flights
	@.venv/bin/tidegate lab flights --full --from 2013-01-01 --to 2013-12-30 $(ARGS)

car-loan: $(READY) ## Estimates without labels beside NannyML's own, on its data (a minute)
	@PYTHONPATH=. $(PY) benchmarks/car_loan.py

ci-models: $(READY) ## What a pull request that touches a model must show; writes var/ci (about a minute)
	@$(PY) examples/flights/prepare.py var/flights
	@mkdir -p var/ci
	@.venv/bin/tidegate ci flights --out var/ci/flights.json --junit var/ci/flights.xml

lock: $(READY) ## Resolve the dependencies again
	@.venv/bin/uv pip compile -q -p 3.11 --universal --generate-hashes --no-header --no-emit-index-url \
		pyproject.toml --extra demo --group dev -o requirements.lock

clean: ## Remove the environment and all state
	rm -rf .venv var

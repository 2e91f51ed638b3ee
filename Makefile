# Two commands do all the set-up: `make demo` runs the main job, `make test` passes the tests.
# What they install goes into target/ and nowhere else.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo test bench lint duckdb peers databases clean-demo

# DuckDB's official shared library, as npm carries it: linking it takes seconds, compiling DuckDB half an hour.
DUCKDB_VERSION := 1.5.6-r.1
DUCKDB_PACKAGE_x86_64 := @duckdb/node-bindings-linux-x64
DUCKDB_PACKAGE_aarch64 := @duckdb/node-bindings-linux-arm64
DUCKDB_SHA256_x86_64 := 1b9f82478539bb9a1d1df44bd103121a12ae52142c07158dc52b97d2ec1d69ff
DUCKDB_SHA256_aarch64 := 3a45a6305b3235a781ed9de25aa795a3862acd042782d1f864e1bdb656de212b
MACHINE := $(shell uname -m)
DUCKDB_PACKAGE := $(DUCKDB_PACKAGE_$(MACHINE))
DUCKDB_LIBRARY := target/duckdb/libduckdb.so

# onnxruntime and scikit-learn: the peers that the recipe's predictions and metrics are compared with.
VENV := target/venv
# fake-gcs-server and bqemulator: what the Google Cloud adapters are tested against, beside Google's Pub/Sub emulator.
PEERS_VENV := target/venv-peers
# Ray: what the trainer of Ray clusters is tested against, and what the recipes on Ray run on.
RAY_VENV := target/venv-ray
# pysqlbridge, SecantusDB and fakesnow: what the sources SQL Server, MongoDB and Snowflake are tested against.
SOURCES_VENV := target/venv-sources
# PostgreSQL and MariaDB, and unixODBC with a driver: what the other sources are tested against.
DATABASES := postgresql mariadb-server unixodbc-dev odbc-postgresql openssl
# DuckDB and Polars: what ingest is measured beside.
BENCH_VENV := target/venv-bench

# Every adapter: what is tested and linted.
EVERYTHING := millstream/cloud,millstream/sources,millstream-serve-model/cloud

help: ## Show this.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

demo: duckdb ## Build Millstream and run the example pipelines: files in, a served model out.
	cargo build --profile demo --locked -p millstream
	target/demo/millstream demo --dir demo-project

test: duckdb peers databases $(VENV)/ready ## Run every test; ends with the counts.
	cargo test --workspace --features $(EVERYTHING) --locked --no-fail-fast 2>&1 | tee target/test.log | awk -f tests/count.awk

bench: duckdb peers databases $(BENCH_VENV)/ready ## Measure: hop time, a service, ingest and extraction beside others, start-up, predictions.
	@mkdir -p target/bench
	cargo build --release --locked -p millstream-tabular --example ingest_csv
	cargo build --release --locked -p millstream-extract-source --example extract_postgres
	cargo bench --locked -p millstream-tests | tee target/bench/log
	$(BENCH_VENV)/bin/python tests/bench/ingest.py target/release/examples/ingest_csv | tee -a target/bench/log
	$(BENCH_VENV)/bin/python tests/bench/extraction.py target/release/examples/extract_postgres | tee -a target/bench/log
	@echo && (echo "| measure | figures |"; echo "|---|---|"; grep '^|' target/bench/log) | tee target/bench/table.md

lint: duckdb ## Check formatting and clippy, warnings denied.
	cargo fmt --check
	cargo clippy --workspace --features $(EVERYTHING) --all-targets --locked -- -D warnings

duckdb: $(DUCKDB_LIBRARY) ## Fetch DuckDB's library into target/duckdb.

peers: $(PEERS_VENV)/ready $(RAY_VENV)/ready $(SOURCES_VENV)/ready ## Install the peers of the tests: target/venv-peers (610 MB), venv-ray (720 MB), venv-sources (490 MB).

databases: ## Install PostgreSQL, MariaDB and unixODBC from Debian's packages, where they are not there.
	@missing=$$(dpkg-query -W -f='$${Status} $${Package}\n' $(DATABASES) 2>/dev/null | awk '/^install ok installed/ {print $$4}' | sort | comm -13 - <(printf '%s\n' $(DATABASES) | sort)); \
	if [ -n "$$missing" ]; then \
	  echo "Installing" $$missing "from Debian's packages ..."; \
	  if [ "$$(id -u)" = 0 ]; then as_root=; else as_root=sudo; fi; \
	  $$as_root apt-get update -qq && $$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $$missing >/dev/null \
	    || { echo "Install them as your system does it, then run make test again:" $$missing >&2; exit 1; }; \
	fi

$(DUCKDB_LIBRARY):
	@test -n "$(DUCKDB_PACKAGE)" || { echo "No prebuilt DuckDB for $(MACHINE): build with --features bundled instead." >&2; exit 1; }
	@command -v npm >/dev/null || { echo "npm is needed to fetch DuckDB's library: install Node.js, or build with --features bundled." >&2; exit 1; }
	@mkdir -p target/duckdb
	@echo "Fetching DuckDB's library: $(DUCKDB_PACKAGE)@$(DUCKDB_VERSION) (23 MB) ..."
	@npm pack --silent --pack-destination target/duckdb "$(DUCKDB_PACKAGE)@$(DUCKDB_VERSION)" >/dev/null
	@echo "$(DUCKDB_SHA256_$(MACHINE))  $$(ls target/duckdb/*.tgz)" | sha256sum --check --quiet -
	@tar -xzf target/duckdb/*.tgz -C target/duckdb --strip-components=1 package/libduckdb.so
	@rm target/duckdb/*.tgz

$(VENV)/ready: tests/python/requirements.txt
	@echo "Installing the Python peers of the tests into $(VENV) ..."
	@python3 -m venv $(VENV)
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r tests/python/requirements.txt
	@touch $@

$(PEERS_VENV)/ready: tests/python/peers.txt tests/python/peers-alone.txt
	@echo "Installing fake-gcs-server, bqemulator and Vertex AI's messages into $(PEERS_VENV) (a minute) ..."
	@python3 -m venv $(PEERS_VENV)
	@$(PEERS_VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r tests/python/peers.txt
	@$(PEERS_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r tests/python/peers-alone.txt
	@touch $@

$(RAY_VENV)/ready: tests/python/ray.txt
	@echo "Installing Ray into $(RAY_VENV) (720 MB, a minute) ..."
	@python3 -m venv $(RAY_VENV)
	@$(RAY_VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r tests/python/ray.txt
	@touch $@

$(SOURCES_VENV)/ready: tests/python/sources.txt
	@echo "Installing pysqlbridge, SecantusDB and fakesnow into $(SOURCES_VENV) (490 MB, a minute) ..."
	@python3 -m venv $(SOURCES_VENV)
	@$(SOURCES_VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r tests/python/sources.txt
	@touch $@

$(BENCH_VENV)/ready: tests/bench/requirements.txt
	@echo "Installing what is measured beside into $(BENCH_VENV) (240 MB) ..."
	@python3 -m venv $(BENCH_VENV)
	@$(BENCH_VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r tests/bench/requirements.txt
	@touch $@

clean-demo: ## Remove the demo's folder, so that it starts afresh.
	rm -rf demo-project

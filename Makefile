# Two commands on a fresh machine: `make run` and `make test`. `make help` lists the rest.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help run test check setup web build e2e chaos fuzz bench example fmt clean

CARGO := cargo
RELEASE := $(or $(CARGO_TARGET_DIR),target)/release
BINARY := $(RELEASE)/causeway
FUZZ_SECONDS ?= 60
CHAOS_SECONDS ?= 300
TURN_SERVER := turn-server@4.1.5

help: ## List these targets
	@grep -E '^[a-z0-9]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

run: setup build ## Build everything in release mode and serve the demo on http://localhost:8080
	exec $(BINARY) serve $(RUN_FLAGS)

test: setup web ## Run all tests: Rust, TypeScript, and two real browsers end to end
	@scripts/test-rust
	npm test --silent
	@$(MAKE) --no-print-directory e2e

check: setup web ## Formatting, lints, types and documentation; changes nothing
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --all-features --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --locked --quiet
	npm run check --silent

e2e: setup build ## Move files between two Chromium processes, directly and through the relay
	CAUSEWAY_BIN=$(abspath $(BINARY)) npm run e2e --silent

chaos: ## Kill, freeze and cut nodes and Redis for CHAOS_SECONDS (300) and check every event; CAUSEWAY_CHAOS_SEED repeats
	CAUSEWAY_CHAOS_SECONDS=$(CHAOS_SECONDS) $(CARGO) test --locked -p causeway --test chaos -- --nocapture random_faults

fuzz: ## Fuzz each target for FUZZ_SECONDS (60)
	fuzz/run all $(FUZZ_SECONDS)

bench: ## Measure, side by side with others in one run (docs/benchmarks.md); read the ratios
	$(CARGO) bench --locked -p causeway-stun --bench codec
	$(CARGO) bench --locked -p causeway-turn-core --bench bucket
	$(CARGO) bench --locked -p causeway-turn-core --bench allocations
	$(CARGO) bench --locked -p causeway-turn-core --bench requests
	$(CARGO) build --release --locked -p causeway -p causeway-loadtest
	@test -x $(RELEASE)/competitors/bin/turn-server || $(CARGO) install $(TURN_SERVER) --locked --no-default-features \
	  --features udp --root $(RELEASE)/competitors || echo "turn-server could not be built; its rows will not be measured"
	@mkdir -p $(RELEASE)/competitors
	@cp loadtest/competitors/package.json loadtest/competitors/package-lock.json loadtest/competitors/socketio.mjs $(RELEASE)/competitors
	@npm ci --prefix $(RELEASE)/competitors --no-audit --no-fund --silent || echo "peer and socket.io could not be installed; their rows will not be measured"
	$(RELEASE)/loadtest relay --standard --compare coturn,turn-server --soak 60 --out $(RELEASE)/../bench $(BENCH_FLAGS); relay=$$?; \
	$(RELEASE)/loadtest signal --standard --compare peerjs,socketio --out $(RELEASE)/../bench $(SIGNAL_BENCH_FLAGS); signal=$$?; \
	exit $$(( relay > signal ? relay : signal ))

setup: ## Install what is missing, or say exactly what to install
	@scripts/setup

web: setup ## Build the web parts
	npm run build --silent

build: web ## Build the web parts and the binary in release mode
	$(CARGO) build --release --locked -p causeway

example: ## Write causeway.example.toml anew from the settings
	UPDATE_EXAMPLE=1 $(CARGO) test --quiet -p causeway --test example

fmt: ## Format everything
	$(CARGO) fmt --all
	npm run fmt --silent

clean: ## Remove what was built
	rm -rf target client/dist web-demo/dist

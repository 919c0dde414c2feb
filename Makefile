# Everything a developer does, by name. `make help` lists it.
SHELL := /bin/bash
.DEFAULT_GOAL := help
CARGO ?= cargo

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

.PHONY: setup
setup: ## Install what is missing: PostgreSQL, Redis, nats-server, WeasyPrint, the mail catcher, the OpenID provider
	@tests/setup/install.sh

.PHONY: up
up: setup ## Start the whole system with demo data, until Ctrl-C (PORT=8080 LOG=info)
	@$(CARGO) build --release --workspace --bins
	@exec target/release/stack up

.PHONY: down
down: ## Stop the system that `make up` started
	@if [ -f .argosy/pid ]; then kill "$$(cat .argosy/pid)" 2>/dev/null && while [ -f .argosy/pid ]; do sleep 0.1; done; else echo "it does not run"; fi

.PHONY: clean
clean: down ## Remove the system's data (what was installed and built stays)
	@tests/setup/clean.sh

.PHONY: build
build: ## Build every binary for development
	@$(CARGO) build --workspace --bins

.PHONY: generate
generate: build ## Write topology, OpenAPI, AsyncAPI and the communication matrix from the services' lists
	@target/debug/stack generate
	@$(CARGO) build --workspace --bins

.PHONY: format
format: ## Format the code
	@$(CARGO) fmt --all

.PHONY: check
check: ## Format, lints, documentation, generated documents, a client made of openapi.json; warnings are errors
	@tests/setup/install.sh client
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --locked --quiet
	$(CARGO) build --workspace --bins --locked
	target/debug/stack generate --check
	tests/setup/client/check.sh

.PHONY: test
test: setup ## All tests, on real parts
	$(CARGO) build --workspace --bins --locked
	$(CARGO) test --workspace --locked

.PHONY: chaos
chaos: setup ## Break everything under load, and prove that no promise was broken (SEED= DURATION=600 RATE= REPORT=)
	@$(CARGO) build --release --workspace --bins
	@target/release/stack chaos $(if $(SEED),--seed $(SEED)) $(if $(DURATION),--duration $(DURATION)) \
		$(if $(RATE),--rate $(RATE)) $(if $(REPORT),--report $(REPORT))

.PHONY: bench
bench: setup ## Measure the system against the limits of this machine (ROUNDS=3 SLICE=8 ONLY=)
	@$(CARGO) build --release --workspace --bins
	@target/release/stack bench $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(SLICE),--slice $(SLICE)) $(if $(ONLY),--only "$(ONLY)")

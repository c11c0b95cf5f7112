# Two commands matter: `make demo` and `make test`. Each installs what this machine lacks, builds, and does its work.
# `make help` lists the others.

CARGO ?= cargo
TARGET := $(if $(CARGO_TARGET_DIR),$(CARGO_TARGET_DIR),target)
CAUSEWAY := $(TARGET)/debug/causeway
# The bitcoind that scripts/bitcoind chose: BITCOIND_EXE, one on PATH, or the one built here.
WITH_BITCOIND = BITCOIND_EXE="$$(scripts/bitcoind)" || exit 1; export BITCOIND_EXE; echo "bitcoind: $$BITCOIND_EXE";

.PHONY: help deps bitcoind build demo dev test test-rust test-contracts model bench check advisories fmt release reproducible deb clean

help: ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

demo: build ## a whole network on this machine: peg in, pay, peg out, audit (KEEP=1 leaves it up)
	@$(WITH_BITCOIND) exec $(CAUSEWAY) demo --buyer tests/clients/buy_page.mjs $(if $(filter-out 0,$(KEEP)),--keep)

dev: build ## the local network for those who build on it, until Ctrl-C
	@$(WITH_BITCOIND) exec $(CAUSEWAY) dev

test: test-contracts test-rust ## every test, the end-to-end ones against bitcoind included

model: ## every state of a small model of the ledger, less than two minutes
	@python3 contracts/model/check.py --quick

test-contracts: deps
	@scripts/test-contracts

test-rust: deps
	@scripts/test-rust

bench: deps bitcoind ## how fast, as tables with the machine's description (SECONDS_OF_LOAD=60 for a short run)
	@$(WITH_BITCOIND) scripts/bench

check: deps ## formatting, lints, structure, licenses, committed artifacts fresh
	@scripts/check

advisories: ## known faults of dependencies, from RustSec's database (wants cargo-deny and a way to github.com)
	@cargo deny --version >/dev/null 2>&1 || { echo "cargo-deny is missing: cargo install --locked cargo-deny"; exit 1; }
	@cargo deny check advisories

build: deps ## target/debug/causeway, and the bitcoind that demo and tests run
	@scripts/build --bins

bitcoind: deps ## the bitcoind that demo and tests run: BITCOIND_EXE, one on PATH, or built once
	@scripts/bitcoind >/dev/null

deps: ## installs missing Debian and npm packages
	@scripts/deps

release: deps ## target/release/causeway, optimised for operators, with SHA256SUMS and a bill of materials (causeway.cdx.json)
	@scripts/release

reproducible: deps ## whether this commit, built in two different folders, is the same bytes (two releases' time)
	@scripts/reproducible

deb: release ## a Debian package of it with systemd units, in target/debian
	@scripts/deb

fmt: ## formats everything
	@$(CARGO) fmt --all

clean: ## removes what was built
	@$(CARGO) clean
	@rm -rf target/rocksdb target/bitcoind target/times

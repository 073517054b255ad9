# Everything runs from here: "make demo" and "make test" are all a newcomer needs.
SHELL := /bin/bash
export PATH := $(PATH):/usr/sbin:$(CURDIR)/bin

LINT_VERSION := v2.15.0
PROTOC_GEN_GO_VERSION := v1.36.12
FUZZTIME ?= 20s
FUZZ ?= Fuzz
FUZZFLAGS ?=
FAULTS ?= 1000
SEED ?= 0
ENGINE := telemetry/warehouse/testdata/engine

.PHONY: demo test race soak lint fuzz bench agreement gen build setup clean

demo: build ## the whole loop: simulated calls to learn from, real ones to judge by; about five minutes
	bin/attune demo $(ARGS)

test: setup $(ENGINE)/node_modules/.package-lock.json ## every test, with the race detector, against real servers
	CI=$${CI:-true} go test -race -timeout 15m ./...

race: test

soak: setup ## FAULTS faults injected into the way of reports, in about ten minutes; SEED of an earlier run repeats its faults
	CI=true go test ./telemetry/conservation -run '^TestConservation$$' -v -timeout 120m -args -faults $(FAULTS) -seed $(SEED)
	go test ./telemetry/getstats -run '^TestMemoryIsBounded$$' -v -timeout 30m -args -getstats.mib 1024 # imports of 1 GiB

$(ENGINE)/node_modules/.package-lock.json: $(ENGINE)/package-lock.json ## a current ClickHouse engine, for the tests of every query
	@command -v npm >/dev/null || { echo "the tests need Node.js with npm: apt-get install nodejs npm" >&2; exit 1; }
	npm ci --prefix $(ENGINE) --no-audit --no-fund

build: setup
	go build -o bin/attune ./cmd/attune

setup:
	@deploy/setup-debian

lint: bin/golangci-lint
	go vet ./...
	bin/golangci-lint run

bin/golangci-lint:
	GOBIN=$(CURDIR)/bin go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)

fuzz: setup ## each parser for FUZZTIME; FUZZ=FuzzUnmarshal fuzzes those whose names match, FUZZFLAGS="-parallel 1" leaves room for other work
	@targets=$$(grep -roE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' . | sed -E 's|/[^/]*:func | |' | grep -E '$(FUZZ)' | sort); \
	[ -n "$$targets" ] || { echo "no fuzz test matches FUZZ=$(FUZZ)" >&2; exit 1; }; \
	while read -r package target; do \
		echo "$$package $$target"; \
		go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 100x $(FUZZFLAGS) "$$package" </dev/null || exit 1; \
	done <<<"$$targets"

bench: setup ## timings; nothing is asserted. Writes out/bench
	go run ./telemetry/internal/bench -out out/bench/telemetry.json
	go run ./training/lab/internal/bench -out out/bench/lab.json
	go test -run '^$$' -bench . -benchmem ./...

agreement: setup ## real and simulated calls side by side, in some minutes; writes docs/agreement.svg and the table of docs/agreement.md
	go test ./training/lab/sim -run 'TestClocksAgree$$' -timeout 60m -count 1 -args -agreement.calls 6 -agreement.out $(CURDIR)/docs

gen: ## generated code; needs Debian's protobuf-compiler
	GOBIN=$(CURDIR)/bin go install google.golang.org/protobuf/cmd/protoc-gen-go@$(PROTOC_GEN_GO_VERSION)
	go generate ./...

clean:
	rm -rf bin out

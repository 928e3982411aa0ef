# The commands people type. `make run` shows the program at work, `make test` is what CI runs.

# The program is built, and tested, without cgo: one static file. `make race` alone needs a C compiler.
export CGO_ENABLED := 0

GO       := go
BIN      := bin/postroad
TOOLS    := .bin
FUZZTIME ?= 30s
BENCH    ?= .
COUNT    ?= 6
MINUTES  ?= 20

.PHONY: all build vet short check format modernized static dead architecture lint run test tests race property dns-differential soak upgrade-test fuzz bench man vuln clean

all: build vet short

build:
	$(GO) build -o $(BIN) ./cmd/postroad

vet:
	$(GO) vet ./...

short:
	$(GO) test -short ./...

# --- what is held without running the program ---

check: format modernized static dead architecture

format: $(TOOLS)/.tools
	@out=$$($(TOOLS)/gofumpt -l cmd internal tools/testreport) && if [ -n "$$out" ]; then \
		echo "gofumpt would change:"; echo "$$out"; exit 1; fi

modernized:
	@out=$$($(GO) fix -diff ./...) && [ -z "$$out" ] || { \
		echo "go fix would change:"; echo "$$out"; exit 1; }

static: $(TOOLS)/.tools
	$(TOOLS)/staticcheck ./...

# deadcode says what it finds and ends with 0: a line of output is the failure.
dead: $(TOOLS)/.tools
	@out=$$($(TOOLS)/deadcode -test ./...) && if [ -n "$$out" ]; then \
		echo "nobody reaches:"; echo "$$out"; exit 1; fi

architecture:
	$(GO) test ./internal/archtest
	$(GO) -C tools test ./testreport

lint: $(TOOLS)/golangci-lint
	$(TOOLS)/golangci-lint run ./...

# --- running it ---

man: build
	$(BIN) man bin/man/man1

run:
	@[ -x $(BIN) ] || echo "The first build takes one to three minutes; later ones take seconds."
	@$(MAKE) --no-print-directory build
	@exec $(BIN) serve --demo

# --- tests ---

test:
	scripts/install-test-deps
	@$(MAKE) --no-print-directory check
	@$(MAKE) --no-print-directory tests

# testreport shows what `go test` would have shown, then the skipped and the 20 slowest tests.
tests: SHELL := /bin/bash
tests: $(TOOLS)/.tools
	set -o pipefail; $(GO) test -shuffle=on -timeout 20m -json ./... | $(TOOLS)/testreport -slowest 20

race:
	CGO_ENABLED=1 $(GO) test -race -shuffle=on -timeout 30m ./...

# Kills the server at points chosen by chance until the time is over; SEED repeats a choice.
soak:
	POSTROAD_KILL_SEED=$(SEED) POSTROAD_KILL_MINUTES=$(MINUTES) $(GO) test -count=1 -v -timeout $$(($(MINUTES) + 10))m \
		-run '^TestKill9AtChosenSystemCalls$$' ./internal/acceptance
	POSTROAD_IMAP_ROUNDS=$$((30 * $(MINUTES))) POSTROAD_IMAP_STEPS=$$((20000 * $(MINUTES))) $(GO) test -count=1 -v -timeout $$(($(MINUTES) + 10))m \
		-run 'TestP1_3Kill9LosesNothingThatIMAPHasAnswered|TestManyClientsSeeTheSame' ./internal/acceptance ./internal/service/imapd

# Opens the data of earlier programs: of all release tags, or of REV.
upgrade-test:
	scripts/upgrade-test $(REV)

# explain against what receive does, over random installations.
property:
	POSTROAD_CASES=100000 $(GO) test -count 1 -run TestExplainIsWhatReceiveDoes -v ./internal/service/receive

# The name server against NSD and Knot: random questions for random zones, unsigned and signed. SEED makes other zones.
dns-differential:
	POSTROAD_PAIRS=100000 POSTROAD_SEED=$(SEED) $(GO) test -count 1 -timeout 10m -run OtherServers -v ./internal/service/dnsd

fuzz:
	scripts/fuzz $(FUZZTIME)

bench: $(TOOLS)/.tools
	@$(GO) test -run '^$$' -bench '$(BENCH)' -benchmem -count $(COUNT) ./... | tee $(TOOLS)/bench.txt
	@$(TOOLS)/benchstat $(TOOLS)/bench.txt

# The vulnerability database is asked over the network, so this is no part of check or test.
vuln:
	@if command -v govulncheck >/dev/null; then govulncheck ./...; else \
		echo "skipped: govulncheck is not installed; it needs the network for itself and for its database."; \
		echo "where there is one: go install golang.org/x/vuln/cmd/govulncheck@v1.9.0 && make vuln"; fi

# --- the tools, pinned in modules of their own ---

$(TOOLS)/.tools: tools/go.mod tools/go.sum $(wildcard tools/testreport/*.go)
	@mkdir -p $(TOOLS)
	$(GO) -C tools build -o ../$(TOOLS)/ tool
	$(GO) -C tools build -o ../$(TOOLS)/ ./testreport
	@touch $@

$(TOOLS)/golangci-lint: tools/lint/go.mod tools/lint/go.sum
	@mkdir -p $(TOOLS)
	@echo "building golangci-lint, about a minute the first time"
	$(GO) -C tools/lint build -o ../../$(TOOLS)/ tool
	@touch $@

clean:
	rm -rf bin $(TOOLS)

# Every target that a person types says what it does and how long it takes on
# 2 cores; `make help` prints them.

SHELL       := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

MODULE  := github.com/signalbox/signalbox
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS := -s -w -X main.version=$(VERSION)
# grpc's pages for browsers, which nobody sees here, run templates that may call any
# method by its name: with them the linker cannot leave out a single one. Pebble's
# zstd in C compresses nothing here; the one in Go is linked anyway.
TAGS    := grpcnotrace,pebblegozstd
# The client of models has thousands of small functions for services that nobody here
# asks; copies of them in each other are a megabyte, and make no model answer sooner. So
# has what parses conditions when a project loads, and what pebble makes errors of.
COLD := github.com/openai/openai-go/v3/... github.com/antlr4-go/antlr/v4/... cel.dev/cel-go/parser/... \
	github.com/cockroachdb/errors/... github.com/cockroachdb/redact/... github.com/gogo/protobuf/...

# Whatever is compiled here is compiled as the release is: other flags would compile
# all that it imports once more, which takes longer than most of the tests.
FLAGS := -trimpath -tags $(TAGS) $(COLD:%=-gcflags '%=-l')

# The release has no C in it: the same binary runs on any Linux, and what C allocates
# for pebble's cache is scattered, 90 MiB of it after a million starts. The race
# detector alone needs it.
export CGO_ENABLED := 0

# vet is a step of its own, which looks for more than go test would by itself.
GOTEST ?= test/run

# Rooms where goroutines share something: the race detector pays there. The one that
# takes longest comes first, and the others run beside it.
RACE := ./persistence/... ./actors/... ./runtime/... ./http/... ./executors/...
# Everything that is not itself a step of `make test` below.
UNIT  = $(shell go list ./... | grep -v -e '^$(MODULE)$$' -e '/test/acceptance$$' -e '/test/chaos$$')

FUZZTIME     ?= 10s
CHAOS_ROUNDS ?= 20
# The release before, for the rolling upgrade: a commit or a binary. Empty: as
# test/chaos/upgrade_test.go says.
PREVIOUS     ?=
# Coverage of workflow: of statements, and of the blocks between branches.
COVER_STATEMENTS := 95
COVER_BLOCKS     := 90

.PHONY: help
help: ## print this list
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## the release binary, bin/signalbox (about 1 min the first time)
	go build $(FLAGS) -ldflags '$(LDFLAGS)' -o bin/signalbox ./cmd/signalbox

# The steps of test share two cores and tell one story: one after the other.
.NOTPARALLEL:

.PHONY: test
test: lint unit race cover acceptance chaos ## everything that a change must pass (under 10 min)

.PHONY: lint
lint: format vet house ## gofmt, go vet and the house rules (15 s)

.PHONY: format
format:
	@unformatted=$$(git ls-files -z --cached --others --exclude-standard -- '*.go' | xargs -0 -r ls -d 2>/dev/null | xargs -r gofmt -l); \
	if [ -n "$$unformatted" ]; then echo "not as gofmt writes it; run gofmt -w on:"; echo "$$unformatted"; exit 1; fi

.PHONY: vet
vet:
	go vet $(FLAGS) ./...

.PHONY: house
house: ## the house rules alone (1 s)
	$(GOTEST) $(FLAGS) -count=1 .

.PHONY: unit
unit: ## unit, transcript, property and store tests of every room
	$(GOTEST) $(FLAGS) -timeout 5m $(UNIT)

.PHONY: race
race: ## the rooms with goroutines again, under the race detector
	CGO_ENABLED=1 $(GOTEST) $(FLAGS) -race -short -timeout 5m $(RACE)

.PHONY: acceptance
acceptance: ## scripts in time, the examples, and the seed's own programs
	$(GOTEST) $(FLAGS) -count=1 -timeout 3m ./test/acceptance/...

.PHONY: chaos
chaos: ## 20 rounds of kill -9 under load, and 20 of trouble for three nodes, a Redis that breaks, an upgrade and back, against the real binary (3 min); CHAOS_ROUNDS and CLUSTER_ROUNDS=1000 for a night
	CHAOS_ROUNDS=$(CHAOS_ROUNDS) CHAOS_PREVIOUS='$(PREVIOUS)' $(GOTEST) $(FLAGS) -count=1 -timeout 24h ./test/chaos/...

.PHONY: chaos-race
chaos-race: ## the same on a binary built for the race detector, 5 rounds, and the tests of several nodes in one process (2 min)
	CGO_ENABLED=1 GORACE=suppressions=$(CURDIR)/runtime/cluster/testdata/races $(GOTEST) $(FLAGS) -race -tags $(TAGS),fleet -short -count=1 -timeout 5m ./runtime/cluster
	CGO_ENABLED=1 go build $(FLAGS) -race -o bin/signalbox-race ./cmd/signalbox
	CHAOS_PROGRAM=$(CURDIR)/bin/signalbox-race CHAOS_ROUNDS=5 CLUSTER_ROUNDS=2 $(GOTEST) $(FLAGS) -count=1 -timeout 10m ./test/chaos/...

.PHONY: bench
bench: ## one table of figures, also as JSON in bench/results/ (under 10 min)
	go run ./test/bench

.PHONY: fuzz
fuzz: ## every fuzzer for FUZZTIME (10s each)
	@git ls-files --cached --others --exclude-standard -- '*_test.go' | xargs grep -HoE '^func Fuzz[A-Za-z0-9_]+' | \
	while IFS=: read -r file name; do \
		name=$${name#func }; echo "== $$name in ./$$(dirname "$$file")"; \
		go test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) "./$$(dirname "$$file")"; \
	done

.PHONY: cover
cover: ## coverage of workflow: 95 % of statements and 90 % of the blocks between branches
	@profile=$$(mktemp); trap 'rm -f "$$profile"' EXIT; \
	go test $(FLAGS) -vet=off -short -coverprofile "$$profile" -coverpkg=$(MODULE)/workflow ./workflow/...; \
	awk -v want_statements=$(COVER_STATEMENTS) -v want_blocks=$(COVER_BLOCKS) ' \
		NR > 1 { size[$$1] = $$2; if ($$3 > 0) hit[$$1] = 1 } \
		END { \
			for (b in size) { blocks++; statements += size[b]; if (b in hit) { blocks_hit++; statements_hit += size[b] } } \
			if (!blocks) { print "cover: no code of workflow was measured"; exit 1 } \
			s = 100 * statements_hit / statements; k = 100 * blocks_hit / blocks; \
			printf "cover: workflow, %.1f %% of statements (want %d), %.1f %% of blocks (want %d)\n", s, want_statements, k, want_blocks; \
			if (s >= want_statements && k >= want_blocks) exit 0; \
			for (b in size) if (!(b in hit)) print "cover: not reached: " b; \
			exit 1 \
		}' "$$profile"

.PHONY: clean
clean: ## remove what was built
	rm -rf bin

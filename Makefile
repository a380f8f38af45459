# Every target works on a clean clone with Go and make. Tests act as another
# user of the machine in one place, and therefore run as root.

GO     := go
BUILD  := CGO_ENABLED=0 $(GO) build -trimpath
SECONDS ?= 10

.PHONY: help
help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

.PHONY: build
build: ## the programs, in bin/
	$(BUILD) -o bin/ ./cmd/...

.PHONY: demo
demo: build ## a cloud and a device: make demo [OWNER=script] [FAULT=deny] [LAN=1] [KIND=car]
	@bin/cardea demo $(if $(OWNER),-owner $(OWNER)) $(if $(FAULT),-fault $(FAULT)) $(if $(LAN),-lan) $(if $(KIND),-kind $(KIND))

.PHONY: check
check: ## formatting, vet, and what go fix would change
	@test -z "$$(gofmt -l .)" || { echo "run gofmt -w on:"; gofmt -l .; exit 1; }
	$(GO) vet ./...
	@changes=$$($(GO) fix -diff ./... 2>&1); test -z "$$changes" || { echo "$$changes"; echo "run go fix ./..."; exit 1; }

.PHONY: test
test: check ## check, and all tests with the race detector
	$(GO) test -race -json ./... | $(GO) run ./internal/ci

.PHONY: fuzz
fuzz: ## every fuzz test for SECONDS each
	@for p in $$($(GO) list ./...); do \
	  for f in $$($(GO) test -list '^Fuzz' $$p | grep ^Fuzz); do \
	    echo "$$p $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(SECONDS)s $$p || exit 1; \
	  done; done

.PHONY: bench
bench: ## figures: decisions, messages, and whole processes on a real disk
	$(GO) test -run '^$$' -bench 'Decide' -benchmem . ./agent/gate
	$(GO) test -run '^$$' -bench . -benchtime 1x ./internal/e2e

.PHONY: vectors
vectors: ## write testdata/wire anew
	$(GO) test ./internal/wire -run TestVectors -update

.PHONY: clean
clean: ## what was built
	rm -rf bin

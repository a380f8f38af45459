# Every target works on a clean clone with Go and make. Tests act as another
# user of the machine in one place, and therefore run as root.

GO     := go
ROUNDS ?= 200
EVERY  ?= 1
BIN    ?= bin
BUILD  := CGO_ENABLED=0 $(GO) build -trimpath
# The agent is built for size: see docs/decisions/0014-size.md. It speaks
# HTTP/1.1 alone, and functions are put into their callers only where speed is
# felt: the runtime, the mathematics of the keys, the decision.
FAST   := runtime/... internal/runtime/... internal/bytealg internal/abi internal/byteorder sync/atomic math/bits \
	$(addprefix crypto/internal/,fips140/nistec/... fips140/bigmod fips140/sha256 fips140/aes/... fips140deps/...) \
	vendor/golang.org/x/crypto/chacha20... github.com/cardea-id/cardea github.com/cardea-id/cardea/agent/gate
# Go's runtime keeps its lists small: see docs/decisions/0029-footprint.md. Its folder
# begins with a dot, so that what is in it is no package of ours.
SMALL  := $(BIN)/.smallheap/overlay.json
AGENT  := -overlay $(SMALL) -tags nethttpomithttp2 -gcflags=all=-l $(patsubst %,-gcflags=%=,$(FAST))
FUZZTIME ?= 10s

# A test that hangs must be named before the whole run is given up.
TEST   := $(GO) test -timeout 8m
# SQLite is C that was translated: looking for races in it finds none of ours and
# takes most of the time of all tests.
RACE   := -race -gcflags=modernc.org/...=-race=false
# The root package is pure and starts no goroutine; its enumeration is not made
# three times as long by the race detector.
ROOT   := github.com/cardea-id/cardea

.PHONY: help
help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

.PHONY: $(SMALL)
$(SMALL):
	@GOOS= GOARCH= $(GO) run ./internal/smallheap $(@D) >/dev/null

.PHONY: build
build: $(SMALL) ## the programs, in bin/
	@echo "building cardea, cardea-cloud and cardea-agent into $(BIN)/"
	@$(BUILD) -o $(BIN)/ ./cmd/cardea ./cmd/cardea-cloud
	@$(BUILD) $(AGENT) -o $(BIN)/ ./cmd/cardea-agent

# Stripped, in MB, for each architecture. Without a floating-point unit every
# calculation with fractions is a call.
BUDGETS := amd64=9.0 arm64=9.0 arm=9.0 mipsle=9.6 riscv64=9.0
ARCHS   := $(foreach b,$(BUDGETS),$(firstword $(subst =, ,$b)))

.PHONY: size
size: $(ARCHS:%=size-%) ## the stripped agent for five architectures, each against its budget
	@echo "each is within its budget"

.PHONY: $(ARCHS:%=size-%)
$(ARCHS:%=size-%): size-%: $(SMALL)
	@GOARCH=$* GOARM=7 GOMIPS=softfloat $(BUILD) $(AGENT) -ldflags "-s -w" -o $(BIN)/linux-$*/ ./cmd/cardea-agent
	@stat -c %s $(BIN)/linux-$*/cardea-agent | awk '{ is = sprintf("%.2f", $$1 / 1e6); of = "$(patsubst $*=%,%,$(filter $*=%,$(BUDGETS)))"; \
	  printf "%-8s %5s MB of %s\n", "$*", is, of; if ($$1 > of * 1e6) { print "$* is over its budget: look at what was linked anew"; exit 1 } }'

.PHONY: demo
demo: build ## a cloud and a device: make demo [TLS=1] [LAN=1] [OWNER=script] [FAULT=deny] [KIND=car]
	@bin/cardea demo $(if $(OWNER),-owner $(OWNER)) $(if $(FAULT),-fault $(FAULT)) $(if $(LAN),-lan) $(if $(TLS),-tls) $(if $(KIND),-kind $(KIND))

.PHONY: check
check: ## formatting, vet, and what go fix would change
	@test -z "$$(gofmt -l .)" || { echo "run gofmt -w on:"; gofmt -l .; exit 1; }
	$(GO) vet ./...
	@changes=$$($(GO) fix -diff ./... 2>&1); test -z "$$changes" || { echo "$$changes"; echo "run go fix ./..."; exit 1; }

.PHONY: lint
lint: ## staticcheck; its version stands in tools.mod, apart from what we link
	$(GO) tool -modfile=tools.mod staticcheck ./...

.PHONY: strace
strace: # tests watch and break system calls with it
	@command -v strace >/dev/null || apt-get install -y strace || { apt-get update && apt-get install -y strace; }

.PHONY: tools
tools: # tests scan every picture of a code with another program than ours
	@command -v zbarimg >/dev/null && command -v rsvg-convert >/dev/null || \
	  apt-get install -y --no-install-recommends zbar-tools librsvg2-bin || { apt-get update && apt-get install -y --no-install-recommends zbar-tools librsvg2-bin; }

.PHONY: languages
languages: # the programs in the documents are built and run
	@command -v curl >/dev/null && command -v python3 >/dev/null && command -v gcc >/dev/null && ls /usr/include/*/curl/curl.h >/dev/null 2>&1 || \
	  apt-get install -y --no-install-recommends curl python3-minimal gcc libc6-dev libcurl4-openssl-dev || \
	  { apt-get update && apt-get install -y --no-install-recommends curl python3-minimal gcc libc6-dev libcurl4-openssl-dev; }

.PHONY: postgresql
postgresql: # tests start servers of their own
	@ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || apt-get install -y --no-install-recommends postgresql || \
	  { apt-get update && apt-get install -y --no-install-recommends postgresql; }

# The fonts are those of the languages the pages speak.
BROWSER := chromium fonts-noto-core fonts-noto-cjk fonts-thai-tlwg fontconfig
.PHONY: chromium
chromium: # tests look at the pages in a real browser
	@command -v chromium >/dev/null && fc-list 2>/dev/null | grep -q NotoSansCJK && fc-list | grep -q tlwg || \
	  apt-get install -y --no-install-recommends $(BROWSER) || { apt-get update && apt-get install -y --no-install-recommends $(BROWSER); }

# What stands on the database, to be tested on PostgreSQL too. What plays in a
# bubble of testing/synctest has a file there as well; those that are left out put
# files back.
STORE := ./store/accountdb/... ./cloud/ledger ./cloud/hub ./cloud/token ./pairing/issuer
FILES := ^(TestRestoreToEveryCommit|TestDeniedForEveryoneAfterARestore|TestForgottenListsAreRemembered)$$
# Every test creates a database on the server, and many do it at once.
ON_POSTGRES := CARDEA_DB=postgres $(GO) test -timeout 10m

.PHONY: test
test: check strace tools languages postgresql chromium ## check, and all tests with the race detector; DB=postgres: what stands on the database, on PostgreSQL
ifeq ($(DB),postgres)
	@$(ON_POSTGRES) $(RACE) -json -skip '$(FILES)' $(STORE) | $(GO) run ./internal/ci
else
	@{ $(TEST) -json $(ROOT); $(TEST) $(RACE) -json $$($(GO) list ./... | grep -vx $(ROOT)); } | $(GO) run ./internal/ci docs/rfc8628.md docs/rfc9449.md docs/features.md
endif

.PHONY: rows
rows: strace tools languages postgresql chromium ## what the product does, line by line, each shown by its tests: make rows [ROWS="30 31"]
	@$(GO) run ./internal/rows docs/features.md $(ROWS)

.PHONY: fuzz
fuzz: ## every fuzz test, each for FUZZTIME=10s
	@grep -ro --include='*_test.go' '^func Fuzz[A-Za-z0-9]*' . | sed 's/:func / /' | sort | while read file name; do \
	  echo "$$(dirname $$file) $$name"; \
	  $(GO) test -run '^$$' -fuzz "^$$name$$" -fuzztime $(FUZZTIME) ./$$(dirname $$file) || exit 1; \
	done

.PHONY: bare
bare: $(SMALL) # what the agent's socket is compared with
	@$(BUILD) $(AGENT) -o $(BIN)/ ./internal/bench/bare

.PHONY: bench
bench: languages strace idlers ## figures beside their goals: decisions, whole processes, an agent left alone, the disk: ten minutes
	@{ $(GO) test -run '^$$' -bench '^BenchmarkDecide$$' -benchtime 300ms -count 5 -benchmem . ./agent/gate && \
	  (cd internal/bench/peers && $(GO) test -run . -bench . -benchtime 300ms -count 5 -benchmem) && \
	  $(GO) test -run '^$$' -bench . -benchtime 1x ./internal/e2e && $(BIN)/idle/idle -bin $(BIN)/idle -bench || echo FAIL; } | $(GO) run ./internal/figures testdata/figures.txt

.PHONY: idlers
idlers: $(SMALL) # a cloud and an agent as a device gets it, and who looks at them
	@$(BUILD) -o $(BIN)/idle/ ./cmd/cardea-cloud ./internal/idle
	@$(BUILD) $(AGENT) -ldflags "-s -w" -o $(BIN)/idle/ ./cmd/cardea-agent

.PHONY: idle
idle: idlers ## an agent that is left alone: memory, wake-ups, bytes written, each beside its goal
	@$(BIN)/idle/idle -bin $(BIN)/idle

.PHONY: vm
vm: build ## an agent in a virtual machine in 1970: suspend, pause, power cuts; apt installs what is missing
	@command -v qemu-system-x86_64 mkfs.ext4 >/dev/null && ls /boot/vmlinuz-*-cloud-amd64 >/dev/null 2>&1 || \
	  apt-get install -y --no-install-recommends qemu-system-x86 linux-image-cloud-amd64 e2fsprogs
	@$(BUILD) -o bin/vm ./internal/torture/vm
	@bin/vm

.PHONY: kill
kill: build ## agent and cloud killed in the middle of writes, ROUNDS=200 times: nothing acknowledged is lost
	@$(BUILD) -o bin/ ./internal/torture/kill
	@bin/kill -rounds $(ROUNDS)

.PHONY: sectors
sectors: build ## every sector of what a device keeps zeroed and flipped, files cut off and lost: EVERY=1
	@$(BUILD) -o bin/ ./internal/torture/sectors
	@bin/sectors -every $(EVERY)

.PHONY: foreign
foreign: # what make interop plays against; the versions from npm stand in package-lock.json
	@for program in oidc-gen mosquitto_sub node npm; do command -v $$program >/dev/null || missing=yes; done; test -z "$$missing" || { \
	  packages="oidc-agent-cli mosquitto-clients $$(command -v npm >/dev/null || echo nodejs npm)"; \
	  apt-get install -y --no-install-recommends $$packages || { apt-get update && apt-get install -y --no-install-recommends $$packages; }; }
	@cd internal/interop/npm && npm ci --loglevel=error

.PHONY: interop
interop: build foreign ## others' clients and server against ours: make interop [PEERS="mosquitto oauth2"]; apt and npm install them
	@$(BUILD) -o bin/ ./internal/interop
	@bin/interop $(PEERS)

.PHONY: docs-test
docs-test: languages ## what stands in the documents: shell, curl, C, Go, Python and every command, run against real programs
	@{ $(TEST) -count 1 -json -run '^(TestIntegrate|TestOperate|TestEventsExamples)' ./internal/e2e; $(TEST) -count 1 -json ./cloud/admin; } | $(GO) run ./internal/ci

UNITS := cardea-agent.service cardea-cloud.service

.PHONY: looks
looks: build chromium
	@command -v npm >/dev/null || apt-get install -y --no-install-recommends nodejs npm || { apt-get update && apt-get install -y --no-install-recommends nodejs npm; }
	@cd internal/looks/npm && npm ci --loglevel=error
	@$(BUILD) -o $(BIN)/ ./internal/looks

.PHONY: axe
axe: looks ## every page of the owner, light and dark, in three widths, judged by axe-core: PAGE=name looks at one
	@$(BIN)/looks -bin $(BIN) -page "$(PAGE)" axe

.PHONY: shots
shots: looks ## a picture of every page in every language, light and dark, in two widths, in bin/shots: PAGE=name takes those of one
	@$(BIN)/looks -bin $(BIN) -page "$(PAGE)" shots

.PHONY: units
units: ## how exposed the systemd units are: each below 2.0
	@command -v systemd-analyze >/dev/null || apt-get install -y --no-install-recommends systemd || { apt-get update && apt-get install -y --no-install-recommends systemd; }
	@mkdir -p $(BIN); for u in $(UNITS); do systemd-analyze security --offline=true --threshold=19 --no-pager $(CURDIR)/deploy/systemd/$$u >$(BIN)/units.out 2>&1 || \
	  { cat $(BIN)/units.out; exit 1; }; tail -n 1 $(BIN)/units.out | sed 's/^→ //; s/ [^ ]*$$//'; done

VERSION ?= 0.1.0
DEBARCH := $(shell $(GO) env GOARCH)

.PHONY: deb
deb: $(SMALL) ## Debian packages in bin/deb, tried on a fresh Debian that boots with them: VERSION=0.1.0
	@command -v debootstrap >/dev/null && command -v systemd-nspawn >/dev/null || apt-get install -y --no-install-recommends debootstrap systemd-container || \
	  { apt-get update && apt-get install -y --no-install-recommends debootstrap systemd-container; }
	$(BUILD) -ldflags "-s -w" -o $(BIN)/deb/$(DEBARCH)/ ./cmd/cardea ./cmd/cardea-cloud
	$(BUILD) $(AGENT) -ldflags "-s -w" -o $(BIN)/deb/$(DEBARCH)/ ./cmd/cardea-agent
	@rm -f $(BIN)/deb/*.deb
	@for p in agent cloud tool; do ARCH=$(DEBARCH) VERSION=$(VERSION) BIN=$(BIN)/deb/$(DEBARCH) \
	  $(GO) tool -modfile=tools.mod nfpm package -f deploy/deb/$$p.yaml -p deb -t $(BIN)/deb/ || exit 1; done
	deploy/deb/check.sh $(BIN)/deb

EVENT_KILLS ?= 100
.PHONY: events
events: ## agent and cloud killed, EVENT_KILLS=100 times each, while events are collected and passed on: each arrives once
	@CARDEA_KILLS=$(EVENT_KILLS) $(GO) test -timeout 30m -count 1 -v -run '^TestIngestExactlyOnce$$' ./internal/e2e | grep -E 'kills=|^(---|FAIL|ok)'

KILLS ?= 10000
.PHONY: page
page: ## the page of answers: read after every instruction of its writer, and after KILLS=10000 kills; the C client on five machines
	@which clang qemu-riscv64-static riscv64-linux-gnu-gcc mipsel-linux-gnu-gcc aarch64-linux-gnu-gcc arm-linux-gnueabihf-gcc >/dev/null || \
	  apt-get install -y --no-install-recommends gcc libc6-dev clang qemu-user-static \
	    gcc-aarch64-linux-gnu libc6-dev-arm64-cross gcc-arm-linux-gnueabihf libc6-dev-armhf-cross \
	    gcc-mipsel-linux-gnu libc6-dev-mipsel-cross gcc-riscv64-linux-gnu libc6-dev-riscv64-cross
	@$(BUILD) -o $(BIN)/ ./internal/torture/page
	@$(BIN)/page -kills $(KILLS)

.PHONY: vectors
vectors: ## write testdata/wire anew
	$(GO) test ./internal/wire -run TestVectors -update

.PHONY: clean
clean: ## what was built
	rm -rf bin

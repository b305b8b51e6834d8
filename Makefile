# Everything about building, checking and running proxy-alb. `make help` lists the targets.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
# Servers are in sbin, which is not on everybody's PATH.
export PATH := $(PATH):/usr/local/sbin:/usr/sbin:/sbin

# RELEASE goes into the binary and onto the image.
RELEASE ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
# ARCH is the architecture that is built for, in Go's words.
ARCH ?= $(shell go env GOARCH)
FUZZTIME ?= 30s
IMAGE ?= proxy-alb
PLATFORMS ?= linux/amd64,linux/arm64

# The profile is of HTTP/2 and gRPC under load, see docs/performance.md. It is not called default.pgo: tests need not wait for it.
GO_BUILD := CGO_ENABLED=0 GOOS=linux GOARCH=$(ARCH) go build -trimpath -pgo=$(CURDIR)/cmd/proxy-alb/http2.pgo -ldflags '-s -w -X main.version=$(RELEASE)'
# The tools are pinned in a module file of their own, so that they are no dependency of whoever imports this module.
TOOL := go tool -modfile=tools/go.mod

##@ Run

.PHONY: run
run: build ## Build, then run the demo: a control plane, two origins and the proxy. Ctrl-C stops all
	@exec bin/alb-demo --proxy bin/proxy-alb

.PHONY: build
build: ## Build static binaries into bin/
	@mkdir -p bin
	$(GO_BUILD) -o bin/ ./cmd/...

##@ Check

.PHONY: test
test: fmt vet lint unit ## Everything that must pass: format, vet, lint, all tests with the race detector

.PHONY: fmt
fmt: ## Fail on files that gofmt would change
	@files=$$(gofmt -l .); [ -z "$$files" ] || { echo "not gofmt-ed:"; echo "$$files"; exit 1; }

.PHONY: vet
vet: ## go vet
	go vet ./...

.PHONY: lint
lint: ## staticcheck at the version of tools/go.mod; any finding fails
	$(TOOL) staticcheck ./...

.PHONY: unit
unit: ## All tests with the race detector, and without it those of allocations, which it would falsify
	@command -v "$$(go env CC)" >/dev/null || { echo "the race detector needs a C compiler: make deps-test"; exit 1; }
	CGO_ENABLED=1 go test -race ./...
	go test -run Alloc ./balancer ./bench/... ./internal/acceptance ./proxy/... ./ratelimit ./stats

.PHONY: attack
attack: ## The attacks of internal/attack at full length, with what each costs the proxy
	go test -count=1 -v -timeout 30m ./internal/attack -attack.full $(ATTACKFLAGS)

.PHONY: managed
managed: ## The proxy under control planes at full length: 1,000 random snapshots under traffic, a corpus, test drivers
	go test -count=1 -v -timeout 30m ./internal/managed -managed.full $(MANAGEDFLAGS)

.PHONY: conformance
conformance: ## HTTP/2, gRPC and TLS against h2spec, h2specd, grpc-go's interoperability tests, nghttp, h2load, curl, openssl and sslscan
	go test -count=1 -v ./internal/conformance

.PHONY: fuzz
fuzz: ## Run each fuzz target for FUZZTIME, 30s or a number of runs such as 5000x
	@.ci/fuzz $(FUZZTIME)

.PHONY: bench
bench: build ## Measure against nginx, HAProxy and nghttpx, as far as they are installed: the scenarios that have goals but for TLS, under 5 minutes
	bin/alb-bench --proxy bin/proxy-alb $(BENCHFLAGS)

ALL_SCENARIOS := h1-small,h1-1k-headers,h1-64k,h1-mixed,h1-pipelined,h1-1m,h1-1m-up,routes-10k,h1-churn,rate-limited,h2-h2,h2-h1,grpc-unary,grpc-stream,websocket-tunnel,tcp-proxy,h2-1g,h2-stalled-1k,idle-10k,h2-idle-10k,xds-10k,config-churn,moduleservice-calls,tls-h1,tls-h2,tls-handshake,tls-resume,tls-1m,tls-idle-10k,growth-connections,growth-routes-first,growth-routes-last,growth-clusters,growth-body,growth-workers
.PHONY: bench-full
bench-full: build ## Measure every scenario, and the benchmarks of the packages
	bin/alb-bench --proxy bin/proxy-alb --scenario $(ALL_SCENARIOS) $(BENCHFLAGS)
	go test -run '^$$' -bench . -benchmem ./...

README_SCENARIOS := h1-small,h2-h2,h2-h1,grpc-unary,h2-1g,h2-stalled-1k,idle-10k,h2-idle-10k,xds-10k
.PHONY: tables
tables: build ## Put the figures of REPORTS, files of bench --json, into README.md and docs/performance.md
	bin/alb-bench table --into docs/performance.md $(REPORTS)
	bin/alb-bench table --into README.md --scenario $(README_SCENARIOS) $(REPORTS)

##@ Generate and pack

.PHONY: proto
proto: ## Generate moduleservice/marchproxypb from moduleservice/marchproxy.proto
	@mkdir -p bin/tools
	@for plugin in protoc-gen-go protoc-gen-go-grpc; do \
	  ln -sf "$$($(TOOL) -n $$plugin)" bin/tools/$$plugin; \
	done
	PATH="$(CURDIR)/bin/tools:$$PATH" protoc \
	  --go_out=. --go_opt=module=$$(go list -m) \
	  --go-grpc_out=. --go-grpc_opt=module=$$(go list -m) \
	  moduleservice/marchproxy.proto

# The file system of the image. The Dockerfile's build stage and image-local both make it with this target.
ROOTFS ?= bin/rootfs/$(ARCH)
CA_CERTIFICATES ?= /etc/ssl/certs/ca-certificates.crt
.PHONY: rootfs
rootfs: ## Assemble the file system of the image for ARCH in ROOTFS
	@rm -rf $(ROOTFS) && mkdir -p $(ROOTFS)/etc/ssl/certs $(ROOTFS)/etc/envoy
	$(GO_BUILD) -o $(ROOTFS)/proxy-alb ./cmd/proxy-alb
	@echo 'proxy-alb:x:101:101:proxy-alb:/:/sbin/nologin' > $(ROOTFS)/etc/passwd
	@echo 'proxy-alb:x:101:' > $(ROOTFS)/etc/group
	@cp -L $(CA_CERTIFICATES) $(ROOTFS)/etc/ssl/certs/ca-certificates.crt
	@chmod -R u=rwX,go=rX $(ROOTFS)

.PHONY: image
image: ## Build the image for PLATFORMS with docker buildx, or with buildah where there is no docker. PUSH=1 pushes it
	@.ci/image $(IMAGE):$(RELEASE) $(PLATFORMS)

.PHONY: image-local
image-local: ## Build the image for PLATFORMS from binaries built here, without a registry, and check the one of this machine
	@.ci/image-local $(IMAGE):$(RELEASE) $(PLATFORMS)

##@ Machine

# Programs and the Debian packages that have them.
TEST_DEPS := gcc:gcc gcc:libc6-dev git:git h2load:nghttp2 nghttpd:nghttp2 nghttp:nghttp2 curl:curl nft:nftables openssl:openssl sslscan:sslscan
BENCH_DEPS := nginx:nginx-light haproxy:haproxy wrk:wrk h2load:nghttp2 nghttpx:nghttp2 nghttpd:nghttp2
PROTO_DEPS := protoc:protobuf-compiler
IMAGE_DEPS := buildah:buildah pgrep:procps

.PHONY: deps deps-test deps-bench deps-proto deps-image
deps: deps-test deps-bench deps-proto deps-image ## Install with apt-get what is missing beside Go; deps-test, -bench, -proto and -image are its parts
deps-test deps-bench deps-proto deps-image: deps-%:
	@.ci/deps $($(shell tr a-z A-Z <<< $*)_DEPS)

.PHONY: clean
clean: ## Remove what was built
	rm -rf bin bench/out

.PHONY: help
help: ## This list
	@awk 'BEGIN {FS = ":.*## "} /^##@ / {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

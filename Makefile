# `make` builds bin/bnfuse; `make help` lists what else there is.

.DEFAULT_GOAL := build
.PHONY: build demo test race check gofmt vet staticcheck tidy generated e2e fuzz bench help clean

include cuda/cuda.mk

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
FUZZTIME ?= 10s

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null)
GOBUILD := go build -trimpath -buildvcs=false -ldflags "-X github.com/bnfuse/bnfuse.version=$(VERSION)"
GOFILES = $(shell find . \( -path ./build -o -name node_modules \) -prune -o -name '*.go' -print)

# CUDA is linked in where there is a C compiler; neither toolkit nor driver is needed for that.
HAVE_CC := $(and $(filter linux,$(shell go env GOOS)),$(shell command -v $$(go env CC)))
CUDA_TAG := $(if $(HAVE_CC),-tags cuda)

build: ## build bin/bnfuse, with CUDA where there is gcc
	@echo "✓ $$(go version)"
ifneq ($(HAVE_CC),)
	@echo "✓ $$($(HAVE_CC) --version | head -1): CUDA is linked in; no toolkit or driver is needed to build or to start"
	@if [ -x "$(NVCC)" ]; then echo "✓ nvcc: $(NVCC)"; else echo "✗ nvcc 11.8 not found: using the committed PTX"; fi
	@$(CUDA_ENV) $(GOBUILD) -tags cuda -o bin/bnfuse ./cmd/bnfuse
else
	@echo "✗ gcc on Linux not found: CUDA is left out, the program runs on the CPU"
	@CGO_ENABLED=0 $(GOBUILD) -o bin/bnfuse ./cmd/bnfuse
endif
	@echo "✓ bin/bnfuse"

demo: build ## fold the models of testdata and print what happened
	@mkdir -p build/demo
	@for m in $(filter-out testdata/stem_%,$(wildcard testdata/*.onnx)); do \
		bin/bnfuse fuse $$m -o build/demo/$$(basename $$m) --force || exit 1; \
	done
	@echo
	@echo "The folded models are in build/demo. Where each norm of one went:"
	@echo
	bin/bnfuse inspect testdata/two_heads.onnx

test: ## run the tests
	go test ./...

race: ## run the tests with the race detector, but for the longest
	go test -race -short ./...

check: gofmt vet staticcheck tidy generated ## everything that judges the source: formatting, vet, staticcheck, go.mod, imports, generated files
	@echo "✓ check"

gofmt:
	@unformatted=$$(gofmt -l $(GOFILES)); [ -z "$$unformatted" ] || { echo "gofmt: $$unformatted" >&2; exit 1; }

vet:
	go vet ./...
	GOARCH=arm64 CGO_ENABLED=0 go vet ./...
	$(if $(HAVE_CC),$(CUDA_ENV) go vet -tags cuda ./...)
	$(if $(HAVE_CC),$(CUDA_ENV) go vet -tags cuda$(comma)software ./...)
	$(if $(HAVE_CC),cd e2e && go vet ./...)

comma := ,

staticcheck: build/tools/staticcheck
	build/tools/staticcheck ./...
	$(if $(HAVE_CC),$(CUDA_ENV) build/tools/staticcheck -tags cuda ./...)

build/tools/staticcheck: Makefile
	GOBIN=$(abspath build/tools) go install $(STATICCHECK)
	@touch $@

tidy:
	go mod tidy -diff
	cd e2e && go mod tidy -diff

generated:
	go test -run 'TestImports|TestOnlyCgo' .
	go test ./kernels # the PTX is that of the sources

e2e: ## run the whole program against ONNX Runtime, and its page in Chromium (installs what is missing)
	e2e/run

# Go before 1.27 may take the end of the time for a failure (go.dev/issue/75804); the target then runs once more.
FUZZ     = go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 20x .
FUZZ_LOG = $(abspath build)/fuzz.log

fuzz: ## run every fuzz target for FUZZTIME (10s)
	@mkdir -p build
	@grep -lE '^func Fuzz' $(GOFILES) | while read -r file; do \
		grep -oE '^func Fuzz[A-Za-z0-9_]*' $$file | while read -r _ target; do \
			echo "$$target in $$file"; \
			cd $(CURDIR)/$$(dirname $$file); \
			$(FUZZ) 2>&1 | tee $(FUZZ_LOG); \
			if grep -q '^FAIL' $(FUZZ_LOG); then \
				grep -q 'context deadline exceeded' $(FUZZ_LOG) && ! grep -q 'Failing input' $(FUZZ_LOG) && $(FUZZ) || exit 1; \
			fi; \
		done || exit 1; \
	done

# A benchmark and its rounds. Each is a ratio of times taken in turn, so a busy machine widens the spread first.
BENCHMARKS := File:15x Write:21x Sparse:7x Small:41x Zoo:7x Graph:7x Network:21x Host:61x

bench: ## measure all that runs here beside its peers, into docs/performance.md (BNFUSE_ZOO=DIR: on the models there)
	@mkdir -p build && rm -f build/bench.txt
	@for b in $(BENCHMARKS); do \
		go test ./bench -run - -bench "^Benchmark$${b%:*}$$" -benchtime $${b#*:} -timeout 2h | tee -a build/bench.txt; \
	done
	@! grep '^FAIL' build/bench.txt
	go run ./bench/page docs/performance.md < build/bench.txt

help: ## print this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

clean: ## remove bin and build
	rm -rf bin build

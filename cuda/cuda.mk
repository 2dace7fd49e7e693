# What a build with CUDA needs, included by the root Makefile. Neither a CUDA toolkit nor a driver is needed to build:
# cuda/driver holds a cuda.h and an empty libcuda.a for gorgonia.org/cu.

CUDA_DIR := $(patsubst %/,%,$(dir $(abspath $(lastword $(MAKEFILE_LIST)))))
CUDA_BUILD := $(abspath $(CUDA_DIR)/../build/cuda)

# Absolute, because gcc runs in the folder of each package. Both replace go's defaults, hence the -O2.
CUDA_ENV := CGO_CFLAGS="-O2 -I$(CUDA_DIR)/driver/include" CGO_LDFLAGS="-L$(CUDA_DIR)/driver/lib"

# nvcc 11.8 makes the widest PTX. NVCC may name another copy of it; fetch-nvcc unpacks Debian's into the cache folder.
CUDA_TOOLKIT ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/bnfuse/cuda-11.8
NVCC ?= $(CUDA_TOOLKIT)/bin/nvcc

.PHONY: kernels kernels-check fatbins

kernels: ## make kernels/*.ptx anew (nvcc 11.8; fetches Debian's when there is none)
	$(if $(wildcard $(NVCC)),,$(CUDA_DIR)/../kernels/fetch-nvcc $(CUDA_TOOLKIT))
	$(CUDA_DIR)/../kernels/generate $(NVCC)

fatbins: ## machine code for go build -tags cuda,fatbin: for containers without the driver's compiler
	$(if $(wildcard $(NVCC)),,$(CUDA_DIR)/../kernels/fetch-nvcc $(CUDA_TOOLKIT))
	$(CUDA_DIR)/../kernels/generate $(NVCC) fatbins

kernels-check: ## fail when the committed PTX is not what nvcc 11.8 makes of the sources, or cuda.h is not the toolkit's
	$(if $(wildcard $(NVCC)),,$(CUDA_DIR)/../kernels/fetch-nvcc $(CUDA_TOOLKIT))
	rm -rf $(CUDA_BUILD)/_check && mkdir -p $(CUDA_BUILD)/_check/cuda/software && cp -r $(CUDA_DIR)/../kernels $(CUDA_BUILD)/_check
	$(CUDA_BUILD)/_check/kernels/generate $(NVCC)
	diff -r $(CUDA_DIR)/../kernels $(CUDA_BUILD)/_check/kernels
	diff $(CUDA_DIR)/software/kernels.h $(CUDA_BUILD)/_check/cuda/software/kernels.h
	BNFUSE_CUDA_H=$(CUDA_TOOLKIT)/include/cuda.h go test -count=1 ./cuda/driver

# Tests with CUDA run on the software driver, or with DRIVER=real on the machine's own.
DRIVER ?= software

.PHONY: test-cuda test-cuda-software test-cuda-real libcuda

test-cuda: test-cuda-$(DRIVER) ## every CUDA test on the software driver (needs g++); DRIVER=real: on this machine's GPU

test-cuda-software: libcuda
	cd $(CUDA_DIR)/.. && $(CUDA_ENV) BNFUSE_REQUIRE_CUDA=1 go test -tags cuda,software . ./cuda/... ./kernels ./examples/...
	@echo "the same engine, which finds the software driver as libcuda.so.1:"
	cd $(CUDA_DIR)/.. && $(CUDA_ENV) BNFUSE_REQUIRE_CUDA=1 LD_LIBRARY_PATH=$(CUDA_BUILD) go test -tags cuda . ./cuda

test-cuda-real:
	cd $(CUDA_DIR)/.. && $(CUDA_ENV) BNFUSE_REQUIRE_CUDA=1 go test -count=1 -tags cuda . ./cuda/... ./kernels

libcuda: $(CUDA_BUILD)/libcuda.so.1 ## the software driver as a libcuda.so.1, for LD_LIBRARY_PATH

$(CUDA_BUILD)/libcuda.so.1: $(wildcard $(CUDA_DIR)/software/* $(CUDA_DIR)/../kernels/*.cu*)
	mkdir -p $(CUDA_BUILD)
	cd $(CUDA_DIR)/software && for f in *.c; do gcc -O2 -fPIC -DSW_LIBRARY -c -o $(CUDA_BUILD)/$$f.o $$f || exit 1; done
	cd $(CUDA_DIR)/software && g++ -std=c++17 -O2 -fPIC -ffp-contract=off -fno-exceptions -shared -Wl,-soname,libcuda.so.1 \
		-o $@ *.cc $(CUDA_BUILD)/*.c.o -lpthread

.PHONY: example-resident cuda-arm64

cuda-arm64: ## link the program with CUDA for linux/arm64 (needs aarch64-linux-gnu-gcc)
	cd $(CUDA_DIR)/.. && $(CUDA_ENV) CGO_ENABLED=1 GOARCH=arm64 CC=aarch64-linux-gnu-gcc \
		go build -tags cuda -o $(CUDA_BUILD)/bnfuse-arm64 ./cmd/bnfuse

example-resident: ## run examples/resident on this machine's GPU
	cd $(CUDA_DIR)/.. && $(CUDA_ENV) go run -tags cuda ./examples/resident

# The bundle runs on a GPU server that has neither Go nor a toolkit.
GPU_BUNDLE := $(abspath $(CUDA_DIR)/../build/gpu)

.PHONY: gpu-bundle

gpu-bundle: ## pack tests and benchmarks into build/gpu; copy it to a GPU server and start ./run there
	rm -rf $(GPU_BUNDLE) && mkdir -p $(GPU_BUNDLE)
	cd $(CUDA_DIR)/.. && $(CUDA_ENV) go build -ldflags "-s -w" -tags cuda -o $(GPU_BUNDLE)/bnfuse ./cmd/bnfuse
	cd $(CUDA_DIR)/.. && $(CUDA_ENV) go test -ldflags "-s -w" -tags cuda -c -o $(GPU_BUNDLE)/bnfuse.test .
	cd $(CUDA_DIR)/.. && $(CUDA_ENV) go test -ldflags "-s -w" -tags cuda -c -o $(GPU_BUNDLE)/cuda.test ./cuda
	cp -r $(CUDA_DIR)/../testdata $(CUDA_DIR)/bundle/* $(GPU_BUNDLE)

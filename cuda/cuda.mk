# What a build with CUDA needs, included by the root Makefile. Neither a CUDA toolkit nor a driver is needed to build:
# cuda/driver holds a cuda.h and an empty libcuda.a for gorgonia.org/cu.

CUDA_DIR := $(patsubst %/,%,$(dir $(abspath $(lastword $(MAKEFILE_LIST)))))

# Absolute, because gcc runs in the folder of each package. Both replace go's defaults, hence the -O2.
CUDA_ENV := CGO_CFLAGS="-O2 -I$(CUDA_DIR)/driver/include" CGO_LDFLAGS="-L$(CUDA_DIR)/driver/lib"

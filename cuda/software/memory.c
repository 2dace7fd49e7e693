//go:build cuda && cgo && software

/* Allocations. Each is a mapping of its own that ends at a page nobody may touch. Its start is aligned to
 * 256 bytes, as a device's; the bytes between its end and that page must still be garbage when it is freed. */
#include "state.h"
#include <sys/mman.h>
#include <unistd.h>

enum { ALIGNMENT = 256, GARBAGE = 0xA5, MUCH = 1 << 20 };

struct range {
	int kind;
	CUcontext context;
	char *start, *map;
	size_t n, mapped; /* mapped leaves the guard page out */
	struct range *next;
};
static struct range *ranges;

static size_t page(void) { return sysconf(_SC_PAGESIZE); }

/* With sw_lock held. */
static struct range *find(int kind, const void *p, size_t n)
{
	for (struct range *r = ranges; r; r = r->next)
		if (r->kind == kind && (char *)p >= r->start && (char *)p + n <= r->start + r->n)
			return r;
	return NULL;
}

int sw_is(int kind, const void *p, size_t n)
{
	pthread_mutex_lock(&sw_lock);
	struct range *r = find(kind, p, n);
	pthread_mutex_unlock(&sw_lock);
	return r != NULL;
}

static CUresult reserve(int kind, size_t n, void **start)
{
	BEGIN();
	if (!n)
		return CUDA_ERROR_INVALID_VALUE;
	size_t mapped = (n + page() - 1) / page() * page();
	pthread_mutex_lock(&sw_lock);
	int full = ++sw_counters.allocations == sw_config.oom ||
		(kind == SW_DEVICE && sw_current->used + mapped > (size_t)sw_config.mem);
	pthread_mutex_unlock(&sw_lock);
	char *map = full ? MAP_FAILED :
		mmap(NULL, mapped + page(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (map == MAP_FAILED)
		return CUDA_ERROR_OUT_OF_MEMORY;
	mprotect(map + mapped, page(), PROT_NONE);

	struct range *r = malloc(sizeof *r);
	*r = (struct range){kind, sw_current, map + (mapped - n) / ALIGNMENT * ALIGNMENT, map, n, mapped};
	memset(r->start, GARBAGE, n < MUCH ? n : MUCH); /* nobody may count on zeros */
	memset(r->start + n, GARBAGE, map + mapped - (r->start + n));
	pthread_mutex_lock(&sw_lock);
	r->next = ranges;
	ranges = r;
	if (kind == SW_DEVICE) {
		sw_current->used += mapped;
		sw_counters.device_bytes += mapped;
	} else
		sw_counters.pinned_bytes += mapped;
	pthread_mutex_unlock(&sw_lock);
	*start = r->start;
	return CUDA_SUCCESS;
}

/* Takes *at out of the table. With sw_lock held. */
static CUresult drop(struct range **at)
{
	struct range *r = *at;
	*at = r->next;
	if (r->kind == SW_DEVICE) {
		r->context->used -= r->mapped;
		sw_counters.device_bytes -= r->mapped;
	} else
		sw_counters.pinned_bytes -= r->mapped;
	CUresult result = CUDA_SUCCESS;
	for (char *p = r->start + r->n; p < r->map + r->mapped; p++)
		if ((unsigned char)*p != GARBAGE)
			result = CUDA_ERROR_ILLEGAL_ADDRESS;
	sw_counters.overruns += result != CUDA_SUCCESS;
	munmap(r->map, r->mapped + page());
	free(r);
	return result;
}

static CUresult unreserve(int kind, const void *start)
{
	BEGIN();
	sw_drain(NULL);
	CUresult result = CUDA_ERROR_INVALID_VALUE;
	pthread_mutex_lock(&sw_lock);
	for (struct range **at = &ranges; *at; at = &(*at)->next)
		if ((*at)->start == start && (*at)->kind == kind) {
			result = drop(at);
			break;
		}
	pthread_mutex_unlock(&sw_lock);
	return result;
}

void sw_free_all(CUcontext c)
{
	pthread_mutex_lock(&sw_lock);
	for (struct range **at = &ranges; *at; )
		if ((*at)->context == c)
			drop(at);
		else
			at = &(*at)->next;
	pthread_mutex_unlock(&sw_lock);
}

API(cuMemAlloc_v2)(CUdeviceptr *p, size_t n)
{
	void *start = NULL;
	CUresult r = reserve(SW_DEVICE, n, &start);
	*p = (CUdeviceptr)start;
	return r;
}

API(cuMemFree_v2)(CUdeviceptr p) { return unreserve(SW_DEVICE, (void *)p); }
API(cuMemHostAlloc)(void **p, size_t n, unsigned flags) { return reserve(SW_PINNED, n, p); }
API(cuMemFreeHost)(void *p) { return unreserve(SW_PINNED, p); }

API(cuMemGetInfo_v2)(size_t *available, size_t *total)
{
	BEGIN();
	pthread_mutex_lock(&sw_lock);
	*total = sw_config.mem;
	*available = sw_config.mem - sw_current->used;
	pthread_mutex_unlock(&sw_lock);
	return CUDA_SUCCESS;
}

API(cuMemGetAddressRange_v2)(CUdeviceptr *base, size_t *n, CUdeviceptr p)
{
	BEGIN();
	pthread_mutex_lock(&sw_lock);
	struct range *r = find(SW_DEVICE, (void *)p, 1);
	if (r && base)
		*base = (CUdeviceptr)r->start;
	if (r && n)
		*n = r->n;
	pthread_mutex_unlock(&sw_lock);
	return r ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}

static void copy_bytes(struct sw_op *op)
{
	long us = sw_config.copy_us + (sw_config.mbps ? (long)op->u[2] / sw_config.mbps : 0);
	if (us)
		usleep(us);
	memcpy((void *)op->u[0], (void *)op->u[1], op->u[2]);
}

static CUresult copy(enum sw_kind kind, CUstream s, void *to, const void *from, size_t n, int async)
{
	BEGIN();
	int to_device = kind != SW_TO_HOST, from_device = kind != SW_TO_DEVICE;
	if (!n)
		return CUDA_SUCCESS;
	if (sw_is(SW_DEVICE, to, n) != to_device || sw_is(SW_DEVICE, from, n) != from_device)
		return CUDA_ERROR_INVALID_VALUE;
	struct sw_op op = {copy_bytes, kind, sw_current, {(unsigned long)to, (unsigned long)from, n}};
	if (async && !from_device && !sw_is(SW_PINNED, from, n)) { /* pageable: taken over before the call returns */
		op.memory = malloc(n);
		memcpy(op.memory, from, n);
		op.u[1] = (unsigned long)op.memory;
	}
	CUresult r = sw_put(async ? s : NULL, op);
	if (r == CUDA_SUCCESS && async && !to_device && !sw_is(SW_PINNED, to, n))
		sw_drain(s); /* pageable: the call waits */
	return r;
}

API(cuMemcpyHtoD_v2)(CUdeviceptr to, const void *from, size_t n) { return copy(SW_TO_DEVICE, NULL, (void *)to, from, n, 0); }
API(cuMemcpyDtoH_v2)(void *to, CUdeviceptr from, size_t n) { return copy(SW_TO_HOST, NULL, to, (void *)from, n, 0); }
API(cuMemcpyDtoD_v2)(CUdeviceptr to, CUdeviceptr from, size_t n) { return copy(SW_OTHER, NULL, (void *)to, (void *)from, n, 0); }
API(cuMemcpyHtoDAsync_v2)(CUdeviceptr to, const void *from, size_t n, CUstream s) { return copy(SW_TO_DEVICE, s, (void *)to, from, n, 1); }
API(cuMemcpyDtoHAsync_v2)(void *to, CUdeviceptr from, size_t n, CUstream s) { return copy(SW_TO_HOST, s, to, (void *)from, n, 1); }
API(cuMemcpyDtoDAsync_v2)(CUdeviceptr to, CUdeviceptr from, size_t n, CUstream s) { return copy(SW_OTHER, s, (void *)to, (void *)from, n, 1); }

static void set_bytes(struct sw_op *op) { memset((void *)op->u[0], (int)op->u[1], op->u[2]); }

static CUresult set(CUstream s, CUdeviceptr p, unsigned char byte, size_t n)
{
	BEGIN();
	if (n && !sw_is(SW_DEVICE, (void *)p, n))
		return CUDA_ERROR_INVALID_VALUE;
	return sw_put(s, (struct sw_op){set_bytes, SW_OTHER, sw_current, {p, byte, n}});
}

API(cuMemsetD8_v2)(CUdeviceptr p, unsigned char byte, size_t n) { return set(NULL, p, byte, n); }
API(cuMemsetD8Async)(CUdeviceptr p, unsigned char byte, size_t n, CUstream s) { return set(s, p, byte, n); }

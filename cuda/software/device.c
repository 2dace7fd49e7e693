//go:build cuda && cgo && software

/* Settings, devices, contexts. */
#include "state.h"

pthread_mutex_t sw_lock = PTHREAD_MUTEX_INITIALIZER;
pthread_cond_t sw_changed = PTHREAD_COND_INITIALIZER;
struct sw_config sw_config;
struct sw_counters sw_counters;
__thread CUcontext sw_current;

static struct CUctx_st devices[SW_MAX_DEVICES];

static const struct sw_config defaults = {.devices = 1, .mem = 1L << 30, .cc = 90, .driver = 12020};

void sw_configure(const char *settings)
{
	struct sw_config c = defaults;
	for (const char *at = settings; at && *at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
		char key[32];
		long value = 0, code = 0;
		int n = sscanf(at, "%31[a-z_]=%ld:%ld", key, &value, &code);
		if (n < 2)
			continue;
#define SETTING(name) if (!strcmp(key, #name)) c.name = value;
		SETTING(devices) SETTING(mem) SETTING(cc) SETTING(driver) SETTING(noinit) SETTING(nojit)
		SETTING(oom) SETTING(copy_us) SETTING(kernel_us) SETTING(mbps)
#define FAULT(name, usual) if (!strcmp(key, #name)) { c.name = value; c.name##_code = n == 3 ? code : usual; }
		FAULT(fail, CUDA_ERROR_UNKNOWN) FAULT(launch, CUDA_ERROR_LAUNCH_FAILED) FAULT(lost, CUDA_ERROR_ECC_UNCORRECTABLE)
	}
	if (c.devices > SW_MAX_DEVICES)
		c.devices = SW_MAX_DEVICES;
	pthread_mutex_lock(&sw_lock);
	sw_config = c;
	sw_counters.calls = sw_counters.allocations = sw_counters.launches = 0;
	sw_counters.copies_to_device = sw_counters.copies_to_host = 0;
	sw_counters.bytes_to_device = sw_counters.bytes_to_host = 0;
	sw_counters.overlaps = sw_counters.overruns = 0;
	for (int i = 0; i < SW_MAX_DEVICES; i++) {
		devices[i].number = i;
		devices[i].sticky = CUDA_SUCCESS;
	}
	pthread_mutex_unlock(&sw_lock);
}

struct sw_counters sw_count(void)
{
	pthread_mutex_lock(&sw_lock);
	struct sw_counters c = sw_counters;
	pthread_mutex_unlock(&sw_lock);
	return c;
}

CUresult sw_begin(void)
{
	pthread_mutex_lock(&sw_lock);
	long n = ++sw_counters.calls;
	CUresult r = sw_current ? sw_current->sticky : CUDA_ERROR_INVALID_CONTEXT;
	if (r == CUDA_SUCCESS && n == sw_config.lost)
		r = sw_current->sticky = sw_config.lost_code;
	if (r == CUDA_SUCCESS && n == sw_config.fail)
		r = sw_config.fail_code;
	pthread_mutex_unlock(&sw_lock);
	return r;
}

CUresult sw_sticky(CUcontext c)
{
	pthread_mutex_lock(&sw_lock);
	CUresult r = c->sticky;
	pthread_mutex_unlock(&sw_lock);
	return r;
}

void sw_end_context(CUcontext c, CUresult error)
{
	pthread_mutex_lock(&sw_lock);
	if (c->sticky == CUDA_SUCCESS)
		c->sticky = error;
	pthread_mutex_unlock(&sw_lock);
}

API(cuInit)(unsigned flags)
{
	if (!sw_config.devices && !sw_config.driver)
		sw_configure(getenv("BNFUSE_SOFTWARE_CUDA"));
	if (sw_config.noinit)
		return sw_config.noinit;
	return sw_config.devices ? CUDA_SUCCESS : CUDA_ERROR_NO_DEVICE;
}

API(cuDriverGetVersion)(int *version) { *version = sw_config.driver; return CUDA_SUCCESS; }
API(cuDeviceGetCount)(int *n) { *n = sw_config.devices; return CUDA_SUCCESS; }
API(cuDeviceTotalMem_v2)(size_t *n, CUdevice d) { *n = sw_config.mem; return CUDA_SUCCESS; }

API(cuDeviceGet)(CUdevice *d, int number)
{
	if (number < 0 || number >= sw_config.devices)
		return CUDA_ERROR_INVALID_DEVICE;
	*d = number;
	return CUDA_SUCCESS;
}

API(cuDeviceGetName)(char *name, int n, CUdevice d)
{
	snprintf(name, n, "Software GPU %d", d);
	return CUDA_SUCCESS;
}

API(cuDeviceGetAttribute)(int *value, CUdevice_attribute a, CUdevice d)
{
	switch (a) {
	case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR: *value = sw_config.cc / 10; break;
	case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR: *value = sw_config.cc % 10; break;
	case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT: *value = 2; break;
	case CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK: *value = 1024; break;
	case CU_DEVICE_ATTRIBUTE_ASYNC_ENGINE_COUNT: *value = 2; break;
	default: *value = 0;
	}
	return CUDA_SUCCESS;
}

API(cuDevicePrimaryCtxRetain)(CUcontext *c, CUdevice d)
{
	if (d < 0 || d >= sw_config.devices)
		return CUDA_ERROR_INVALID_DEVICE;
	CUcontext mine = sw_current;
	sw_current = &devices[d]; /* the call needs no current context, and can fail as all others */
	CUresult r = sw_begin();
	sw_current = mine;
	if (r)
		return r;
	pthread_mutex_lock(&sw_lock);
	sw_counters.contexts += devices[d].retained++ == 0;
	pthread_mutex_unlock(&sw_lock);
	*c = &devices[d];
	return CUDA_SUCCESS;
}

/* Ends a context: all that was made in it goes, and its error. */
static CUresult reset(CUdevice d)
{
	sw_drain(NULL);
	sw_destroy_streams(&devices[d]);
	sw_free_all(&devices[d]);
	pthread_mutex_lock(&sw_lock);
	CUcontext c = &devices[d];
	sw_counters.streams -= c->streams;
	sw_counters.events -= c->events;
	sw_counters.modules -= c->modules;
	c->streams = c->events = c->modules = 0;
	c->sticky = CUDA_SUCCESS;
	pthread_mutex_unlock(&sw_lock);
	return CUDA_SUCCESS;
}

API(cuDevicePrimaryCtxReset_v2)(CUdevice d) { return reset(d); }

/* The last release ends the context. */
API(cuDevicePrimaryCtxRelease_v2)(CUdevice d)
{
	pthread_mutex_lock(&sw_lock);
	int left = devices[d].retained - 1;
	if (left >= 0)
		devices[d].retained = left;
	sw_counters.contexts -= left == 0;
	pthread_mutex_unlock(&sw_lock);
	if (left < 0)
		return CUDA_ERROR_INVALID_CONTEXT;
	return left ? CUDA_SUCCESS : reset(d);
}

API(cuCtxSetCurrent)(CUcontext c)
{
	sw_current = c;
	if (!c)
		return CUDA_SUCCESS;
	CUresult r = sw_begin();
	if (r)
		sw_current = NULL;
	return r;
}

API(cuCtxGetCurrent)(CUcontext *c) { *c = sw_current; return CUDA_SUCCESS; }

API(cuCtxGetDevice)(CUdevice *d)
{
	BEGIN();
	*d = sw_current->number;
	return CUDA_SUCCESS;
}

API(cuCtxSynchronize)(void)
{
	BEGIN();
	sw_drain(NULL);
	return sw_sticky(sw_current);
}

static const struct { CUresult code; const char *name, *text; } errors[] = {
	{CUDA_ERROR_INVALID_VALUE, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
	{CUDA_ERROR_OUT_OF_MEMORY, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
	{34, "CUDA_ERROR_STUB_LIBRARY", "CUDA driver is a stub library"},
	{CUDA_ERROR_NO_DEVICE, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"},
	{CUDA_ERROR_INVALID_DEVICE, "CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"},
	{CUDA_ERROR_INVALID_IMAGE, "CUDA_ERROR_INVALID_IMAGE", "device kernel image is invalid"},
	{CUDA_ERROR_INVALID_CONTEXT, "CUDA_ERROR_INVALID_CONTEXT", "invalid device context"},
	{CUDA_ERROR_ECC_UNCORRECTABLE, "CUDA_ERROR_ECC_UNCORRECTABLE", "uncorrectable ECC error encountered"},
	{CUDA_ERROR_INVALID_PTX, "CUDA_ERROR_INVALID_PTX", "a PTX JIT compilation failed"},
	{CUDA_ERROR_JIT_COMPILER_NOT_FOUND, "CUDA_ERROR_JIT_COMPILER_NOT_FOUND", "PTX JIT compiler library not found"},
	{222, "CUDA_ERROR_UNSUPPORTED_PTX_VERSION", "the provided PTX was compiled with an unsupported toolchain."},
	{CUDA_ERROR_ILLEGAL_ADDRESS, "CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered"},
	{CUDA_ERROR_LAUNCH_FAILED, "CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"},
	{CUDA_ERROR_UNKNOWN, "CUDA_ERROR_UNKNOWN", "unknown error"},
};

API(cuGetErrorName)(CUresult code, const char **name)
{
	for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
		if (errors[i].code == code) {
			*name = errors[i].name;
			return CUDA_SUCCESS;
		}
	return CUDA_ERROR_INVALID_VALUE;
}

API(cuGetErrorString)(CUresult code, const char **text)
{
	for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
		if (errors[i].code == code) {
			*text = errors[i].text;
			return CUDA_SUCCESS;
		}
	return CUDA_ERROR_INVALID_VALUE;
}

//go:build cuda && cgo && software

/* Modules: PTX is read and compared with the kernels compiled in, and those are run. */
#include "state.h"
#include <unistd.h>

enum { MAX_PARAMS = 16 };

struct CUfunc_st { const struct sw_kernel *kernel; };
struct entry { char name[64]; int nparams; };
struct CUmod_st {
	int nentries;
	struct entry *entries;
	struct CUfunc_st *functions; /* one for each of sw_kernels */
};

/* The first driver that knows a version of the PTX language: 7.8 came with CUDA 11.8, 8.x with 12.x. */
static long driver_for(int major, int minor)
{
	if (major == 7)
		return 11000 + 10 * minor;
	return 12000 + 1000 * (major - 8) + 10 * minor;
}

static void read_entries(CUmodule m, const char *ptx)
{
	for (const char *at = ptx; (at = strstr(at, ".entry ")); ) {
		at += strlen(".entry ");
		m->entries = realloc(m->entries, (m->nentries + 1) * sizeof *m->entries);
		struct entry *e = &m->entries[m->nentries++];
		e->nparams = 0;
		sscanf(at, "%63[A-Za-z0-9_$]", e->name);
		const char *end = strchr(at, ')');
		for (const char *p = at; (p = strstr(p, ".param ")) && p < end; p++)
			e->nparams++;
	}
}

API(cuModuleLoadData)(CUmodule *module, const void *image)
{
	BEGIN();
	const char *ptx = image, *version = strstr(ptx, "\n.version "), *target = strstr(ptx, "\n.target sm_");
	int major, minor, capability;
	if (!version || !target || sscanf(version, "\n.version %d.%d", &major, &minor) != 2 ||
		sscanf(target, "\n.target sm_%d", &capability) != 1)
		return CUDA_ERROR_INVALID_IMAGE;
	if (sw_config.nojit)
		return CUDA_ERROR_JIT_COMPILER_NOT_FOUND;
	if (driver_for(major, minor) > sw_config.driver)
		return 222; /* CUDA_ERROR_UNSUPPORTED_PTX_VERSION */
	if (capability > sw_config.cc)
		return CUDA_ERROR_INVALID_PTX;
	CUmodule m = calloc(1, sizeof *m);
	read_entries(m, ptx);
	m->functions = calloc(sw_nkernels, sizeof *m->functions);
	pthread_mutex_lock(&sw_lock);
	sw_counters.modules++;
	sw_current->modules++;
	pthread_mutex_unlock(&sw_lock);
	*module = m;
	return CUDA_SUCCESS;
}

API(cuModuleUnload)(CUmodule m)
{
	BEGIN();
	sw_drain(NULL);
	pthread_mutex_lock(&sw_lock);
	sw_counters.modules--;
	sw_current->modules--;
	pthread_mutex_unlock(&sw_lock);
	free(m->entries);
	free(m->functions);
	free(m);
	return CUDA_SUCCESS;
}

API(cuModuleGetFunction)(CUfunction *function, CUmodule m, const char *name)
{
	BEGIN();
	int nparams = -1;
	for (int i = 0; i < m->nentries; i++)
		if (!strcmp(m->entries[i].name, name))
			nparams = m->entries[i].nparams;
	for (int i = 0; i < sw_nkernels && nparams >= 0; i++)
		if (!strcmp(sw_kernels[i].name, name)) {
			if (nparams != sw_kernels[i].nparams)
				return CUDA_ERROR_INVALID_IMAGE; /* the PTX is not this source's */
			m->functions[i].kernel = &sw_kernels[i];
			*function = &m->functions[i];
			return CUDA_SUCCESS;
		}
	return CUDA_ERROR_NOT_FOUND;
}

static void run_kernel(struct sw_op *op)
{
	const struct sw_kernel *k = (void *)op->u[0];
	pthread_mutex_lock(&sw_lock);
	CUresult error = sw_counters.launches == sw_config.launch ? sw_config.launch_code : CUDA_SUCCESS;
	pthread_mutex_unlock(&sw_lock);
	if (sw_config.kernel_us)
		usleep(sw_config.kernel_us);
	void *params[MAX_PARAMS];
	for (int i = 0; i < k->nparams; i++)
		params[i] = op->memory + 8 * i;
	if (error == CUDA_SUCCESS)
		error = sw_run(k, params, op->grid, op->block);
	if (error != CUDA_SUCCESS)
		sw_end_context(op->context, error);
}

API(cuLaunchKernel)(CUfunction f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
	unsigned shared, CUstream s, void **params, void **extra)
{
	BEGIN();
	if (!f || !gx || !gy || !gz || !bx || !by || !bz || bx * by * bz > 1024 || gx > 2147483647u || gy > 65535 || gz > 65535)
		return CUDA_ERROR_INVALID_VALUE;
	const struct sw_kernel *k = f->kernel;
	struct sw_op op = {run_kernel, SW_KERNEL, sw_current, {(unsigned long)k}, {gx, gy, gz}, {bx, by, bz}};
	op.memory = calloc(k->nparams + 1, 8);
	for (int i = 0; i < k->nparams; i++)
		memcpy(op.memory + 8 * i, params[i], k->sizes[i]);
	return sw_put(s, op);
}

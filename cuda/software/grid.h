/* Between the driver, in C, and the kernels, in C++. */
#ifndef SW_GRID_H
#define SW_GRID_H
#ifdef __cplusplus
extern "C" {
#endif

struct sw_kernel {
	const char *name;
	int nparams;
	const unsigned short *sizes;  /* of each parameter */
	void (*call)(void **params);  /* runs one thread */
};
extern const struct sw_kernel sw_kernels[];
extern const int sw_nkernels;

/* Runs a grid. 0, or the CUDA error that ended it. */
int sw_run(const struct sw_kernel *k, void **params, const unsigned grid[3], const unsigned block[3]);

#ifdef __cplusplus
}
#endif
#endif

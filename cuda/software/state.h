/* What the parts of the software driver share. All of it is guarded by sw_lock. */
#ifndef SW_STATE_H
#define SW_STATE_H
#define _GNU_SOURCE
#include "../driver/include/cuda.h"
#include "grid.h"
#include "software.h"
#include <pthread.h>
#include <stdio.h>
#include <string.h>

/* Linked into a Go program, the calls may not have the names that the trampolines have. As libcuda.so.1
 * they must, and the compiler then compares them with the prototypes. */
#ifdef SW_LIBRARY
#define API(name) CUresult name
#else
#define API(name) CUresult sw_##name
#endif

enum { SW_MAX_DEVICES = 8 };

/* A device, whose primary context is the only context there is. */
struct CUctx_st {
	int number, retained;
	size_t used;                   /* bytes of its memory */
	long streams, events, modules; /* that exist in it */
	CUresult sticky;               /* the error that ended the context: every call returns it until a reset */
};

/* What a device and the driver pretend to be, and which calls go wrong: see Configure. 0 is never. */
struct sw_config {
	long devices, mem, cc, driver, noinit, nojit;
	long oom, fail, fail_code, launch, launch_code, lost, lost_code;
	long copy_us, kernel_us, mbps;
};

extern pthread_mutex_t sw_lock;
extern pthread_cond_t sw_changed;
extern struct sw_config sw_config;
extern struct sw_counters sw_counters;
extern __thread CUcontext sw_current;

/* Begins a call: counts it, lets an injected failure happen, and looks for the thread's context. */
CUresult sw_begin(void);
#define BEGIN() do { CUresult begin_ = sw_begin(); if (begin_) return begin_; } while (0)

/* The error that ended a context, or success. */
CUresult sw_sticky(CUcontext c);
void sw_end_context(CUcontext c, CUresult error);

/* Memory. kind: */
enum { SW_DEVICE, SW_PINNED };
int sw_is(int kind, const void *p, size_t n); /* the range lies within one allocation of the kind */
void sw_free_all(CUcontext c);
void sw_destroy_streams(CUcontext c);

/* Work in a stream, or at once and before the call returns for the streams 0, 1 and 2. */
enum sw_kind { SW_TO_DEVICE, SW_KERNEL, SW_TO_HOST, SW_OTHER };
struct sw_op {
	void (*run)(struct sw_op *);
	enum sw_kind kind;
	CUcontext context;
	unsigned long u[4];
	unsigned grid[3], block[3];
	char *memory; /* freed afterwards */
	struct sw_op *next;
};
CUresult sw_put(CUstream s, struct sw_op op);
void sw_drain(CUstream s); /* wait for a stream; NULL: for all */

#endif

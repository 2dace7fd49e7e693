//go:build cuda && cgo && software

/* Streams and events. A stream is a thread with a queue of work. */
#include "state.h"

struct CUstream_st {
	CUcontext context;
	struct sw_op *first, **last;
	unsigned long put, done;
	int destroyed;
	struct CUstream_st *next;
};

struct CUevent_st {
	unsigned long asked, done; /* how often it was recorded, and how often that was reached */
	int references;
};

static struct CUstream_st *streams;
static int under_way[SW_OTHER + 1];

/* As a device has one copy engine for each direction, and a kernel here fills it, work of a kind waits its
 * turn. */
static pthread_mutex_t engines[SW_MAX_DEVICES][SW_OTHER];
__attribute__((constructor)) static void make_engines(void)
{
	for (int d = 0; d < SW_MAX_DEVICES; d++)
		for (int k = 0; k < SW_OTHER; k++)
			pthread_mutex_init(&engines[d][k], NULL);
}

static int is_default(CUstream s) { return (uintptr_t)s <= 2; } /* NULL, legacy, per thread */

static void begin_work(struct sw_op *op)
{
	pthread_mutex_lock(&sw_lock);
	under_way[op->kind]++;
	sw_counters.overlaps += under_way[SW_TO_DEVICE] && under_way[SW_KERNEL] && under_way[SW_TO_HOST];
	sw_counters.launches += op->kind == SW_KERNEL;
	sw_counters.copies_to_device += op->kind == SW_TO_DEVICE;
	sw_counters.copies_to_host += op->kind == SW_TO_HOST;
	sw_counters.bytes_to_device += op->kind == SW_TO_DEVICE ? op->u[2] : 0;
	sw_counters.bytes_to_host += op->kind == SW_TO_HOST ? op->u[2] : 0;
	pthread_mutex_unlock(&sw_lock);
}

/* Work of a context that an error has ended does nothing, but what waits for it goes on. */
static void work(struct sw_op *op)
{
	pthread_mutex_t *engine = op->kind == SW_OTHER ? NULL : &engines[op->context->number][op->kind];
	if (engine)
		pthread_mutex_lock(engine);
	if (!engine || sw_sticky(op->context) == CUDA_SUCCESS) {
		begin_work(op);
		op->run(op);
		pthread_mutex_lock(&sw_lock);
		under_way[op->kind]--;
		pthread_mutex_unlock(&sw_lock);
	}
	if (engine)
		pthread_mutex_unlock(engine);
	free(op->memory);
}

static void *serve(void *arg)
{
	struct CUstream_st *s = arg;
	pthread_mutex_lock(&sw_lock);
	for (;;) {
		while (!s->first && !s->destroyed)
			pthread_cond_wait(&sw_changed, &sw_lock);
		struct sw_op *op = s->first;
		if (!op)
			break;
		s->first = op->next;
		if (!s->first)
			s->last = &s->first;
		pthread_mutex_unlock(&sw_lock);
		work(op);
		free(op);
		pthread_mutex_lock(&sw_lock);
		s->done++;
		pthread_cond_broadcast(&sw_changed);
	}
	for (struct CUstream_st **at = &streams; *at; at = &(*at)->next)
		if (*at == s) {
			*at = s->next;
			break;
		}
	pthread_cond_broadcast(&sw_changed);
	pthread_mutex_unlock(&sw_lock);
	free(s);
	return NULL;
}

void sw_drain(CUstream s)
{
	pthread_mutex_lock(&sw_lock);
again:
	for (struct CUstream_st *x = streams; x; x = x->next)
		if ((is_default(s) || x == s) && x->done < x->put) {
			pthread_cond_wait(&sw_changed, &sw_lock);
			goto again; /* the list may have changed */
		}
	pthread_mutex_unlock(&sw_lock);
}

CUresult sw_put(CUstream s, struct sw_op op)
{
	if (is_default(s)) {
		sw_drain(NULL);
		work(&op);
		return sw_sticky(op.context);
	}
	if (s->context != op.context) {
		free(op.memory);
		return CUDA_ERROR_INVALID_HANDLE;
	}
	struct sw_op *copy = malloc(sizeof *copy);
	*copy = op;
	copy->next = NULL;
	pthread_mutex_lock(&sw_lock);
	*s->last = copy;
	s->last = &copy->next;
	s->put++;
	pthread_cond_broadcast(&sw_changed);
	pthread_mutex_unlock(&sw_lock);
	return CUDA_SUCCESS;
}

API(cuStreamCreate)(CUstream *stream, unsigned flags)
{
	BEGIN();
	struct CUstream_st *s = calloc(1, sizeof *s);
	s->context = sw_current;
	s->last = &s->first;
	pthread_mutex_lock(&sw_lock);
	s->next = streams;
	streams = s;
	sw_counters.streams++;
	sw_current->streams++;
	pthread_mutex_unlock(&sw_lock);
	pthread_t thread;
	if (pthread_create(&thread, NULL, serve, s))
		return CUDA_ERROR_OPERATING_SYSTEM;
	pthread_detach(thread);
	*stream = s;
	return CUDA_SUCCESS;
}

API(cuStreamDestroy_v2)(CUstream s)
{
	BEGIN();
	pthread_mutex_lock(&sw_lock);
	s->destroyed = 1;
	sw_counters.streams--;
	s->context->streams--;
	pthread_cond_broadcast(&sw_changed);
	pthread_mutex_unlock(&sw_lock);
	return CUDA_SUCCESS;
}

void sw_destroy_streams(CUcontext c)
{
	pthread_mutex_lock(&sw_lock);
	for (struct CUstream_st *s = streams; s; s = s->next)
		if (s->context == c)
			s->destroyed = 1;
	pthread_cond_broadcast(&sw_changed);
	pthread_mutex_unlock(&sw_lock);
}

API(cuStreamSynchronize)(CUstream s)
{
	BEGIN();
	sw_drain(s);
	return sw_sticky(sw_current);
}

API(cuStreamQuery)(CUstream s)
{
	BEGIN();
	pthread_mutex_lock(&sw_lock);
	int busy = !is_default(s) && s->done < s->put;
	pthread_mutex_unlock(&sw_lock);
	return busy ? CUDA_ERROR_NOT_READY : CUDA_SUCCESS;
}

/* With sw_lock held. */
static void release(struct CUevent_st *e)
{
	if (--e->references == 0)
		free(e);
}

static void reach(struct sw_op *op)
{
	struct CUevent_st *e = (void *)op->u[0];
	pthread_mutex_lock(&sw_lock);
	if (e->done < op->u[1])
		e->done = op->u[1];
	release(e);
	pthread_cond_broadcast(&sw_changed);
	pthread_mutex_unlock(&sw_lock);
}

static void await(struct sw_op *op)
{
	struct CUevent_st *e = (void *)op->u[0];
	pthread_mutex_lock(&sw_lock);
	while (e->done < op->u[1])
		pthread_cond_wait(&sw_changed, &sw_lock);
	release(e);
	pthread_mutex_unlock(&sw_lock);
}

static CUresult put_event(CUstream s, CUevent e, void (*run)(struct sw_op *), int asks)
{
	pthread_mutex_lock(&sw_lock);
	e->asked += asks;
	unsigned long n = e->asked;
	e->references++;
	pthread_mutex_unlock(&sw_lock);
	return sw_put(s, (struct sw_op){run, SW_OTHER, sw_current, {(unsigned long)e, n}});
}

API(cuEventCreate)(CUevent *event, unsigned flags)
{
	BEGIN();
	struct CUevent_st *e = calloc(1, sizeof *e);
	e->references = 1;
	pthread_mutex_lock(&sw_lock);
	sw_counters.events++;
	sw_current->events++;
	pthread_mutex_unlock(&sw_lock);
	*event = e;
	return CUDA_SUCCESS;
}

API(cuEventDestroy_v2)(CUevent e)
{
	BEGIN();
	pthread_mutex_lock(&sw_lock);
	sw_counters.events--;
	sw_current->events--;
	release(e);
	pthread_mutex_unlock(&sw_lock);
	return CUDA_SUCCESS;
}

API(cuEventRecord)(CUevent e, CUstream s)
{
	BEGIN();
	return put_event(s, e, reach, 1);
}

API(cuStreamWaitEvent)(CUstream s, CUevent e, unsigned flags)
{
	BEGIN();
	return put_event(s, e, await, 0);
}

API(cuEventQuery)(CUevent e)
{
	BEGIN();
	pthread_mutex_lock(&sw_lock);
	int busy = e->done < e->asked;
	pthread_mutex_unlock(&sw_lock);
	return busy ? CUDA_ERROR_NOT_READY : sw_sticky(sw_current);
}

API(cuEventSynchronize)(CUevent e)
{
	BEGIN();
	pthread_mutex_lock(&sw_lock);
	while (e->done < e->asked)
		pthread_cond_wait(&sw_changed, &sw_lock);
	pthread_mutex_unlock(&sw_lock);
	return sw_sticky(sw_current);
}

//go:build cuda && cgo && software

// Runs the blocks of a grid one after the other. The threads of a block share one fiber until one of them
// waits at a barrier: it keeps that fiber, and the threads not yet begun get another. So a kernel without
// barriers costs little more than a loop.
#include "prelude.h"
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

__thread uint3 threadIdx, blockIdx, blockDim, gridDim;

namespace {

enum { WARP = 32, MAX_THREADS = 1024, STACK_BYTES = 128 << 10 };
enum State : unsigned char { TO_DO, RUNNING, AT_BLOCK_BARRIER, AT_WARP_BARRIER, DONE };

struct Fiber {
	ucontext_t context;
	unsigned thread;
	Fiber *next; // of the idle ones
};

struct Thread {
	State state;
	Fiber *fiber;
	int line; // of the barrier it waits at
	char slot[8];
};

struct Block {
	const sw_kernel *kernel;
	void **params;
	unsigned n, begun, done;
	ucontext_t scheduler;
	Fiber *current, *idle;
	Thread threads[MAX_THREADS];
};

__thread Block *block; // of the stream's thread

void place(unsigned thread)
{
	threadIdx = {thread % blockDim.x, thread / blockDim.x % blockDim.y, thread / blockDim.x / blockDim.y};
}

void fiber_main()
{
	for (;;) {
		Block *b = block;
		Fiber *f = b->current;
		while (b->begun < b->n) {
			f->thread = b->begun++;
			b->threads[f->thread].state = RUNNING;
			b->threads[f->thread].fiber = f;
			place(f->thread);
			b->kernel->call(b->params);
			b->threads[f->thread].state = DONE;
			b->done++;
		}
		f->next = b->idle;
		b->idle = f;
		swapcontext(&f->context, &b->scheduler);
	}
}

Fiber *idle_fiber()
{
	if (Fiber *f = block->idle) {
		block->idle = f->next;
		return f;
	}
	Fiber *f = (Fiber *)calloc(1, sizeof *f);
	getcontext(&f->context);
	f->context.uc_stack.ss_sp = mmap(0, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	f->context.uc_stack.ss_size = STACK_BYTES;
	makecontext(&f->context, fiber_main, 0);
	return f;
}

void resume(Fiber *f)
{
	block->current = f;
	swapcontext(&block->scheduler, &f->context);
}

// Lets the threads [from, to) go on if all of them that are left wait at a barrier of this kind, and for a
// block at the same one.
bool pass_barrier(unsigned from, unsigned to, State barrier)
{
	Thread *t = block->threads;
	int line = 0;
	bool waiting = false;
	for (unsigned i = from; i < to; i++) {
		if (t[i].state == DONE)
			continue;
		if (t[i].state != barrier || (waiting && t[i].line != line))
			return false;
		waiting = true;
		line = t[i].line;
	}
	static __thread bool passes[MAX_THREADS];
	for (unsigned i = from; i < to; i++)
		if ((passes[i] = t[i].state == barrier))
			t[i].state = RUNNING;
	for (unsigned i = from; i < to; i++)
		if (passes[i])
			resume(t[i].fiber);
	return waiting;
}

// False when the threads of the block wait for each other at different barriers.
bool run_block()
{
	Block *b = block;
	b->begun = b->done = 0;
	for (unsigned i = 0; i < b->n; i++)
		b->threads[i].state = TO_DO;
	for (;;) {
		while (b->begun < b->n)
			resume(idle_fiber());
		if (b->done == b->n)
			return true;
		bool moved = false;
		for (unsigned w = 0; w < b->n; w += WARP)
			moved |= pass_barrier(w, w + WARP < b->n ? w + WARP : b->n, AT_WARP_BARRIER);
		if (!moved && !pass_barrier(0, b->n, AT_BLOCK_BARRIER))
			return false;
	}
}

void free_block()
{
	while (Fiber *f = block->idle) {
		block->idle = f->next;
		munmap(f->context.uc_stack.ss_sp, STACK_BYTES);
		free(f);
	}
	free(block);
}

} // namespace

unsigned sw_thread() { return block->current->thread; }
void *sw_slot(unsigned thread) { return block->threads[thread].slot; }
bool sw_alive(unsigned thread) { return thread < block->n && block->threads[thread].state != DONE; }

void sw_wait(int for_warp, int line)
{
	Fiber *f = block->current;
	Thread &t = block->threads[f->thread];
	t.state = for_warp ? AT_WARP_BARRIER : AT_BLOCK_BARRIER;
	t.line = line;
	swapcontext(&f->context, &block->scheduler);
	place(f->thread);
}

extern "C" int sw_run(const sw_kernel *k, void **params, const unsigned grid[3], const unsigned size[3])
{
	block = (Block *)calloc(1, sizeof *block);
	block->kernel = k;
	block->params = params;
	block->n = size[0] * size[1] * size[2];
	blockDim = {size[0], size[1], size[2]};
	gridDim = {grid[0], grid[1], grid[2]};
	int error = 0;
	for (blockIdx.z = 0; blockIdx.z < grid[2]; blockIdx.z++)
		for (blockIdx.y = 0; blockIdx.y < grid[1]; blockIdx.y++)
			for (blockIdx.x = 0; blockIdx.x < grid[0] && !error; blockIdx.x++)
				error = run_block() ? 0 : 719; // CUDA_ERROR_LAUNCH_FAILED
	if (!error)
		free_block(); // else fibers still wait, and stay
	return error;
}

/*
 * What libc and the kernel do for the library, in the world: reached by the
 * linker's --wrap.
 *
 *   kernel.c    futexes, membarrier, time, random bytes
 *   threads.c   mutexes, condition variables, pthread_once, thread's ends
 *   heap.c      memory: what is freed is not used again in the same run
 */
#ifndef CMAP_TEST_WORLD_KERNEL_H
#define CMAP_TEST_WORLD_KERNEL_H

#include <stdint.h>

/* Before and after the threads of a run; in between time is made up, and random
 * bytes come from the seed. */
void kernel_begin(uint64_t seed);
void kernel_end(void);

/* When nothing of the run is used any more. */
void kernel_give_back(void);

/* The running thread has come to its end: destructors. */
void kernel_thread_ends(void);

/* Of threads.c and heap.c. */
void threads_begin(void);
void heap_give_back(void);

#endif

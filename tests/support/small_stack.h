/*
 * The smallest stack that a thread may have, 16 KiB, of which the C library and
 * thread-local variables take their part. A page that must not be touched lies
 * below it.
 */
#ifndef CMAP_TEST_SMALL_STACK_H
#define CMAP_TEST_SMALL_STACK_H

#include "checks.h"

/* Sanitizers need larger stacks, and memcheck takes a stack for gone when its
   thread has ended: there the tests are skipped. */
bool small_stack_works(void);

typedef void work_fn(void);

/* Does the work in a thread on that stack; prints how much it took, if that is
   more than all before. What it checks must hold: there is no room to say that
   it does not. */
void on_small_stack(const char *name, work_fn *work);

/* Memory without any stack of an allocator's own, which may take more than the
   library does; it is never used again. */
struct cmap_allocator small_stack_allocator(void);

#endif

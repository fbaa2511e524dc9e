#include "clock.h"

#include "fiber.h"

struct clocks thread_clocks[WORLD_THREADS];

static struct {
  struct clock fences; /* all that happens before a seq_cst fence */
  uint32_t sc;         /* places taken in the total order of seq_cst */
} clocks;

void clock_begin(void)
{
  static const struct clocks none;

  /* What a thread does before its first step, others do not know. */
  for (unsigned i = 0; i < WORLD_THREADS; i++) {
    *clock_of(i) = none;
    clock_of(i)->now.before.at[i] = clock_of(i)->now.seen.at[i] = 1;
  }
  clocks.fences = none.now.before;
  clocks.sc = 0;
}

uint32_t clock_step(void)
{
  unsigned self = fiber_self();
  struct stamp *now = &clock_of(self)->now;

  now->seen.at[self] = ++now->before.at[self];
  return now->before.at[self];
}

void clock_read(enum order order, const struct stamp *stamp)
{
  struct clocks *self = clock_of(fiber_self());

  stamp_join(order_acquires(order) ? &self->now : &self->pending, stamp);
}

void clock_write(enum order order, struct stamp *stamp)
{
  const struct clocks *self = clock_of(fiber_self());

  *stamp = order_releases(order) ? self->now : self->released;
}

void clock_fence_of(unsigned thread)
{
  struct clocks *self = clock_of(thread);

  stamp_join(&self->now, &self->pending);
  clock_join(&clocks.fences, &self->now.before);
  clock_join(&self->now.seen, &clocks.fences);
  self->now.fence = clock_next_sc();
  self->released = self->now;
}

void clock_fence(enum order order)
{
  struct clocks *self = clock_of(fiber_self());

  if (order == ORDER_SEQ_CST)
    clock_fence_of(fiber_self());
  if (order_acquires(order))
    stamp_join(&self->now, &self->pending);
  if (order_releases(order))
    self->released = self->now;
}

uint32_t clock_next_sc(void)
{
  return ++clocks.sc;
}

const struct clock *clock_all_fences(void)
{
  return &clocks.fences;
}

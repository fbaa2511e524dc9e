/*
 * What calls do while another thread holds the lock that they need: TRY,
 * deadlines, and waiting to the end. The lock is held by a callback that
 * waits for a step of the test.
 */
#include "calls.h"
#include "numbers.h"
#include "settings.h"
#include "step.h"
#include "threads.h"

#include <string.h>

#define KEYS 200
#define HELD UINT64_C(7)

enum { STEP_HELD = 1, STEP_LET_GO };

struct holder {
  struct thread thread;
  struct step step;
  struct cmap *map;
  bool reads; /* holds the read lock */
};

static enum cmap_status hold_write(struct cmap_key key, void *value, void *ctx)
{
  struct holder *holder = ctx;

  (void)key;
  (void)value;
  step_done(&holder->step, STEP_HELD);
  step_wait(&holder->step, STEP_LET_GO);
  return CMAP_OK;
}

static enum cmap_status hold_read(struct cmap_key key, const void *value,
                                  void *ctx)
{
  (void)value;
  return hold_write(key, NULL, ctx);
}

static void hold(unsigned index, void *ctx)
{
  struct holder *holder = ctx;
  uint64_t key = HELD;

  (void)index;
  if (holder->reads) {
    CHECK_OK(cmap_view(holder->map, cmap_key_u64(&key), hold_read, holder,
                       NULL));
  } else {
    CHECK_OK(cmap_alter(holder->map, cmap_key_u64(&key), hold_write, holder,
                        NULL));
  }
}

/* Another thread holds the lock of HELD's shard from here to let_go. */
static void take_hold(struct holder *holder, struct cmap *map, bool reads)
{
  holder->map = map;
  holder->reads = reads;
  step_begin(&holder->step);
  thread_start(&holder->thread, hold, 0, holder);
  step_wait(&holder->step, STEP_HELD);
}

static void let_go(struct holder *holder)
{
  step_done(&holder->step, STEP_LET_GO);
  thread_join(&holder->thread);
  step_end(&holder->step);
}

/* Must the call wait for a lock that is held like this? The key is present
   and, if the lock is held for writing, its group is being written. */
static bool must_wait(const struct call *call, bool held_for_reading)
{
  if (held_for_reading) {
    return call_has(call, CALL_WRITES);
  }
  return true;
}

typedef struct cmap_how how_fn(void);

/* Every call on the held key, which must end with `status` if it must wait,
   and then, with the lock free, with success. */
static void run_every_call(bool held_for_reading, how_fn *choose,
                           enum cmap_status status)
{
  for (size_t i = 0; i < calls_count; i++) {
    const struct call *call = &calls[i];
    struct cmap *map = calls_map(KEYS);
    uint64_t id = HELD;
    struct holder holder;
    struct cmap_how how;
    enum cmap_status got;
    if (call_has(call, CALL_PASSES) || call->run == NULL) {
      cmap_destroy(map);
      continue;
    }
    if (strcmp(call->name, "clone") == 0 || strcmp(call->name, "equal") == 0) {
      /* equal makes a clone without a deadline first, which would wait */
    }
    checks_about(call->name);
    take_hold(&holder, map, held_for_reading);
    how = choose();
    got = call->run(map, cmap_key_u64(&id), &how);
    CHECK_STATUS(got, must_wait(call, held_for_reading) ? status
                                                        : call->if_present);
    let_go(&holder);
    if (must_wait(call, held_for_reading)) {
      how = choose();
      how.deadline_ns = UINT64_MAX;
      CHECK_STATUS(call->run(map, cmap_key_u64(&id), &how), call->if_present);
    }
    cmap_destroy(map);
  }
  checks_assert();
}

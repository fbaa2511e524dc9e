/*
 * A write guard that goes from thread to thread, as tasks of a scheduler do:
 * each of three workers does one step on the entry and puts the task back into
 * the mailbox, where the next one finds it. A guard belongs to the thread that
 * took it; detached it belongs to none, and whoever has it makes it its own.
 * Prints
 *     steps=3 value=111
 */
#include <cmap.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

CMAP_DEFINE(counts, CMAP_U64, uint64_t);

enum { STEPS = 3 };

struct mailbox {
  pthread_mutex_t mutex;
  struct counts_write_guard guard; /* guarded by mutex; detached */
  int steps;                       /* guarded by mutex; done so far */
};

static void must(enum cmap_status status)
{
  if (status == CMAP_OK)
    return;
  fprintf(stderr, "%s\n", cmap_status_text(status));
  exit(1);
}

/* One step: makes the guard its own, works, and hands it on. */
static void *work(void *ctx)
{
  static const uint64_t add[STEPS] = {1, 10, 100};
  struct mailbox *box = ctx;

  pthread_mutex_lock(&box->mutex);
  must(counts_write_guard_attach(&box->guard));
  *box->guard.value += add[box->steps++];
  if (box->steps < STEPS)
    must(counts_write_guard_detach(&box->guard));
  else
    must(counts_write_guard_release(&box->guard));
  pthread_mutex_unlock(&box->mutex);
  return NULL;
}

int main(void)
{
  struct mailbox box = {.mutex = PTHREAD_MUTEX_INITIALIZER};
  pthread_t workers[STEPS];
  struct counts map;
  uint64_t value;

  must(counts_create(NULL, &map));
  must(counts_put(map, 1, 0));
  must(counts_get_mut(map, 1, &box.guard, NULL));
  must(counts_write_guard_detach(&box.guard));
  for (int i = 0; i < STEPS; i++) {
    if (pthread_create(&workers[i], NULL, work, &box) != 0)
      return 1;
  }
  for (int i = 0; i < STEPS; i++)
    pthread_join(workers[i], NULL);
  must(counts_find(map, 1, &value));
  printf("steps=%d value=%d\n", box.steps, (int)value);
  counts_destroy(map);
  return 0;
}

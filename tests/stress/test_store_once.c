/*
 * Many threads that want the same absent key: one of them builds it, every
 * time, and all get that object.
 */
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "settings.h"
#include "store_objects.h"
#include "threads.h"

#define CROWD 256

/* All threads of a crowd wait here between rounds; asleep, for there are more
   of them than processors. */
struct gate {
  pthread_mutex_t mutex;
  pthread_cond_t opened;
  unsigned count, arrived, rounds;
};

static void gate_pass(struct gate *gate)
{
  unsigned round;

  pthread_mutex_lock(&gate->mutex);
  round = gate->rounds;
  if (++gate->arrived == gate->count) {
    gate->arrived = 0;
    gate->rounds++;
    pthread_cond_broadcast(&gate->opened);
  }
  while (gate->rounds == round)
    pthread_cond_wait(&gate->opened, &gate->mutex);
  pthread_mutex_unlock(&gate->mutex);
}

struct stage {
  struct test_store t;
  struct gate gate;
  size_t rounds;      /* const */
  size_t keys;        /* const: of a round */
  unsigned linger;    /* const: the constructor yields so often */
  atomic_uint *built; /* of each key, in this round */
  void **got[CROWD];  /* of each key; the thread's */
  struct thread threads[CROWD];
};

static enum cmap_status build(struct cmap_key key, void **object, void *ctx)
{
  struct stage *stage = ctx;
  uint64_t id;

  memcpy(&id, key.data, sizeof id);
  atomic_fetch_add_explicit(&stage->built[id], 1, memory_order_relaxed);
  for (unsigned i = 0; i < stage->linger; i++)
    sched_yield();
  *object = tracked_new(&stage->t.lives, id, 1);
  return CMAP_OK;
}

/* Between two rounds: thread 0 looks at the last and empties the store. */
static void check_round(struct stage *stage)
{
  for (uint64_t id = 0; id < stage->keys; id++) {
    CHECK(atomic_exchange(&stage->built[id], 0) == 1);
    for (unsigned i = 1; i < stage->gate.count; i++)
      CHECK(stage->got[i][id] == stage->got[0][id]);
    CHECK_OK(cmap_store_remove(stage->t.store, cmap_key_u64(&id), NULL));
  }
  CHECK(cmap_store_len(stage->t.store) == 0);
}

static void want(struct stage *stage, unsigned index, uint64_t id)
{
  struct cmap_handle handle = CMAP_INIT;

  CHECK_OK(cmap_store_get_or_create(stage->t.store, cmap_key_u64(&id), &handle,
                                    build, stage, NULL));
  if (handle.object != NULL)
    store_object(&handle, id);
  stage->got[index][id] = handle.object;
  cmap_handle_release(&handle);
}

static void want_all(unsigned index, void *ctx)
{
  struct stage *stage = ctx;

  for (size_t round = 0; round < stage->rounds; round++) {
    gate_pass(&stage->gate);
    for (size_t i = 0; i < stage->keys; i++)
      want(stage, index, round % 2 ? (i + index * 37) % stage->keys : i);
    gate_pass(&stage->gate);
    if (index == 0)
      check_round(stage);
  }
}

static void crowd(unsigned count, size_t rounds, size_t keys, unsigned linger)
{
  static struct stage stage;
  struct cmap_store_stats stats;

  test_store_open(&stage.t, KEYS_U64);
  stage.gate = (struct gate){.count = count};
  pthread_mutex_init(&stage.gate.mutex, NULL);
  pthread_cond_init(&stage.gate.opened, NULL);
  stage.rounds = rounds;
  stage.keys = keys;
  stage.linger = linger;
  stage.built = calloc(keys, sizeof *stage.built);
  for (unsigned i = 0; i < count; i++)
    stage.got[i] = calloc(keys, sizeof *stage.got[i]);
  for (unsigned i = 0; i < count; i++)
    thread_start(&stage.threads[i], want_all, i, &stage);
  for (unsigned i = 0; i < count; i++)
    pthread_join(stage.threads[i].id, NULL);
  stats = store_stats(stage.t.store);
  CHECK(stats.done == rounds * keys && stats.failed == 0);
  CHECK(stats.hits + stats.misses == rounds * keys * count);
  CHECK(stats.misses >= rounds * keys);
  CHECK(stats.waiters == 0 && stats.running == 0 && stats.abandoned == 0);
  for (unsigned i = 0; i < count; i++)
    free(stage.got[i]);
  free(stage.built);
  test_store_close(&stage.t);
}

static void rounds_of(unsigned threads, size_t rounds, size_t keys,
                      unsigned linger)
{
  struct soak soak;

  soak_begin(&soak, 6);
  do
    crowd(threads, rounds, keys, linger);
  while (soak_again(&soak));
}

static void eight_threads(void **state)
{
  (void)state;
  rounds_of(8, test_scale(10000), 1, 0);
}

static void eight_threads_while_it_lasts(void **state)
{
  (void)state;
  rounds_of(8, test_scale(5000), 1, 3);
}

static void sixty_four_threads(void **state)
{
  (void)state;
  rounds_of(64, test_scale(500), 1, 20);
}

static void more_than_have_counts_of_their_own(void **state)
{
  (void)state;
  rounds_of(CROWD, test_scale(100), 1, 20);
}

static void a_thousand_keys(void **state)
{
  (void)state;
  rounds_of(8, test_scale(60), 1000, 0);
}

static void a_thousand_keys_of_a_crowd(void **state)
{
  (void)state;
  rounds_of(64, test_scale(6), 1000, 1);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(eight_threads),
      cmocka_unit_test(eight_threads_while_it_lasts),
      cmocka_unit_test(sixty_four_threads),
      cmocka_unit_test(more_than_have_counts_of_their_own),
      cmocka_unit_test(a_thousand_keys),
      cmocka_unit_test(a_thousand_keys_of_a_crowd),
  };

  return cmocka_run_group_tests_name("store_once", tests, NULL, NULL);
}

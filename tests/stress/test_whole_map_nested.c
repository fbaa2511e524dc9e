/*
 * Calls that lock a whole map, or a shard while they wait for another, beside
 * threads that nest guards: they cost nobody a call, themselves included.
 *
 * The guards are taken in one order by all, so that there is no deadlock among
 * them; it is the opposite of the order in which the calls lock, so that each
 * meeting would be one. Money moves between accounts under two guards: what is
 * copied or counted is one moment.
 */
#include "calls.h"
#include "random.h"
#include "settings.h"
#include "spread.h"
#include "step.h"
#include "threads.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

enum { MAPS = 3, KEYS = 200, PLACES = 12, NESTERS = 3, CALLERS = 2 };

#define CALLS 150 /* of each kind by each caller */
#define DEPTH 3

/* The first is the bank; the others are equal. */
static struct cmap *maps[MAPS];
static uint64_t money; /* in all accounts of the bank */
static atomic_uint callers;

/* What is nested, in the order of (address of the map, hash). */
static struct place {
  struct cmap *map;
  uint64_t id;
} places[MAPS * PLACES];

static void nest(struct random *random, unsigned at, unsigned depth,
                 uint64_t *account)
{
  struct cmap_write_guard guard = CMAP_INIT;
  const struct place *place;

  if (depth == 0 || at == 0)
    return;
  place = &places[random_below(random, at)];
  CHECK_OK(cmap_get_mut(place->map, cmap_key_u64(&place->id), &guard, NULL));
  if (place->map == maps[0] && guard.value != NULL) {
    uint64_t *other = guard.value, amount = random_below(random, 50);
    if (account != NULL) {
      *account -= amount; /* wraps, and so does the sum */
      *other += amount;
    }
    account = other;
  }
  sched_yield(); /* so that others meet what is held */
  nest(random, (unsigned)(place - places), depth - 1, account);
  cmap_write_guard_release(&guard);
}

static void look(void)
{
  struct cmap_snapshot *snapshot = NULL;
  uint64_t sum = 0, value;
  size_t len = 0;
  bool equal = false;

  CHECK_OK(cmap_len_exact(maps[0], &len, NULL));
  CHECK(len == KEYS);
  CHECK_OK(cmap_equal(maps[1], maps[2], &equal, NULL));
  CHECK(equal);
  CHECK_OK(cmap_snapshot_create(maps[0], CMAP_VALUES_ONLY, &snapshot, NULL));
  for (size_t i = 0; i < cmap_snapshot_count(snapshot); i++) {
    memcpy(&value, cmap_snapshot_value(snapshot, i), sizeof value);
    sum += value;
  }
  CHECK(sum == money);
  cmap_snapshot_destroy(snapshot);
}

static void work(unsigned index, void *ctx)
{
  struct random random;

  (void)ctx;
  random_begin(&random, index);
  if (index < CALLERS) {
    for (size_t n = test_scale(CALLS); n > 0 && !checks_failed(); n--)
      look();
    atomic_fetch_sub(&callers, 1);
  } else {
    while (atomic_load(&callers) > 0)
      nest(&random, MAPS * PLACES, 2 + index % (DEPTH - 1), NULL);
  }
}

static int compare_maps(const void *a, const void *b)
{
  uintptr_t x = (uintptr_t)((const struct place *)a)->map;
  uintptr_t y = (uintptr_t)((const struct place *)b)->map;

  return x < y ? -1 : x > y;
}

static void nobody_is_refused(void **state)
{
  struct place by_map[MAPS];

  (void)state;
  atomic_store(&callers, CALLERS);
  money = 0;
  for (uint64_t id = 0; id < KEYS; id++)
    money += calls_value(cmap_key_u64(&id));
  for (unsigned i = 0; i < MAPS; i++)
    by_map[i].map = maps[i] = calls_map(KEYS);
  qsort(by_map, MAPS, sizeof *by_map, compare_maps);
  for (unsigned i = 0; i < MAPS; i++) {
    uint64_t ids[PLACES];
    spread_ids(by_map[i].map, KEYS, ids, PLACES);
    for (unsigned k = 0; k < PLACES; k++)
      places[i * PLACES + k] = (struct place){by_map[i].map, ids[k]};
  }
  threads_run(CALLERS + NESTERS, work, NULL);
  for (unsigned i = 0; i < MAPS; i++)
    cmap_destroy(maps[i]);
  checks_assert();
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(nobody_is_refused),
  };

  return cmocka_run_group_tests_name("whole_map_nested", tests, NULL, NULL);
}

/*
 * No false alarm: threads that take their holds in one order, of the maps'
 * addresses and in each map of the keys' hashes, can never be in a deadlock,
 * however many they are and whatever goes on beside them. So CMAP_EDEADLK may
 * not appear at all.
 *
 * A shard is held once at the most. Whether two keys share one is asked while
 * the first is held: until its release their shards cannot change.
 */
#include "calls.h"
#include "numbers.h"
#include "random.h"
#include "settings.h"
#include "threads.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define THREADS     8
#define MAPS        3
#define KEYS        UINT64_C(40)
#define OTHER_KEYS  UINT64_C(80)
#define TURNS       60000 /* of each thread */
#define HOLDS       5
#define PATIENCE_NS UINT64_C(1000000)

/* A key that a turn wants, as it is ordered. */
struct place {
  struct cmap *map;
  uint64_t hash, id;
};

struct hold {
  struct cmap_read_guard read; /* one of them is not CMAP_INIT */
  struct cmap_write_guard write;
  struct cmap_entry entry;
};

struct worker {
  struct cmap **maps;
  struct random random;
  struct hold holds[HOLDS];
};

static atomic_size_t taken;

static int compare_places(const void *a, const void *b)
{
  const struct place *x = a;
  const struct place *y = b;

  if (x->map != y->map)
    return (uintptr_t)x->map < (uintptr_t)y->map ? -1 : 1;
  return x->hash < y->hash ? -1 : x->hash > y->hash;
}

/* Every refusal but a deadlock is right. */
static bool is_ok(enum cmap_status status)
{
  if (status != CMAP_NOT_FOUND && status != CMAP_BUSY &&
      status != CMAP_TIMEDOUT)
    CHECK_OK(status);
  return status == CMAP_OK;
}

static struct place any_place(struct worker *w)
{
  struct place place = {w->maps[random_below(&w->random, MAPS)], 0,
                        random_below(&w->random, KEYS)};

  CHECK_OK(cmap_hash(place.map, cmap_key_u64(&place.id), &place.hash));
  return place;
}

/* Mostly no limit: that is what could be refused. */
static const struct cmap_how *any_how(struct worker *w, struct cmap_how *how)
{
  if (!random_once_in(&w->random, 8))
    return NULL;
  *how = random_once_in(&w->random, 2)
             ? cmap_how_try()
             : cmap_how_within(random_below(&w->random, PATIENCE_NS));
  return how;
}

static enum cmap_status see(struct cmap_key key, const void *value, void *ctx)
{
  (void)key, (void)value, (void)ctx;
  return CMAP_OK;
}

static enum cmap_status change(struct cmap_key key, void *value, void *ctx)
{
  ++*(uint64_t *)value;
  return see(key, value, ctx);
}

/* Takes the key with a hold that stays, or by a call that is over at once. */
static bool take(struct worker *w, struct hold *hold, const struct place *place)
{
  struct cmap_key key = cmap_key_u64(&place->id);
  struct cmap *map = place->map;
  struct cmap_how given;
  const struct cmap_how *how = any_how(w, &given);

  switch (random_below(&w->random, 8)) {
  case 0:
  case 1:
  case 2:
    return is_ok(cmap_get_mut(map, key, &hold->write, how));
  case 3:
    return is_ok(cmap_entry_begin(map, key, &hold->entry, how));
  case 4:
    return is_ok(cmap_alter(map, key, change, NULL, how));
  case 5:
    return is_ok(cmap_view(map, key, see, NULL, how));
  default:
    return is_ok(cmap_get_ref(map, key, &hold->read, how));
  }
}

static void let_go(struct hold *hold)
{
  cmap_read_guard_release(&hold->read);
  cmap_write_guard_release(&hold->write);
  cmap_entry_release(&hold->entry);
}

/*
 * Do they lie in one shard? The first is held, so that the answer stays. The
 * index of a shard changes when others are split or merged: it is asked again
 * until nothing seems to have happened between, and once more.
 */
static bool share_shard(const struct place *held, const struct place *other)
{
  bool same = false;

  for (int stable = 0; stable < 3;) {
    size_t before = cmap_shard_index(held->map, held->hash);
    size_t index = cmap_shard_index(held->map, other->hash);
    if (before == cmap_shard_index(held->map, held->hash)) {
      same = same || index == before;
      stable++;
    }
  }
  return same;
}

static void take_in_order(struct worker *w)
{
  struct place places[HOLDS];
  size_t n = 2 + (size_t)random_below(&w->random, HOLDS - 1);

  memset(w->holds, 0, sizeof w->holds);
  for (size_t i = 0; i < n; i++)
    places[i] = any_place(w);
  qsort(places, n, sizeof *places, compare_places);
  for (size_t i = 0, last = 0; i < n; i++) {
    const struct place *before = &places[last];
    if (i > 0 && before->map == places[i].map &&
        share_shard(before, &places[i]))
      continue;
    if (!take(w, &w->holds[i], &places[i]))
      break;
    last = i;
    if (random_once_in(&w->random, 4))
      sched_yield(); /* so that others meet what is held */
    atomic_fetch_add_explicit(&taken, 1, memory_order_relaxed);
  }
  for (size_t i = 0; i < n; i++)
    let_go(&w->holds[i]);
}

static void take_many(struct worker *w)
{
  struct cmap_want wants[HOLDS];
  struct place places[HOLDS];
  struct cmap_multi held = CMAP_INIT;
  struct cmap_how given;

  for (size_t i = 0; i < HOLDS; i++) {
    places[i] = any_place(w);
    wants[i] = (struct cmap_want){
        places[i].map, cmap_key_u64(&places[i].id),
        (enum cmap_mode)(CMAP_READ + random_below(&w->random, 3)), CMAP_OK};
  }
  (void)is_ok(cmap_lock_many(wants, HOLDS, &held, any_how(w, &given)));
  cmap_multi_release(&held);
}

/* Calls without a hold; other keys come and go, shards split and merge. */
static void call(struct worker *w)
{
  struct place place = any_place(w);
  uint64_t id = KEYS + random_below(&w->random, OTHER_KEYS);
  struct cmap_key other = cmap_key_u64(&id);
  struct cmap *low =
      (uintptr_t)w->maps[0] < (uintptr_t)place.map ? w->maps[0] : place.map;
  size_t len;
  bool equal;

  switch (random_below(&w->random, 16)) {
  case 0:
    (void)is_ok(cmap_len_exact(place.map, &len, NULL));
    break;
  case 1:
    (void)is_ok(cmap_equal(low, w->maps[MAPS - 1], &equal, NULL));
    break;
  case 2:
    (void)is_ok(cmap_shrink_to_fit(place.map, NULL));
    break;
  case 3:
    (void)is_ok(cmap_alter_all(place.map, change, NULL, NULL));
    break;
  case 4:
  case 5:
  case 6:
  case 7:
    (void)is_ok(cmap_remove(place.map, other, NULL, NULL));
    break;
  default:
    (void)is_ok(cmap_insert(place.map, other, &id, NULL, NULL, NULL));
  }
}

static void work(unsigned index, void *ctx)
{
  struct worker w = {.maps = ctx};

  random_begin(&w.random, 1 + index);
  for (size_t n = test_scale(TURNS); n > 0 && !checks_failed(); n--) {
    switch (random_below(&w.random, 4)) {
    case 0:
      call(&w);
      break;
    case 1:
      take_many(&w);
      break;
    default:
      take_in_order(&w);
    }
  }
}

static void order_is_never_refused(void **state)
{
  struct cmap *maps[MAPS];
  struct soak soak;

  (void)state;
  soak_begin(&soak, 1);
  do {
    for (size_t i = 0; i < MAPS; i++) {
      maps[i] = numbers_open_small();
      for (uint64_t id = 0; id < KEYS; id++)
        numbers_put(maps[i], id, 0);
    }
    threads_run(THREADS, work, maps);
    for (size_t i = 0; i < MAPS; i++)
      cmap_destroy(maps[i]);
  } while (soak_again(&soak));
  printf("%zu holds\n", atomic_load(&taken));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(order_is_never_refused),
  };

  return cmocka_run_group_tests_name("deadlock_ordered", tests, NULL, NULL);
}

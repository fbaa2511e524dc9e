/* cmap_rename and cmap_swap_values; and that nobody sees half of them, or of
   what is done under cmap_lock_many. */
#include "calls.h"
#include "numbers.h"
#include "operations_guards.h"
#include "settings.h"
#include "threads.h"

#include <string.h>

#define KEYS    200
#define KEY     UINT64_C(7)
#define ABSENT  UINT64_C(1000)
#define USER    ((enum cmap_status)USER_STATUS)
#define THREADS 3

static void both_on_every_kind_of_map(void **state)
{
  static op_fn *const ops[] = {op_insert, op_rename, op_swap_values, op_insert,
                               op_insert, op_rename, op_swap_values, op_insert};

  (void)state;
  op_exercise(ops, sizeof ops / sizeof *ops);
}

static uint64_t number_at(const void *value)
{
  uint64_t number = UINT64_MAX;

  if (value != NULL)
    memcpy(&number, value, sizeof number);
  return number;
}

static void statuses(void **state)
{
  struct cmap *map = calls_map(KEYS);
  uint64_t a = KEY, b = KEY + 1, none = ABSENT, more = ABSENT + 1;
  struct cmap_key ka = cmap_key_u64(&a), kb = cmap_key_u64(&b);
  struct cmap_key kn = cmap_key_u64(&none), km = cmap_key_u64(&more);
  struct cmap_key bad[] = {cmap_key_bytes(NULL, 8), cmap_key_bytes(&a, 7)};
  struct cmap_how how = cmap_how_try();

  (void)state;
  for (int i = 0; i < 2; i++) {
    CHECK_STATUS(cmap_rename(map, bad[i], kn, NULL), CMAP_EINVAL);
    CHECK_STATUS(cmap_rename(map, ka, bad[i], NULL), CMAP_EINVAL);
    CHECK_STATUS(cmap_swap_values(map, bad[i], ka, NULL), CMAP_EINVAL);
    CHECK_STATUS(cmap_swap_values(map, ka, bad[i], NULL), CMAP_EINVAL);
  }
  CHECK_STATUS(cmap_rename(NULL, ka, kn, NULL), CMAP_EINVAL);
  CHECK_STATUS(cmap_swap_values(NULL, ka, kb, NULL), CMAP_EINVAL);
  how.flags |= 32;
  CHECK_STATUS(cmap_rename(map, ka, kn, &how), CMAP_EINVAL);
  CHECK_STATUS(cmap_swap_values(map, ka, kb, &how), CMAP_EINVAL);
  CHECK_STATUS(cmap_rename(map, kn, km, NULL), CMAP_NOT_FOUND);
  CHECK_STATUS(cmap_rename(map, kn, ka, NULL), CMAP_NOT_FOUND);
  CHECK_STATUS(cmap_rename(map, kn, kn, NULL), CMAP_NOT_FOUND);
  CHECK_STATUS(cmap_rename(map, ka, kb, NULL), CMAP_EXISTS);
  CHECK_STATUS(cmap_rename(map, ka, ka, NULL), CMAP_OK);
  CHECK_STATUS(cmap_swap_values(map, ka, kn, NULL), CMAP_NOT_FOUND);
  CHECK_STATUS(cmap_swap_values(map, kn, ka, NULL), CMAP_NOT_FOUND);
  CHECK_STATUS(cmap_swap_values(map, kn, kn, NULL), CMAP_NOT_FOUND);
  CHECK_OK(cmap_swap_values(map, ka, ka, NULL));
  CHECK(cmap_len(map) == KEYS && !numbers_has(map, ABSENT));
  for (uint64_t id = 0; id < KEYS; id++)
    CHECK(numbers_get(map, id) == calls_value(cmap_key_u64(&id)));
  how = cmap_how_try();
  CHECK_OK(cmap_rename(map, ka, kn, &how));
  CHECK(!numbers_has(map, KEY) && numbers_get(map, ABSENT) == calls_value(ka));
  CHECK_OK(cmap_swap_values(map, kb, kn, &how));
  CHECK(numbers_get(map, b) == calls_value(ka));
  CHECK(numbers_get(map, ABSENT) == calls_value(kb));
  CHECK(cmap_len(map) == KEYS);
  cmap_destroy(map);
  checks_assert();
}

/* Own holds: on either key, of either kind. */
static void own_holds(void **state)
{
  struct cmap *map = calls_map(KEYS);
  struct cmap_how try = cmap_how_try();
  uint64_t a = KEY, b = calls_other_shard(map, KEYS, KEY), none = ABSENT;

  (void)state;
  for (int writes = 0; writes < 2; writes++) {
    CMAP_AUTO(cmap_write_guard, write);
    CMAP_AUTO(cmap_read_guard, read);
    CHECK_OK(cmap_get_mut(map, cmap_key_u64(&a), &write, NULL));
    if (!writes)
      CHECK_OK(cmap_write_guard_downgrade(&write, &read));
    for (int swap = 0; swap < 2; swap++) {
      struct cmap_key x = cmap_key_u64(swap ? &b : &a);
      struct cmap_key y = cmap_key_u64(swap ? &a : &b);
      CHECK_STATUS(cmap_swap_values(map, x, y, NULL), CMAP_EDEADLK);
      CHECK_STATUS(cmap_swap_values(map, x, y, &try), CMAP_BUSY);
      CHECK_STATUS(cmap_rename(map, x, y, NULL), CMAP_EDEADLK);
      CHECK_STATUS(cmap_rename(map, x, y, &try), CMAP_BUSY);
    }
    CHECK_STATUS(cmap_rename(map, cmap_key_u64(&a), cmap_key_u64(&none), NULL),
                 CMAP_EDEADLK);
  }
  CHECK(cmap_len(map) == KEYS && numbers_has(map, KEY));
  CHECK_OK(cmap_clear(map, &try));
  cmap_destroy(map);
  checks_assert();
}

/* A user status of key_copy; the old key is destroyed, the value moves. */
static void keys_that_own(void **state)
{
  const struct map_spec spec = {.keys = KEYS_CUSTOM_OWNED,
                                .value_size = 308,
                                .care = VALUES_UNCOPYABLE,
                                .shard_groups = 1};
  struct cmap_read_guard guard = CMAP_INIT;
  struct key_room room, other_room;
  struct value_room value;
  struct test_map m;

  (void)state;
  test_map_open(&m, &spec);
  for (uint64_t id = 0; id < 40; id++) {
    value_make(&m, id, 1, value.bytes);
    CHECK_OK(cmap_insert(m.map, key_make(&spec, id, &room), value.bytes, NULL,
                         NULL, NULL));
  }
  for (uint64_t id = 0; id < 40; id++) {
    struct cmap_key from = key_make(&spec, id, &room);
    struct cmap_key to = key_make(&spec, id + 100, &other_room);
    CHECK(lifetimes_alive(m.lives) == 80);
    atomic_store(&m.lives->clone_status, USER_STATUS);
    CHECK_STATUS(cmap_rename(m.map, from, to, NULL), USER);
    atomic_store(&m.lives->clone_status, 0);
    CHECK_OK(cmap_contains(m.map, from, NULL));
    CHECK_STATUS(cmap_contains(m.map, to, NULL), CMAP_NOT_FOUND);
    CHECK_OK(cmap_rename(m.map, from, to, NULL));
    CHECK_STATUS(cmap_contains(m.map, from, NULL), CMAP_NOT_FOUND);
    CHECK_OK(cmap_get_ref(m.map, to, &guard, NULL));
    CHECK(key_id(&spec, guard.key) == id + 100);
    CHECK(value_is(&m, id, 1, guard.value));
    cmap_read_guard_release(&guard);
  }
  CHECK(lifetimes_alive(m.lives) == 80 && cmap_len(m.map) == 40);
  test_map_close(&m);
}

/* ------------------------------------------------------------------------
 * Nobody sees half of it
 * ------------------------------------------------------------------------ */

/* One entry wanders from key to key, upwards; END is a key that stays. */
struct wanderer {
  struct test_map m;
  uint64_t last;
  _Atomic uint64_t at; /* it has left all keys below */
};

static void wander(struct wanderer *w)
{
  struct key_room room, next_room;

  for (uint64_t id = 0; id < w->last; id++) {
    CHECK_OK(cmap_rename(w->m.map, key_make(&w->m.spec, id, &room),
                         key_make(&w->m.spec, id + 1, &next_room), NULL));
    atomic_store_explicit(&w->at, id + 1, memory_order_release);
  }
}

/* Looks where the entry is by plain reads; it is at `at` or above. */
static uint64_t find(struct wanderer *w, uint64_t at)
{
  struct key_room room;

  for (; at <= w->last; at++) {
    enum cmap_status status =
        cmap_contains(w->m.map, key_make(&w->m.spec, at, &room), NULL);
    if (status == CMAP_OK) {
      /* Never both: it has left the key before. */
      if (at > 0)
        CHECK_STATUS(
            cmap_contains(w->m.map, key_make(&w->m.spec, at - 1, &room), NULL),
            CMAP_NOT_FOUND);
      return at;
    }
    CHECK_STATUS(status, CMAP_NOT_FOUND);
  }
  CHECK_NEVER("neither the old key nor the new one is there");
  return w->last;
}

static void wander_or_watch(unsigned index, void *ctx)
{
  struct wanderer *w = ctx;
  uint64_t at = 0;

  if (index == 0) {
    wander(w);
  } else if (index == 1) {
    while (at < w->last && !checks_failed())
      at = find(w, at);
  } else {
    while (at < w->last && !checks_failed()) {
      struct cmap_multi held = CMAP_INIT;
      struct cmap_want wants[2];
      struct key_room rooms[2];
      int there;
      at = atomic_load_explicit(&w->at, memory_order_acquire);
      for (uint64_t i = 0; i < 2; i++)
        wants[i] = (struct cmap_want){w->m.map,
                                      key_make(&w->m.spec, at + i, &rooms[i]),
                                      CMAP_ENTRY, CMAP_OK};
      CHECK_OK(cmap_lock_many(wants, 2, &held, NULL));
      there = (cmap_multi_value(&held, 0) != NULL) +
              (cmap_multi_value(&held, 1) != NULL);
      CHECK(there == 1 || (there == 0 && atomic_load(&w->at) > at));
      cmap_multi_release(&held);
    }
  }
}

static void nobody_sees_half_a_rename(void **state)
{
  static const struct map_spec specs[] = {
      {.keys = KEYS_U64, .value_size = 8, .shard_groups = 1},
      {.keys = KEYS_U64, .value_size = 8},
      {.keys = KEYS_FIXED_16, .value_size = 64, .hash = HASH_LOW_4},
      {.keys = KEYS_STRING, .value_size = 8, .shard_groups = 1},
  };

  (void)state;
  for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
    static struct wanderer w;
    struct value_room value;
    struct key_room room;
    checks_about(map_spec_name(&specs[i]));
    test_map_open(&w.m, &specs[i]);
    /* Others, so that there is more than one shard. */
    for (uint64_t id = 100000; id < 100200; id++) {
      value_make(&w.m, id, 1, value.bytes);
      CHECK_OK(cmap_insert(w.m.map, key_make(&specs[i], id, &room), value.bytes,
                           NULL, NULL, NULL));
    }
    value_make(&w.m, 0, 1, value.bytes);
    CHECK_OK(cmap_insert(w.m.map, key_make(&specs[i], 0, &room), value.bytes,
                         NULL, NULL, NULL));
    atomic_init(&w.at, 0);
    w.last = test_scale(20000);
    threads_run(3, wander_or_watch, &w);
    CHECK(cmap_len(w.m.map) == 201);
    test_map_close(&w.m);
  }
}

#define PAIRS 64

/* Pair i has the keys 2 i and 2 i + 1. */
struct pairs {
  struct cmap *map;
  atomic_bool over;
};

static void swap_all(struct pairs *pairs)
{
  for (size_t n = 0; n < test_scale(20000); n++) {
    uint64_t a = n % PAIRS * 2, b = a + 1;
    CHECK_OK(cmap_swap_values(pairs->map, cmap_key_u64(n % 3 ? &a : &b),
                              cmap_key_u64(n % 3 ? &b : &a), NULL));
  }
  atomic_store(&pairs->over, true);
}

/* 100 and 1000 lie in each pair: one of each, whoever looks at both. */
static void watch_pairs(struct pairs *pairs)
{
  uint64_t n = 0;

  while (!atomic_load(&pairs->over) && !checks_failed()) {
    uint64_t ids[2] = {n % PAIRS * 2, n % PAIRS * 2 + 1}, x, y;
    struct cmap_want wants[2] = {
        {pairs->map, cmap_key_u64(&ids[n % 2]), CMAP_READ, CMAP_OK},
        {pairs->map, cmap_key_u64(&ids[1 - n % 2]), CMAP_READ, CMAP_OK}};
    struct cmap_multi held = CMAP_INIT;
    CHECK_OK(cmap_lock_many(wants, 2, &held, NULL));
    x = number_at(cmap_multi_value(&held, 0));
    y = number_at(cmap_multi_value(&held, 1));
    CHECK(x + y == 1100 && (x == 100 || x == 1000));
    cmap_multi_release(&held);
    n++;
  }
}

static void swap_or_watch(unsigned index, void *ctx)
{
  if (index == 0)
    swap_all(ctx);
  else
    watch_pairs(ctx);
}

static void nobody_sees_half_a_swap(void **state)
{
  struct pairs pairs = {.map = numbers_open_small()};

  (void)state;
  atomic_init(&pairs.over, false);
  for (uint64_t id = 0; id < 2 * PAIRS; id++)
    numbers_put(pairs.map, id, id % 2 ? 100 : 1000);
  threads_run(3, swap_or_watch, &pairs);
  cmap_destroy(pairs.map);
}

/* Each pair is exchanged once: who sees one half by a plain read must find the
   other by the next. */
static void swap_once_or_read(unsigned index, void *ctx)
{
  struct pairs *pairs = ctx;

  for (uint64_t n = 0; n < test_scale(10000); n++) {
    uint64_t a = n * 2, b = a + 1, x, y;
    uint64_t first = index % 2 ? a : b, second = index % 2 ? b : a;
    if (index == 0) {
      CHECK_OK(cmap_swap_values(pairs->map, cmap_key_u64(&a), cmap_key_u64(&b),
                                NULL));
      continue;
    }
    do {
      x = numbers_get(pairs->map, first);
      y = numbers_get(pairs->map, second);
    } while (x == first && !checks_failed());
    CHECK(x == second && y == first);
  }
}

static void plain_reads_of_a_swap(void **state)
{
  (void)state;
  for (int small = 0; small < 2; small++) {
    struct pairs pairs = {.map = small ? numbers_open_small() : numbers_open()};
    for (uint64_t id = 0; id < 2 * test_scale(10000); id++)
      numbers_put(pairs.map, id, id);
    threads_run(3, swap_once_or_read, &pairs);
    cmap_destroy(pairs.map);
  }
}

/* ------------------------------------------------------------------------
 * Three maps
 * ------------------------------------------------------------------------ */

#define ACCOUNTS 30

struct banks {
  struct cmap *maps[3];
  uint64_t ids[ACCOUNTS];
};

static struct cmap_want account(struct banks *banks, size_t i,
                                enum cmap_mode mode)
{
  struct cmap_want w = {banks->maps[i % 3], cmap_key_u64(&banks->ids[i]), mode,
                        CMAP_OK};

  return w;
}

static void audit(struct banks *banks)
{
  struct cmap_want wants[ACCOUNTS];
  struct cmap_multi held = CMAP_INIT;
  uint64_t sum = 0;

  for (size_t i = 0; i < ACCOUNTS; i++)
    wants[i] = account(banks, (i * 7) % ACCOUNTS, CMAP_READ);
  CHECK_OK(cmap_lock_many(wants, ACCOUNTS, &held, NULL));
  for (size_t i = 0; i < ACCOUNTS; i++)
    sum += number_at(cmap_multi_value(&held, i));
  CHECK(sum == ACCOUNTS * 100);
  cmap_multi_release(&held);
}

/* Moves 1 from account to account, in whatever order they are drawn. */
static void move_money(unsigned index, void *ctx)
{
  struct banks *banks = ctx;
  struct random random;

  random_begin(&random, index);
  for (size_t n = 0; n < test_scale(5000); n++) {
    size_t from = (size_t)random_below(&random, ACCOUNTS);
    size_t to = (size_t)random_below(&random, ACCOUNTS);
    struct cmap_want wants[2] = {account(banks, from, CMAP_WRITE),
                                 account(banks, to, CMAP_ENTRY)};
    struct cmap_multi held = CMAP_INIT;
    uint64_t a, b;
    if (n % 16 == index) {
      audit(banks);
      continue;
    }
    CHECK_OK(cmap_lock_many(wants, 2, &held, NULL));
    a = number_at(cmap_multi_value(&held, 0));
    if (from != to && a > 0) {
      b = number_at(cmap_multi_value(&held, 1)) + 1;
      a--;
      memcpy(cmap_multi_value(&held, 0), &a, sizeof a);
      CHECK_OK(cmap_entry_insert(cmap_multi_entry(&held, 1), &b, NULL));
    }
    cmap_multi_release(&held);
  }
}

static void money_is_neither_made_nor_lost(void **state)
{
  struct banks banks;

  (void)state;
  for (size_t i = 0; i < 3; i++)
    banks.maps[i] = i ? numbers_open_small() : numbers_open();
  for (size_t i = 0; i < ACCOUNTS; i++) {
    banks.ids[i] = i;
    numbers_put(banks.maps[i % 3], i, 100);
  }
  threads_run(THREADS, move_money, &banks);
  audit(&banks);
  for (size_t i = 0; i < 3; i++)
    cmap_destroy(banks.maps[i]);
  checks_assert();
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(both_on_every_kind_of_map),
      cmocka_unit_test(statuses),
      cmocka_unit_test(own_holds),
      cmocka_unit_test(keys_that_own),
      cmocka_unit_test(nobody_sees_half_a_rename),
      cmocka_unit_test(nobody_sees_half_a_swap),
      cmocka_unit_test(plain_reads_of_a_swap),
      cmocka_unit_test(money_is_neither_made_nor_lost),
  };

  return cmocka_run_group_tests_name("rename", tests, NULL, NULL);
}

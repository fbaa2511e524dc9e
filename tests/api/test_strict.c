/*
 * CMAP_STRICT: whatever a thread holds of a map, every call that would be
 * refused if the other key lived in the same shard is refused wherever it
 * lives; all else works.
 */
#include "calls.h"

#include <stdio.h>

#define KEYS   200
#define KEY    UINT64_C(7)
#define ABSENT UINT64_C(1000)

enum holder {
  READ_GUARD,
  WRITE_GUARD,
  ENTRY,
  MULTI_READ,
  MULTI_WRITE,
  ITER_READ,
  ITER_WRITE,
  IN_VIEW,
  IN_ALTER,
  HOLDERS
};

static const char *const holders[HOLDERS] = {
    "a read guard", "a write guard",        "an entry",
    "keys to read", "keys to write",        "an iterator to read",
    "one to write", "the callback of view", "the callback of alter"};

static bool writes(enum holder holder)
{
  return holder == WRITE_GUARD || holder == ENTRY || holder == MULTI_WRITE ||
         holder == ITER_WRITE || holder == IN_ALTER;
}

/* One call beside a hold. */
struct scene {
  struct cmap *map;
  enum holder holder;
  const struct call *call;
  bool refers; /* one of ref_calls */
  bool absent;
  bool tries;
  uint64_t id; /* of the call's key */
};

/* What the call returns in a strict map. */
static enum cmap_status expected(const struct scene *s)
{
  const struct call *call = s->call;
  bool refused = s->refers ? writes(s->holder) ||
                                 (call_has(call, CALL_MAY_ADD) && s->absent)
                           : call_has(call, CALL_WRITES) ||
                                 (call_has(call, CALL_MAY_ADD) && s->absent);

  if (refused) {
    return s->tries ? CMAP_BUSY : CMAP_EDEADLK;
  }
  return s->absent ? call->if_absent : call->if_present;
}

static void run(struct scene *s)
{
  const struct cmap_how now = cmap_how_try();
  enum cmap_status got =
      s->call->run(s->map, cmap_key_u64(&s->id), s->tries ? &now : NULL);

  if (got != expected(s)) {
    printf("beside %s: %s%s%s: %s, not %s\n", holders[s->holder], s->call->name,
           s->absent ? ", absent" : "", s->tries ? ", tries" : "",
           cmap_status_name(got), cmap_status_name(expected(s)));
    CHECK_NEVER("another status");
  }
}

static enum cmap_status in_view(struct cmap_key key, const void *value,
                                void *ctx)
{
  (void)key, (void)value;
  run(ctx);
  return CMAP_OK;
}

static enum cmap_status in_alter(struct cmap_key key, void *value, void *ctx)
{
  return in_view(key, value, ctx);
}

/* Holds KEY, or an entry, and runs the call. */
static void play(struct scene *s)
{
  CMAP_AUTO(cmap_read_guard, reader);
  CMAP_AUTO(cmap_write_guard, writer);
  CMAP_AUTO(cmap_entry, entry);
  CMAP_AUTO(cmap_multi, several);
  CMAP_AUTO(cmap_iter, iter);
  uint64_t id = KEY;
  struct cmap_key key = cmap_key_u64(&id);
  struct cmap_want want = {
      s->map, key, s->holder == MULTI_READ ? CMAP_READ : CMAP_WRITE, CMAP_OK};

  switch (s->holder) {
  case READ_GUARD:
    CHECK_OK(cmap_get_ref(s->map, key, &reader, NULL));
    break;
  case WRITE_GUARD:
    CHECK_OK(cmap_get_mut(s->map, key, &writer, NULL));
    break;
  case ENTRY:
    CHECK_OK(cmap_entry_begin(s->map, key, &entry, NULL));
    break;
  case MULTI_READ:
  case MULTI_WRITE:
    CHECK_OK(cmap_lock_many(&want, 1, &several, NULL));
    break;
  case ITER_READ:
  case ITER_WRITE:
    CHECK_OK(cmap_iter_begin(
        s->map, s->holder == ITER_READ ? CMAP_READ : CMAP_WRITE, 0, 1, &iter));
    CHECK_OK(cmap_iter_next(&iter, NULL));
    break;
  case IN_VIEW:
    CHECK_OK(cmap_view(s->map, key, in_view, s, NULL));
    return;
  default:
    CHECK_OK(cmap_alter(s->map, key, in_alter, s, NULL));
    return;
  }
  run(s);
}

static void each_call_beside_each_hold(void **state)
{
  (void)state;
  for (size_t i = 0; i < (size_t)HOLDERS * (calls_count + ref_calls_count) * 4;
       i++) {
    struct scene s = {.holder = (enum holder)(i % HOLDERS),
                      .absent = i / HOLDERS % 2 != 0,
                      .tries = i / HOLDERS / 2 % 2 != 0};
    size_t call = i / HOLDERS / 4;
    s.refers = call >= calls_count;
    s.call = s.refers ? &ref_calls[call - calls_count] : &calls[call];
    s.map = calls_map_with(KEYS, CMAP_STRICT);
    s.id = s.absent ? ABSENT : calls_other_shard(s.map, KEYS, KEY);
    play(&s);
    /* All is let go of, and as it was. */
    CHECK(cmap_len(s.map) >= KEYS);
    CHECK_OK(calls[3].run(s.map, cmap_key_u64(&s.id), NULL));
    CHECK_OK(cmap_check(s.map, NULL, NULL));
    cmap_destroy(s.map);
  }
  checks_assert();
}

/* Without a hold, or with one of another map, it is a map as any. */
static void without_a_hold(void **state)
{
  struct cmap *other = calls_map_with(KEYS, CMAP_STRICT);
  CMAP_AUTO(cmap_write_guard, guard);
  uint64_t id = KEY;

  (void)state;
  CHECK_OK(cmap_get_mut(other, cmap_key_u64(&id), &guard, NULL));
  for (size_t i = 0; i < calls_count; i++) {
    struct cmap *map = calls_map_with(KEYS, CMAP_STRICT);
    checks_about(calls[i].name);
    CHECK_STATUS(calls[i].run(map, cmap_key_u64(&id), NULL),
                 calls[i].if_present);
    cmap_destroy(map);
  }
  cmap_write_guard_release(&guard);
  cmap_destroy(other);
  checks_assert();
}

/* One call may take many locks of the map. */
static void many_locks_of_one_call(void **state)
{
  struct cmap *map = calls_map_with(KEYS, CMAP_STRICT);
  CMAP_AUTO(cmap_multi, held);
  CMAP_AUTO(cmap_iter, iter);
  struct cmap_want wants[KEYS];
  uint64_t ids[KEYS];
  size_t met = 0;

  (void)state;
  for (uint64_t i = 0; i < KEYS; i++) {
    ids[i] = i;
    wants[i] = (struct cmap_want){map, cmap_key_u64(&ids[i]),
                                  i % 2 ? CMAP_READ : CMAP_ENTRY, CMAP_OK};
  }
  CHECK_OK(cmap_lock_many(wants, KEYS, &held, NULL));
  CHECK_STATUS(cmap_get_mut(map, cmap_key_u64(&ids[0]),
                            &(struct cmap_write_guard)CMAP_INIT, NULL),
               CMAP_EDEADLK);
  cmap_multi_release(&held);
  CHECK_OK(cmap_fork_begin(map, NULL));
  CHECK_OK(cmap_fork_end(map));
  CHECK_OK(cmap_iter_begin(map, CMAP_WRITE, 0, 1, &iter));
  while (cmap_iter_next(&iter, NULL) == CMAP_OK) {
    met++;
    if (met % 2 == 0) {
      CHECK_OK(cmap_iter_remove(&iter, NULL));
    }
  }
  CHECK(met == KEYS && cmap_len(map) == KEYS / 2);
  /* It is at none. */
  CHECK_OK(cmap_clear(map, NULL));
  CHECK_OK(cmap_freeze(map, NULL));
  CHECK_OK(cmap_thaw(map));
  cmap_iter_release(&iter);
  cmap_destroy(map);
  checks_assert();
}

static void frozen(void **state)
{
  struct cmap *map = calls_map_with(KEYS, CMAP_STRICT);
  CMAP_AUTO(cmap_read_guard, guard);
  uint64_t id = KEY, other = 8;

  (void)state;
  CHECK_OK(cmap_freeze(map, NULL));
  CHECK_OK(cmap_get_ref(map, cmap_key_u64(&id), &guard, NULL));
  CHECK_STATUS(cmap_insert(map, cmap_key_u64(&other), &other, NULL, NULL, NULL),
               CMAP_FROZEN);
  cmap_read_guard_release(&guard);
  CHECK_OK(cmap_thaw(map));
  cmap_destroy(map);
  checks_assert();
}

/* A store's maps are its own, and nobody holds anything of them. */
static void stores_refuse_it(void **state)
{
  struct cmap_store_options options;
  struct cmap_store *store;

  (void)state;
  cmap_store_options_init(&options, CMAP_U64, NULL);
  options.keys.flags = CMAP_STRICT;
  assert_status(cmap_store_create(&options, &store), CMAP_EINVAL);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_call_beside_each_hold),
      cmocka_unit_test(without_a_hold),
      cmocka_unit_test(many_locks_of_one_call),
      cmocka_unit_test(frozen),
      cmocka_unit_test(stores_refuse_it),
  };

  return cmocka_run_group_tests_name("strict", tests, NULL, NULL);
}

#include "calls.h"
#include "random.h"

#include <string.h>

/* What outputs are set to before a call. */
#define UNSET UINT64_C(0xeeeeeeeeeeeeeeee)

uint64_t calls_value(struct cmap_key key)
{
  uint64_t id = 0;

  if (key.data && key.size == sizeof id)
    memcpy(&id, key.data, sizeof id);
  return random_mix(id);
}

struct cmap *calls_map_with(size_t n, unsigned flags)
{
  struct cmap_options options;
  struct cmap *map = NULL;

  cmap_options_init(&options, CMAP_U64, sizeof(uint64_t));
  options.shard_groups = 1;
  options.flags = flags;
  CHECK_OK(cmap_create(&options, &map));
  for (uint64_t id = 0; id < n; id++) {
    uint64_t value = calls_value(cmap_key_u64(&id));
    CHECK_OK(cmap_insert(map, cmap_key_u64(&id), &value, NULL, NULL, NULL));
  }
  return map;
}

static size_t shard_of(struct cmap *map, uint64_t id)
{
  uint64_t hash = 0;

  assert_ok(cmap_hash(map, cmap_key_u64(&id), &hash));
  return cmap_shard_index(map, hash);
}

uint64_t calls_other_shard(struct cmap *map, size_t n, uint64_t key)
{
  uint64_t other = 0;

  while (other < n && shard_of(map, other) == shard_of(map, key)) {
    other++;
  }
  assert_true(other < n);
  return other;
}

/* ------------------------------------------------------------------------
 * Callbacks
 * ------------------------------------------------------------------------ */

static enum cmap_status see(struct cmap_key key, const void *value, void *ctx)
{
  uint64_t seen;

  memcpy(&seen, value, sizeof seen);
  CHECK(seen == calls_value(key));
  ++*(size_t *)ctx;
  return CMAP_OK;
}

static enum cmap_status make(struct cmap_key key, void *value, void *ctx)
{
  uint64_t made = calls_value(key);

  memcpy(value, &made, sizeof made);
  ++*(size_t *)ctx;
  return CMAP_OK;
}

static bool agree(struct cmap_key key, void *value, void *ctx)
{
  (void)key;
  (void)value;
  ++*(size_t *)ctx;
  return true;
}

static enum cmap_status put(struct cmap_key key, const void *old, void *fresh,
                            enum cmap_action *action, void *ctx)
{
  (void)old;
  *action = CMAP_PUT;
  return make(key, fresh, ctx);
}

static enum cmap_status resolve(struct cmap_key key, void *value,
                                const void *from_value, void *ctx)
{
  (void)from_value;
  return make(key, value, ctx);
}

/* ------------------------------------------------------------------------
 * The calls
 * ------------------------------------------------------------------------ */

/* An output must have changed to `right` by CMAP_OK, and not at all else. */
static void check_out(enum cmap_status status, uint64_t out, uint64_t right)
{
  CHECK(out == (status == CMAP_OK ? right : UNSET));
}

static void check_event(enum cmap_status status, enum cmap_event event)
{
  CHECK((status == CMAP_OK) == (event != NO_EVENT));
}

#define RUN(name)                                                              \
  static enum cmap_status run_##name(struct cmap *map, struct cmap_key key,    \
                                     const struct cmap_how *how)

RUN(get)
{
  uint64_t out = UNSET;
  enum cmap_status status = cmap_get(map, key, &out, how);

  check_out(status, out, calls_value(key));
  return status;
}

RUN(contains)
{
  return cmap_contains(map, key, how);
}

RUN(view)
{
  size_t seen = 0;
  enum cmap_status status = cmap_view(map, key, see, &seen, how);

  CHECK(seen == (status == CMAP_OK));
  return status;
}

RUN(insert)
{
  uint64_t value = calls_value(key);
  uint64_t old = UNSET;
  enum cmap_event event = NO_EVENT;
  enum cmap_status status = cmap_insert(map, key, &value, &old, &event, how);

  check_event(status, event);
  CHECK(event == CMAP_UPDATED ? old == value : old == UNSET);
  return status;
}

RUN(insert_new)
{
  uint64_t value = calls_value(key);
  uint64_t present = UNSET;
  enum cmap_status status = cmap_insert_new(map, key, &value, &present, how);

  CHECK(present == (status == CMAP_EXISTS ? value : UNSET));
  return status;
}

RUN(get_or_insert)
{
  uint64_t value = calls_value(key);
  enum cmap_event event = NO_EVENT;
  enum cmap_status status = cmap_get_or_insert(map, key, &value, &event, how);

  check_event(status, event);
  CHECK(value == calls_value(key));
  return status;
}

RUN(get_or_insert_with)
{
  uint64_t out = UNSET;
  size_t made = 0;
  enum cmap_event event = NO_EVENT;
  enum cmap_status status =
      cmap_get_or_insert_with(map, key, &out, &event, make, &made, how);

  check_event(status, event);
  check_out(status, out, calls_value(key));
  CHECK(made == (event == CMAP_INSERTED));
  return status;
}

RUN(get_or_insert_with_unlocked)
{
  uint64_t out = UNSET;
  size_t made = 0;
  enum cmap_event event = NO_EVENT;
  enum cmap_status status = cmap_get_or_insert_with_unlocked(
      map, key, &out, &event, make, &made, how);

  check_event(status, event);
  check_out(status, out, calls_value(key));
  return status;
}

RUN(remove)
{
  uint64_t old = UNSET;
  enum cmap_status status = cmap_remove(map, key, &old, how);

  check_out(status, old, calls_value(key));
  return status;
}

RUN(remove_if)
{
  uint64_t old = UNSET;
  size_t asked = 0;
  enum cmap_status status = cmap_remove_if(map, key, agree, &asked, &old, how);

  check_out(status, old, calls_value(key));
  CHECK(asked == (status == CMAP_OK));
  return status;
}

RUN(remove_if_equal)
{
  uint64_t value = calls_value(key);

  return cmap_remove_if_equal(map, key, &value, how);
}

RUN(compare_exchange)
{
  uint64_t value = calls_value(key);
  uint64_t expected = value;

  return cmap_compare_exchange(map, key, &expected, &value, how);
}

RUN(replace_if)
{
  uint64_t value = calls_value(key);
  uint64_t old = UNSET;
  size_t asked = 0;
  enum cmap_status status =
      cmap_replace_if(map, key, agree, &asked, &value, &old, how);

  check_out(status, old, value);
  CHECK(asked == (status == CMAP_OK));
  return status;
}

RUN(swap)
{
  uint64_t value = calls_value(key);
  enum cmap_event event = NO_EVENT;
  enum cmap_status status = cmap_swap(map, key, &value, &event, how);

  check_event(status, event);
  CHECK(value == calls_value(key));
  return status;
}

RUN(compute)
{
  uint64_t out = UNSET;
  size_t made = 0;
  enum cmap_event event = NO_EVENT;
  enum cmap_status status =
      cmap_compute(map, key, &out, &event, put, &made, how);

  check_event(status, event);
  check_out(status, out, calls_value(key));
  CHECK(made == (status == CMAP_OK));
  return status;
}

RUN(alter)
{
  size_t made = 0;
  enum cmap_status status = cmap_alter(map, key, make, &made, how);

  CHECK(made == (status == CMAP_OK));
  return status;
}

/* All six leave a present value as it is, and an absent one made as usual. */
static enum cmap_status
run_fetch(enum cmap_status (*fetch)(struct cmap *map, struct cmap_key key,
                                    uint64_t operand, uint64_t *before,
                                    const struct cmap_how *how),
          uint64_t operand, struct cmap *map, struct cmap_key key,
          const struct cmap_how *how)
{
  uint64_t before = UNSET;
  enum cmap_status status = fetch(map, key, operand, &before, how);

  if (status == CMAP_OK) {
    CHECK(before == calls_value(key) || before == 0);
    if (before == 0) {
      uint64_t value = calls_value(key);
      CHECK_OK(cmap_insert(map, key, &value, NULL, NULL, NULL));
    }
  } else {
    CHECK(before == UNSET);
  }
  return status;
}

#define RUN_FETCH(name, operand)                                               \
  RUN(fetch_##name)                                                            \
  {                                                                            \
    return run_fetch(cmap_fetch_##name, (operand), map, key, how);             \
  }

RUN_FETCH(add, 0)
RUN_FETCH(sub, 0)
RUN_FETCH(and, UINT64_MAX)
RUN_FETCH(or, 0)
RUN_FETCH(max, 0)
RUN_FETCH(min, UINT64_MAX)

RUN(len_exact)
{
  size_t len = SIZE_MAX;
  enum cmap_status status = cmap_len_exact(map, &len, how);

  (void)key;
  CHECK((status == CMAP_OK) == (len != SIZE_MAX));
  return status;
}

RUN(view_all)
{
  size_t seen = 0;

  (void)key;
  return cmap_view_all(map, see, &seen, how);
}

RUN(alter_all)
{
  size_t made = 0;

  (void)key;
  return cmap_alter_all(map, make, &made, how);
}

RUN(retain)
{
  size_t asked = 0;
  size_t removed = SIZE_MAX;
  enum cmap_status status = cmap_retain(map, agree, &asked, &removed, how);

  (void)key;
  CHECK(status == CMAP_EINVAL ? removed == SIZE_MAX : removed == 0);
  return status;
}

RUN(clear)
{
  (void)key;
  return cmap_clear(map, how);
}

RUN(reserve)
{
  size_t more = (map ? cmap_capacity(map) : 0) * 2 + 100;

  (void)key;
  return cmap_reserve(map, more, how);
}

RUN(shrink_to_fit)
{
  (void)key;
  return cmap_shrink_to_fit(map, how);
}

RUN(clone)
{
  struct cmap *copy = NULL;
  enum cmap_status status = cmap_clone(map, &copy, how);

  (void)key;
  CHECK((status == CMAP_OK) == (copy != NULL));
  cmap_destroy(copy);
  return status;
}

/* A second map of the same kind that holds the key. */
static struct cmap *make_other(struct cmap_key key)
{
  struct cmap_options options;
  struct cmap *other = NULL;

  cmap_options_init(&options, CMAP_U64, sizeof(uint64_t));
  CHECK_OK(cmap_create(&options, &other));
  CHECK_OK(run_insert(other, key, NULL));
  return other;
}

/* With the keys that the map of a test has, so that all are compared. */
RUN(equal)
{
  struct cmap *other = map ? calls_map(cmap_len(map)) : NULL;
  enum cmap_status status;
  bool equal = false;

  (void)key;
  status = cmap_equal(map, other, &equal, how);
  CHECK(equal == (status == CMAP_OK));
  cmap_destroy(other);
  return status;
}

RUN(merge_into)
{
  struct cmap *other = make_other(key);
  size_t made = 0;
  enum cmap_status status = cmap_merge(map, other, resolve, &made, how);

  CHECK(made <= 1);
  cmap_destroy(other);
  return status;
}

RUN(merge_from)
{
  struct cmap *other = make_other(key);
  size_t made = 0;
  enum cmap_status status = cmap_merge(other, map, resolve, &made, how);

  cmap_destroy(other);
  return status;
}

#define CALL(name, traits, if_present, if_absent)                              \
  {                                                                            \
#    name, (traits), CMAP_##if_present, CMAP_##if_absent, run_##name           \
  }

const struct call calls[] = {
    CALL(get, CALL_KEYED | CALL_FREE, OK, NOT_FOUND),
    CALL(contains, CALL_KEYED | CALL_FREE, OK, NOT_FOUND),
    CALL(view, CALL_KEYED | CALL_CALLBACK, OK, NOT_FOUND),
    CALL(insert, CALL_KEYED | CALL_WRITES, OK, OK),
    CALL(insert_new, CALL_KEYED | CALL_FREE | CALL_MAY_ADD, EXISTS, OK),
    CALL(get_or_insert, CALL_KEYED | CALL_FREE | CALL_MAY_ADD, OK, OK),
    CALL(get_or_insert_with, CALL_KEYED | CALL_FREE | CALL_MAY_ADD, OK, OK),
    CALL(get_or_insert_with_unlocked, CALL_KEYED | CALL_FREE | CALL_MAY_ADD, OK,
         OK),
    CALL(remove, CALL_KEYED | CALL_WRITES | CALL_REMOVES, OK, NOT_FOUND),
    CALL(remove_if, CALL_KEYED | CALL_WRITES | CALL_REMOVES | CALL_CALLBACK, OK,
         NOT_FOUND),
    CALL(remove_if_equal, CALL_KEYED | CALL_WRITES | CALL_REMOVES, OK,
         NOT_FOUND),
    CALL(compare_exchange, CALL_KEYED | CALL_WRITES, OK, NOT_FOUND),
    CALL(replace_if, CALL_KEYED | CALL_WRITES | CALL_CALLBACK, OK, NOT_FOUND),
    CALL(swap, CALL_KEYED | CALL_WRITES, OK, OK),
    CALL(compute, CALL_KEYED | CALL_WRITES | CALL_CALLBACK, OK, OK),
    CALL(alter, CALL_KEYED | CALL_WRITES | CALL_CALLBACK, OK, NOT_FOUND),
    CALL(fetch_add, CALL_KEYED | CALL_WRITES, OK, OK),
    CALL(fetch_sub, CALL_KEYED | CALL_WRITES, OK, OK),
    CALL(fetch_and, CALL_KEYED | CALL_WRITES, OK, OK),
    CALL(fetch_or, CALL_KEYED | CALL_WRITES, OK, OK),
    CALL(fetch_max, CALL_KEYED | CALL_WRITES, OK, OK),
    CALL(fetch_min, CALL_KEYED | CALL_WRITES, OK, OK),
    CALL(add_or_update, CALL_KEYED | CALL_WRITES | CALL_CALLBACK, OK, OK),
    CALL(add_or_update_unlocked, CALL_KEYED | CALL_WRITES, OK, OK),
    CALL(get_mut, CALL_KEYED | CALL_WRITES, OK, NOT_FOUND),
    CALL(guard_remove, CALL_KEYED | CALL_WRITES | CALL_REMOVES, OK, NOT_FOUND),
    CALL(entry, CALL_KEYED | CALL_WRITES, OK, OK),
    CALL(entry_remove, CALL_KEYED | CALL_WRITES | CALL_REMOVES, OK, NOT_FOUND),
    CALL(lock_many_write, CALL_KEYED | CALL_WRITES, OK, NOT_FOUND),
    CALL(lock_many_entry, CALL_KEYED | CALL_WRITES, OK, OK),
    CALL(lock_keys, CALL_KEYED | CALL_WRITES, OK, NOT_FOUND),
    CALL(rename, CALL_KEYED | CALL_WRITES, OK, NOT_FOUND),
    CALL(swap_values, CALL_KEYED | CALL_WRITES, OK, NOT_FOUND),
    CALL(len_exact, 0, OK, OK),
    CALL(view_all, CALL_CALLBACK, OK, OK),
    CALL(alter_all, CALL_WRITES | CALL_CALLBACK, OK, OK),
    CALL(retain, CALL_WRITES | CALL_CALLBACK, OK, OK),
    CALL(clear, CALL_WRITES | CALL_REMOVES, OK, OK),
    CALL(reserve, CALL_WRITES, OK, OK),
    CALL(shrink_to_fit, CALL_WRITES | CALL_PASSES, OK, OK),
    CALL(scan, 0, OK, OK),
    CALL(snapshot, 0, OK, OK),
    CALL(check, 0, OK, OK),
    CALL(drain, CALL_WRITES | CALL_REMOVES, OK, OK),
    CALL(pop, CALL_WRITES | CALL_REMOVES, OK, OK),
    CALL(get_many, CALL_KEYED | CALL_FREE, OK, NOT_FOUND),
    CALL(contains_many, CALL_KEYED | CALL_FREE, OK, NOT_FOUND),
    CALL(insert_many, CALL_KEYED | CALL_WRITES, OK, OK),
    CALL(remove_many, CALL_KEYED | CALL_WRITES | CALL_REMOVES, OK, NOT_FOUND),
    CALL(fetch_add_many, CALL_KEYED | CALL_WRITES, OK, OK),
    CALL(for_each, 0, OK, OK),
    CALL(iter_write, CALL_WRITES, OK, OK),
    CALL(clone, CALL_TWO_MAPS, OK, OK),
    CALL(equal, CALL_TWO_MAPS, OK, OK),
    CALL(merge_into, CALL_WRITES | CALL_TWO_MAPS | CALL_NEAR, OK, OK),
    CALL(merge_from, CALL_TWO_MAPS, OK, OK),
};
const size_t calls_count = sizeof calls / sizeof *calls;

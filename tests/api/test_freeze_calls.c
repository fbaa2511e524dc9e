/*
 * Every call on a frozen map, of several kinds: what may write is CMAP_FROZEN,
 * whether it would change anything or not, but for the hits of calls that
 * insert what is absent; all else is as ever. No callback runs in vain.
 */
#include <stdatomic.h>
#include <string.h>

#include "calls.h"

#define KEYS    20
#define PRESENT 3
#define ABSENT  1000

enum kind { PLAIN, FIXED, SHORT, CUSTOM, OWNED, KINDS };

static uint64_t hash(struct cmap_key key, void *ctx)
{
  (void)ctx;
  return calls_value(key);
}

static bool equal(struct cmap_key stored, struct cmap_key key, void *ctx)
{
  (void)ctx;
  return memcmp(stored.data, key.data, key.size) == 0;
}

static atomic_size_t alive; /* values of OWNED, the callers' included */

static enum cmap_status clone(const void *value, void *copy, void *ctx)
{
  (void)ctx;
  memcpy(copy, value, sizeof(uint64_t));
  alive++;
  return CMAP_OK;
}

static void destroy(void *value, void *ctx)
{
  (void)value, (void)ctx;
  alive--;
}

static struct cmap *open_map(enum kind kind, size_t n)
{
  static const enum cmap_key_kind kinds[KINDS] = {
      CMAP_U64, CMAP_FIXED, CMAP_BYTES, CMAP_CUSTOM, CMAP_U64};
  struct cmap_options options;
  struct cmap *map;

  cmap_options_init(&options, kinds[kind], sizeof(uint64_t));
  if (kind == FIXED || kind == CUSTOM)
    options.key_size = sizeof(uint64_t);
  if (kind == CUSTOM) {
    options.key_hash = hash;
    options.key_equal = equal;
  }
  if (kind == OWNED) {
    options.value_clone = clone;
    options.value_destroy = destroy;
  }
  assert_ok(cmap_create(&options, &map));
  for (uint64_t id = 0; id < n; id++) {
    uint64_t value = calls_value(cmap_key_u64(&id));
    assert_ok(cmap_insert(map, cmap_key_u64(&id), &value, NULL, NULL, NULL));
  }
  return map;
}

static void try_call(struct cmap *map, enum kind kind, const struct call *call,
                     uint64_t id)
{
  bool there = id == PRESENT && !cmap_is_empty(map);
  enum cmap_status expected = there ? call->if_present : call->if_absent;
  size_t len = cmap_len(map);
  enum cmap_status status;

  if (call_has(call, CALL_TWO_MAPS) && kind != PLAIN)
    return; /* the other map is PLAIN */
  if (call->run == run_scan && kind == SHORT)
    return; /* its buffer has no room for text */
  if (call_has(call, CALL_WRITES) || (call_has(call, CALL_MAY_ADD) && !there))
    expected = CMAP_FROZEN;
  checks_about(call->name);
  status = call->run(map, cmap_key_u64(&id), NULL);
  if (status != CMAP_ENOTSUP || kind != OWNED)
    CHECK_STATUS(status, expected);
  CHECK(cmap_len(map) == len);
}

static void try_all(enum kind kind, size_t n)
{
  struct cmap *map = open_map(kind, n);

  assert_ok(cmap_freeze(map, NULL));
  for (size_t i = 0; i < calls_count; i++) {
    if (n == 0 && !call_has(&calls[i], CALL_KEYED | CALL_WRITES))
      continue; /* walks that want to see something */
    try_call(map, kind, &calls[i], PRESENT);
    try_call(map, kind, &calls[i], ABSENT);
  }
  assert_ok(cmap_thaw(map));
  cmap_destroy(map);
  checks_assert();
}

static void each_call_on_each_kind(void **state)
{
  (void)state;
  for (int kind = 0; kind < KINDS; kind++) {
    try_all((enum kind)kind, KEYS);
    try_all((enum kind)kind, 0);
  }
}

/* The hit of get_or_insert takes the caller's value, frozen or not. */
static void owned_values_change_hands(void **state)
{
  uint64_t id = PRESENT, value;

  (void)state;
  for (int frozen = 0; frozen < 2; frozen++) {
    struct cmap *map = open_map(OWNED, KEYS);
    alive = KEYS;
    if (frozen)
      assert_ok(cmap_freeze(map, NULL));
    value = 77;
    alive++;
    assert_ok(cmap_get_or_insert(map, cmap_key_u64(&id), &value, NULL, NULL));
    assert_int_equal(value, calls_value(cmap_key_u64(&id)));
    assert_int_equal(alive, KEYS + 1);
    /* One that is not stored stays the caller's. */
    assert_status(cmap_insert_new(map, cmap_key_u64(&id), &value, NULL, NULL),
                  CMAP_EXISTS);
    assert_int_equal(alive, KEYS + 1);
    if (frozen)
      assert_ok(cmap_thaw(map));
    cmap_destroy(map);
    assert_int_equal(alive, 1);
  }
}

static enum cmap_status count(struct cmap_key key, void *value, void *ctx)
{
  (void)key, (void)value;
  ++*(unsigned *)ctx;
  return CMAP_OK;
}

static enum cmap_status count_update(struct cmap_key key, const void *old,
                                     void *fresh, void *ctx)
{
  (void)old;
  return count(key, fresh, ctx);
}

static void callbacks_do_not_run_in_vain(void **state)
{
  static const uint64_t ids[] = {PRESENT, ABSENT};

  (void)state;
  for (int kind = 0; kind < KINDS; kind++) {
    struct cmap *map = open_map((enum kind)kind, KEYS);
    unsigned runs = 0;
    assert_ok(cmap_freeze(map, NULL));
    for (int i = 0; i < 2; i++) {
      enum cmap_status status =
          cmap_add_or_update_unlocked(map, cmap_key_u64(&ids[i]), NULL, NULL,
                                      count, count_update, &runs, NULL, NULL);
      if (kind != OWNED) /* which has no value_equal */
        assert_status(status, CMAP_FROZEN);
    }
    assert_status(cmap_get_or_insert_with_unlocked(map, cmap_key_u64(&ids[1]),
                                                   NULL, NULL, count, &runs,
                                                   NULL),
                  CMAP_FROZEN);
    assert_int_equal(runs, 0);
    assert_ok(cmap_thaw(map));
    cmap_destroy(map);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_call_on_each_kind),
      cmocka_unit_test(owned_values_change_hands),
      cmocka_unit_test(callbacks_do_not_run_in_vain),
  };

  return cmocka_run_group_tests_name("freeze_calls", tests, NULL, NULL);
}

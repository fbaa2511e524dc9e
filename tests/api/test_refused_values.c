/*
 * Values too large for the map's boxes, whose memory comes from the allocator
 * one by one: what a call took for a value that does not go in comes back when
 * the call returns.
 */
#include "checks.h"
#include "counting_alloc.h"

#include <string.h>

enum { VALUE_BYTES = 16384 };

struct value {
  char bytes[VALUE_BYTES];
};

static struct counting_alloc counting;
static struct cmap *map;
static struct value one = {"one"}, two = {"two"}, out;

enum { HERE = 1, ABSENT = 2 };

static bool deny(struct cmap_key key, void *value, void *ctx)
{
  (void)key, (void)value, (void)ctx;
  return false;
}

static enum cmap_status give_up(struct cmap_key key, void *value, void *ctx)
{
  (void)key, (void)value, (void)ctx;
  return cmap_status_user(1);
}

static enum cmap_status give_up_on(struct cmap_key key, const void *old,
                                   void *fresh, void *ctx)
{
  (void)key, (void)old, (void)fresh, (void)ctx;
  return cmap_status_user(1);
}

static enum cmap_status decide(struct cmap_key key, const void *old,
                               void *fresh, enum cmap_action *action, void *ctx)
{
  (void)key, (void)old, (void)fresh;
  *action = CMAP_KEEP;
  return *(const enum cmap_status *)ctx;
}

#define CALL(name, ...)                                                        \
  static enum cmap_status name(struct cmap_key key,                            \
                               const struct cmap_how *how)                     \
  {                                                                            \
    return __VA_ARGS__;                                                        \
  }

CALL(insert_new, cmap_insert_new(map, key, &two, NULL, how))
CALL(compare_exchange, cmap_compare_exchange(map, key, &two, &two, how))
CALL(replace_if, cmap_replace_if(map, key, deny, NULL, &two, NULL, how))
CALL(compute_keeps, cmap_compute(map, key, NULL, NULL, decide,
                                 &(enum cmap_status){CMAP_OK}, how))
CALL(compute_fails, cmap_compute(map, key, NULL, NULL, decide,
                                 &(enum cmap_status){cmap_status_user(1)}, how))
CALL(get_or_insert_with,
     cmap_get_or_insert_with(map, key, &out, NULL, give_up, NULL, how))
CALL(get_or_insert_with_unlocked,
     cmap_get_or_insert_with_unlocked(map, key, &out, NULL, give_up, NULL, how))
CALL(add_or_update_unlocked,
     cmap_add_or_update_unlocked(map, key, &out, NULL, give_up, give_up_on,
                                 NULL, NULL, how))
CALL(insert, cmap_insert(map, key, &two, NULL, NULL, how))
CALL(swap, cmap_swap(map, key, &out, NULL, how))

static const struct {
  const char *name;
  enum cmap_status (*run)(struct cmap_key key, const struct cmap_how *how);
  /* CMAP_OK: such a value would go in. */
  enum cmap_status if_here, if_absent;
} calls[] = {
    {"insert_new", insert_new, CMAP_EXISTS, CMAP_OK},
    {"compare_exchange", compare_exchange, CMAP_MISMATCH, CMAP_NOT_FOUND},
    {"replace_if", replace_if, CMAP_MISMATCH, CMAP_NOT_FOUND},
    {"compute, keeps", compute_keeps, CMAP_OK, CMAP_NOT_FOUND},
    {"compute, fails", compute_fails, (enum cmap_status)1, (enum cmap_status)1},
    {"get_or_insert_with", get_or_insert_with, CMAP_OK, (enum cmap_status)1},
    {"get_or_insert_with_unlocked", get_or_insert_with_unlocked, CMAP_OK,
     (enum cmap_status)1},
    {"add_or_update_unlocked", add_or_update_unlocked, (enum cmap_status)1,
     (enum cmap_status)1},
    {"insert", insert, CMAP_OK, CMAP_OK},
    {"swap", swap, CMAP_OK, CMAP_OK},
};

static void begin(void)
{
  uint64_t id = HERE;
  struct cmap_options options;

  counting_alloc_begin(&counting);
  cmap_options_init(&options, CMAP_U64, sizeof(struct value));
  options.allocator = counting_alloc_hook(&counting);
  assert_ok(cmap_create(&options, &map));
  assert_ok(cmap_insert(map, cmap_key_u64(&id), &one, NULL, NULL, NULL));
}

static void end(void)
{
  cmap_destroy(map);
  assert_true(counting_alloc_is_empty(&counting));
  checks_assert();
}

/* The call returns `status`, and the map has as much memory as before. */
static void refuse(size_t i, uint64_t id, enum cmap_status status)
{
  size_t before = counting_alloc_live_bytes(&counting);

  checks_about(calls[i].name);
  CHECK_STATUS(calls[i].run(cmap_key_u64(&id), NULL),
               status == (enum cmap_status)1 ? cmap_status_user(1) : status);
  CHECK(counting_alloc_live_bytes(&counting) == before);
}

static void refused_values_are_given_back(void **state)
{
  (void)state;
  begin();
  for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
    refuse(i, HERE, calls[i].if_here);
    if (calls[i].if_absent != CMAP_OK)
      refuse(i, ABSENT, calls[i].if_absent);
  }
  end();
}

static void so_they_are_if_the_lock_is_refused(void **state)
{
  struct cmap_write_guard guard;
  uint64_t id = HERE;

  (void)state;
  begin();
  assert_ok(cmap_get_mut(map, cmap_key_u64(&id), &guard, NULL));
  for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
    if (strstr(calls[i].name, "unlocked") == NULL) /* those read before */
      refuse(i, HERE, CMAP_EDEADLK);
  }
  cmap_write_guard_release(&guard);
  end();
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(refused_values_are_given_back),
      cmocka_unit_test(so_they_are_if_the_lock_is_refused),
  };

  return cmocka_run_group_tests_name("refused_values", tests, NULL, NULL);
}

/*
 * How an unlocked add_or_update ends other than by success: by its deadline,
 * which it asks between attempts, and by a callback's status, whichever it is.
 */
#include <time.h>

#include "checks.h"

#define SECOND UINT64_C(1000000000)

static uint64_t now_ns(void)
{
  struct timespec t;

  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

struct scene {
  uint64_t deadline_ns; /* callbacks return after it; 0: at once */
  enum cmap_status status;
  unsigned calls;
};

static enum cmap_status run(struct scene *scene, void *fresh)
{
  const uint64_t value = 5;

  scene->calls++;
  while (now_ns() < scene->deadline_ns)
    continue;
  memcpy(fresh, &value, sizeof value);
  return scene->status;
}

static enum cmap_status add(struct cmap_key key, void *fresh, void *ctx)
{
  (void)key;
  return run(ctx, fresh);
}

static enum cmap_status update(struct cmap_key key, const void *old,
                               void *fresh, void *ctx)
{
  (void)key, (void)old;
  return run(ctx, fresh);
}

/* So that every attempt to update is overtaken. */
static bool never_equal(const void *a, const void *b, void *ctx)
{
  (void)a, (void)b, (void)ctx;
  return false;
}

static struct cmap *open_map(bool equal)
{
  struct cmap_options options;
  uint64_t key = 1;
  struct cmap *map;

  cmap_options_init(&options, CMAP_U64, sizeof key);
  options.value_equal = equal ? NULL : never_equal;
  assert_ok(cmap_create(&options, &map));
  assert_ok(cmap_insert(map, cmap_key_u64(&key), &key, NULL, NULL, NULL));
  return map;
}

static void the_deadline_ends_it(void **state)
{
  struct cmap *map = open_map(false);
  struct scene scene = {.deadline_ns = now_ns() + SECOND / 1000};
  struct cmap_how how = cmap_how_until(scene.deadline_ns);
  struct cmap_attempts attempts = {.max = 7};
  enum cmap_event event = NO_EVENT;
  uint64_t key = 1, out = 99;

  (void)state;
  assert_status(cmap_add_or_update_unlocked(map, cmap_key_u64(&key), &out,
                                            &event, add, update, &scene,
                                            &attempts, &how),
                CMAP_TIMEDOUT);
  assert_int_equal(attempts.updates, 1);
  assert_true(out == 99 && event == NO_EVENT);
  /* TRY waits for nothing, and asks no clock. */
  how.flags |= CMAP_TRY;
  assert_status(cmap_add_or_update_unlocked(map, cmap_key_u64(&key), &out,
                                            &event, add, update, &scene,
                                            &attempts, &how),
                CMAP_BUSY);
  assert_int_equal(attempts.updates, 7);
  cmap_destroy(map);
}

/* The same by a token. */
static void the_token_ends_it(void **state)
{
  struct cmap *map = open_map(false);
  struct scene scene = {.deadline_ns = 0};
  struct cmap_attempts attempts = {.max = 7};
  struct cmap_token *token;
  struct cmap_how how;
  uint64_t key = 1, out = 99;

  (void)state;
  assert_ok(cmap_token_create(&token));
  cmap_token_cancel(token);
  how = cmap_how_with(token);
  assert_status(cmap_add_or_update_unlocked(map, cmap_key_u64(&key), &out, NULL,
                                            add, update, &scene, &attempts,
                                            &how),
                CMAP_ECANCELED);
  assert_int_equal(attempts.updates, 1);
  how.flags |= CMAP_TRY;
  assert_status(cmap_add_or_update_unlocked(map, cmap_key_u64(&key), &out, NULL,
                                            add, update, &scene, &attempts,
                                            &how),
                CMAP_BUSY);
  assert_int_equal(attempts.updates, 7);
  assert_ok(cmap_token_destroy(token));
  cmap_destroy(map);
}

/* As of every call: what need not wait ignores a deadline that has passed. */
static void the_first_attempt_is_made(void **state)
{
  struct cmap *map = open_map(true);
  struct cmap_how how = cmap_how_until(1);
  struct scene scene = {.calls = 0};
  uint64_t key = 1, out = 99;

  (void)state;
  assert_ok(cmap_add_or_update_unlocked(map, cmap_key_u64(&key), &out, NULL,
                                        add, update, &scene, NULL, &how));
  assert_true(out == 5 && scene.calls == 1);
  cmap_destroy(map);
}

static void each_status_comes_out(void **state)
{
#define VALUE(name, value, text) value,
  static const int statuses[] = {CMAP_STATUS_MAP(VALUE) USER_STATUS};
#undef VALUE
  struct cmap *map = open_map(true);

  (void)state;
  for (size_t i = 1; i < sizeof statuses / sizeof *statuses; i++) {
    struct scene scene = {.status = (enum cmap_status)statuses[i]};
    for (uint64_t key = 1; key <= 2; key++) {
      enum cmap_event event = NO_EVENT;
      uint64_t out = 99;
      scene.calls = 0;
      assert_status(cmap_add_or_update_unlocked(map, cmap_key_u64(&key), &out,
                                                &event, add, update, &scene,
                                                NULL, NULL),
                    scene.status);
      assert_status(cmap_add_or_update(map, cmap_key_u64(&key), &out, &event,
                                       add, update, &scene, NULL),
                    scene.status);
      assert_int_equal(scene.calls, 2);
      assert_true(out == 99 && event == NO_EVENT && cmap_len(map) == 1);
    }
  }
  cmap_destroy(map);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_deadline_ends_it),
      cmocka_unit_test(the_token_ends_it),
      cmocka_unit_test(the_first_attempt_is_made),
      cmocka_unit_test(each_status_comes_out),
  };

  return cmocka_run_group_tests_name("add_or_update_ends", tests, NULL, NULL);
}

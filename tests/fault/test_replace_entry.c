/* A new key that cannot be stored is destroyed after the lock is released. */
#include "checks.h"
#include "counting_alloc.h"

#include <string.h>

struct made_key {
  uint64_t id;
  uint64_t made; /* by key_copy */
};

static struct cmap *map;
static size_t keys, destroyed;
static bool closing;

static uint64_t hash_id(struct cmap_key key, void *ctx)
{
  uint64_t id;

  (void)ctx;
  memcpy(&id, key.data, sizeof id);
  return id;
}

static bool equal_id(struct cmap_key stored, struct cmap_key key, void *ctx)
{
  (void)ctx;
  return memcmp(stored.data, key.data, sizeof(uint64_t)) == 0;
}

static enum cmap_status copy_key(struct cmap_key key, void *stored, void *ctx)
{
  struct made_key copy = {hash_id(key, ctx), 1};

  keys++;
  memcpy(stored, &copy, sizeof copy);
  return CMAP_OK;
}

static enum cmap_status leave_it(struct cmap_key key, void *value, void *ctx)
{
  (void)key, (void)value, (void)ctx;
  return CMAP_OK;
}

static void destroy_key(void *stored, void *ctx)
{
  const struct made_key key = {1, 0};
  struct cmap_how how = cmap_how_try();

  (void)ctx;
  CHECK(((struct made_key *)stored)->made == 1);
  keys--;
  destroyed++;
  if (!closing)
    CHECK_OK(cmap_alter(map, cmap_key_bytes(&key, sizeof key), leave_it, NULL,
                        &how));
}

static void destroy_value(void *value, void *ctx)
{
  (void)value, (void)ctx;
}

static void the_new_key_of_a_refused_replacement(void **state)
{
  const struct made_key key = {1, 0};
  struct counting_alloc alloc;
  struct cmap_options options;
  enum cmap_status status = CMAP_ENOMEM;
  uint64_t value = 5;
  size_t n;

  (void)state;
  counting_alloc_begin(&alloc);
  cmap_options_init(&options, CMAP_CUSTOM, sizeof value);
  options.key_size = sizeof key;
  options.key_hash = hash_id;
  options.key_equal = equal_id;
  options.key_copy = copy_key;
  options.key_destroy = destroy_key;
  options.value_destroy = destroy_value;
  options.allocator = counting_alloc_hook(&alloc);
  assert_ok(cmap_create(&options, &map));
  assert_ok(cmap_insert(map, cmap_key_bytes(&key, sizeof key), &value, NULL,
                        NULL, NULL));
  for (n = 1; status != CMAP_OK && n < 10; n++) {
    CMAP_AUTO(cmap_entry, entry);
    CHECK_OK(
        cmap_entry_begin(map, cmap_key_bytes(&key, sizeof key), &entry, NULL));
    destroyed = 0;
    counting_alloc_fail_nth(&alloc, n);
    status = cmap_entry_replace_entry(&entry, cmap_key_bytes(&key, sizeof key),
                                      &value, NULL);
    counting_alloc_fail_none(&alloc);
    CHECK(destroyed == 0);
    cmap_entry_release(&entry);
    CHECK(keys == 1);
  }
  CHECK(status == CMAP_OK && n > 2 && destroyed == 1);
  closing = true;
  cmap_destroy(map);
  CHECK(keys == 0 && counting_alloc_is_empty(&alloc));
  checks_assert();
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_new_key_of_a_refused_replacement),
  };

  return cmocka_run_group_tests_name("replace_entry", tests, NULL, NULL);
}

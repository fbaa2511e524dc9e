/*
 * Keys that their home group has no room for, and which lie in another one:
 * every call finds them, and finds that others like them are absent.
 */
#include "calls.h"

enum { KEYS_MAX = 10000 };

static struct cmap_key key_of(uint64_t *id)
{
  return cmap_key_u64(id);
}

static void put(struct cmap *map, uint64_t id)
{
  uint64_t value = calls_value(key_of(&id));

  CHECK_OK(cmap_insert(map, key_of(&id), &value, NULL, NULL, NULL));
}

/* A map with keys from 0 on, some of which are displaced. */
static struct cmap *open_map(uint64_t *keys)
{
  struct cmap_stats stats = {.size = sizeof stats};
  struct cmap_options options;
  struct cmap *map;

  cmap_options_init(&options, CMAP_U64, sizeof(uint64_t));
  assert_ok(cmap_create(&options, &map));
  for (*keys = 0; stats.longest_probe < 2; ++*keys) {
    assert_true(*keys < KEYS_MAX);
    put(map, *keys);
    assert_ok(cmap_get_stats(map, &stats));
  }
  return map;
}

/* Each key by each call, by the short way and by the others. */
static void calls_find_displaced_keys(void **state)
{
  struct cmap_how forever = {.size = sizeof forever};
  const struct cmap_how *hows[] = {NULL, &forever};

  (void)state;
  for (size_t h = 0; h < 2; h++) {
    uint64_t keys;
    struct cmap *map = open_map(&keys);

    for (size_t i = 0; i < calls_count; i++) {
      const struct call *call = &calls[i];
      if (!call_has(call, CALL_KEYED))
        continue;
      checks_about(call->name);
      for (uint64_t id = 0; id < keys; id++) {
        CHECK_STATUS(call->run(map, key_of(&id), hows[h]), call->if_present);
        if (call_has(call, CALL_REMOVES))
          put(map, id);
      }
      for (uint64_t id = keys; id < 2 * keys; id++) {
        CHECK_STATUS(call->run(map, key_of(&id), hows[h]), call->if_absent);
        (void)cmap_remove(map, key_of(&id), NULL, NULL);
      }
      CHECK(cmap_len(map) == keys);
    }
    cmap_destroy(map);
    checks_assert();
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(calls_find_displaced_keys),
  };

  return cmocka_run_group_tests_name("displaced", tests, NULL, NULL);
}

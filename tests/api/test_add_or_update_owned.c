/* cmap_add_or_update and cmap_add_or_update_unlocked with values that own, and
   what a map's options do not allow. */
#include "content.h"

#include <string.h>

#define KEY  UINT64_C(7)
#define USER ((enum cmap_status)USER_STATUS)

/* Makes version + 1 of a value; every other time somebody else is faster. */
struct owner {
  struct test_map *m;
  uint64_t id, version;
  bool disturb;
};

static enum cmap_status owned_value(struct owner *owner, void *value)
{
  struct key_room room;
  struct value_room other;

  value_make(owner->m, owner->id, owner->version + 1, value);
  if (owner->disturb) {
    owner->disturb = false;
    value_make(owner->m, owner->id, owner->version + 100, other.bytes);
    CHECK_OK(cmap_insert(owner->m->map,
                         key_make(&owner->m->spec, owner->id, &room),
                         other.bytes, NULL, NULL, NULL));
  }
  return CMAP_OK;
}

static enum cmap_status add_owned(struct cmap_key key, void *value, void *ctx)
{
  (void)key;
  return owned_value(ctx, value);
}

static enum cmap_status update_owned(struct cmap_key key, const void *old,
                                     void *fresh, void *ctx)
{
  struct owner *owner = ctx;

  (void)key;
  CHECK(value_is_whole(owner->m, owner->id, old, &owner->version));
  return owned_value(owner, fresh);
}

static void owned_values_are_balanced(void **state)
{
  static const struct map_spec specs[] = {
      {.keys = KEYS_U64, .value_size = 8, .care = VALUES_OWNED},
      {.keys = KEYS_STRING, .value_size = 308, .care = VALUES_OWNED},
      {.keys = KEYS_CUSTOM_OWNED, .value_size = 12, .care = VALUES_OWNED}};

  (void)state;
  for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
    struct value_room out;
    struct key_room room;
    struct test_map m;
    checks_about(map_spec_name(&specs[i]));
    test_map_open(&m, &specs[i]);
    for (uint64_t n = 0; n < 40; n++) {
      struct owner owner = {&m, n % 10, 0, n % 3 == 0};
      bool copies = n % 2;
      struct cmap_attempts attempts = {.max = n % 4 == 3 ? 1 : 0};
      bool fails = attempts.max == 1 && owner.disturb;
      CHECK_STATUS(cmap_add_or_update_unlocked(
                       m.map, key_make(&specs[i], n % 10, &room),
                       copies ? out.bytes : NULL, NULL, add_owned, update_owned,
                       &owner, &attempts, NULL),
                   fails ? CMAP_BUSY : CMAP_OK);
      CHECK(attempts.adds + attempts.updates == (n % 3 == 0 && !fails) + 1u);
      if (copies && !fails) {
        CHECK(value_is(&m, n % 10, owner.version + 1, out.bytes));
        value_drop(&m, out.bytes);
      }
      /* Of a value what is in the map, and of a key as well. */
      CHECK(lifetimes_alive(m.lives) ==
            cmap_len(m.map) * (specs[i].keys == KEYS_CUSTOM_OWNED ? 2 : 1));
    }
    /* A copy for the caller cannot be made: nothing is stored. */
    {
      struct owner owner = {&m, 50, 0, false};
      atomic_store(&m.lives->clone_status, USER_STATUS);
      CHECK_STATUS(cmap_add_or_update_unlocked(
                       m.map, key_make(&specs[i], 50, &room), out.bytes, NULL,
                       add_owned, update_owned, &owner, NULL, NULL),
                   USER);
      atomic_store(&m.lives->clone_status, 0);
      CHECK(cmap_len(m.map) == 10);
    }
    test_map_close(&m);
  }
}

static void nothing(void *value, void *ctx)
{
  (void)value;
  (void)ctx;
}

static enum cmap_status copy_number(const void *value, void *copy, void *ctx)
{
  (void)ctx;
  memcpy(copy, value, sizeof(uint64_t));
  return CMAP_OK;
}

static bool same_number(const void *a, const void *b, void *ctx)
{
  (void)ctx;
  return memcmp(a, b, sizeof(uint64_t)) == 0;
}

struct outcome {
  enum cmap_status status;
  enum cmap_event event;
  uint64_t out;
  struct cmap_attempts attempts;
};

static enum cmap_status make_one(struct cmap_key key, void *value, void *ctx)
{
  uint64_t one = 1;

  (void)key;
  (void)ctx;
  memcpy(value, &one, sizeof one);
  return CMAP_OK;
}

/* With value_destroy *fresh starts zeroed. */
static enum cmap_status add_nothing(struct cmap_key key, const void *old,
                                    void *fresh, void *ctx)
{
  (void)key;
  (void)ctx;
  memcpy(fresh, old, sizeof(uint64_t));
  return CMAP_OK;
}

/* value_destroy needs value_clone and value_equal, for the unlocked call; for
   the other, value_clone if a copy is wanted. */
static void what_options_do_not_allow(void **state)
{
  (void)state;
  for (int with = 0; with < 8; with++) {
    struct cmap *map = NULL;
    struct cmap_options options;
    uint64_t id = KEY;
    bool unlocked = !(with & 1) || with == 7;
    bool copies = !(with & 1) || (with & 2);
    struct outcome o;
    if ((with & 3) == 2)
      continue; /* value_clone needs value_destroy */
    cmap_options_init(&options, CMAP_U64, sizeof(uint64_t));
    options.value_destroy = with & 1 ? nothing : NULL;
    options.value_clone = with & 2 ? copy_number : NULL;
    options.value_equal = with & 4 ? same_number : NULL;
    assert_ok(cmap_create(&options, &map));
    for (int present = 0; present < 2; present++) {
      struct outcome none = {CMAP_OK, NO_EVENT, 99, {0, 0, 0}};
      o = none;
      o.status = cmap_add_or_update_unlocked(map, cmap_key_u64(&id), &o.out,
                                             &o.event, make_one, add_nothing,
                                             NULL, &o.attempts, NULL);
      CHECK_STATUS(o.status, unlocked ? CMAP_OK : CMAP_ENOTSUP);
      CHECK((o.event == NO_EVENT) == !unlocked && (o.out == 99) == !unlocked);
      if (present == 0)
        (void)!cmap_clear(map, NULL);
      o = none;
      o.status = cmap_add_or_update(map, cmap_key_u64(&id), &o.out, &o.event,
                                    make_one, add_nothing, NULL, NULL);
      CHECK_STATUS(o.status, copies ? CMAP_OK : CMAP_ENOTSUP);
      CHECK((o.event == NO_EVENT) == !copies && (o.out == 99) == !copies);
      CHECK_OK(cmap_add_or_update(map, cmap_key_u64(&id), NULL, NULL, make_one,
                                  add_nothing, NULL, NULL));
    }
    cmap_destroy(map);
  }
  checks_assert();
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(owned_values_are_balanced),
      cmocka_unit_test(what_options_do_not_allow),
  };

  return cmocka_run_group_tests_name("add_or_update_owned", tests, NULL, NULL);
}

/*
 * Scans and for_each whose copies are refused half-way: what was copied is
 * released, without a lock, and the cursor stays.
 */
#include "checks.h"

#include <stdlib.h>
#include <string.h>

static struct cmap_scan_buffer buffer_of(void *keys, void *values,
                                         size_t capacity)
{
  struct cmap_scan_buffer buffer = CMAP_INIT;

  buffer.size = sizeof buffer;
  buffer.capacity = capacity;
  buffer.keys = keys;
  buffer.values = values;
  return buffer;
}

static enum cmap_status see(struct cmap_key key, const void *value, void *ctx)
{
  (void)key, (void)value;
  ++*(size_t *)ctx;
  return CMAP_OK;
}

/* Keys and values are pointers to objects that are counted; one shard. */
static struct fussy {
  struct cmap *map;
  bool locks;       /* destructors take the lock, to see that it is free */
  int alive;        /* keys and values */
  int copies;       /* of keys and values, since the plan */
  int refuse;       /* the copy that is refused; 0: none */
  size_t destroyed; /* since the plan */
} fussy;

struct fussy_key {
  uint64_t id;
  int *object;
};

static uint64_t fussy_hash(struct cmap_key key, void *ctx)
{
  uint64_t id;

  (void)ctx;
  memcpy(&id, key.data, sizeof id);
  return id;
}

static bool fussy_equal(struct cmap_key stored, struct cmap_key key, void *ctx)
{
  (void)ctx;
  return memcmp(stored.data, key.data, sizeof(uint64_t)) == 0;
}

static int *object_new(void)
{
  int *object = malloc(sizeof *object);

  if (object == NULL)
    abort();
  *object = 1;
  fussy.alive++;
  return object;
}

static enum cmap_status leave_it(struct cmap_key key, void *value, void *ctx)
{
  (void)key, (void)value, (void)ctx;
  return CMAP_OK;
}

static void object_free(int *object)
{
  const struct fussy_key key = {1, NULL};
  struct cmap_how how = cmap_how_try();

  CHECK(*object == 1);
  free(object);
  fussy.alive--;
  fussy.destroyed++;
  if (fussy.locks)
    CHECK_OK(cmap_alter(fussy.map, cmap_key_bytes(&key, sizeof key), leave_it,
                        NULL, &how));
}

static enum cmap_status copy_one(int **copy)
{
  if (++fussy.copies == fussy.refuse)
    return (enum cmap_status)USER_STATUS;
  *copy = object_new();
  return CMAP_OK;
}

static enum cmap_status fussy_key_copy(struct cmap_key key, void *stored,
                                       void *ctx)
{
  struct fussy_key copy;
  enum cmap_status status = copy_one(&copy.object);

  (void)ctx;
  memcpy(&copy.id, key.data, sizeof copy.id);
  if (status == CMAP_OK)
    memcpy(stored, &copy, sizeof copy);
  return status;
}

static void fussy_key_destroy(void *stored, void *ctx)
{
  struct fussy_key key;

  (void)ctx;
  memcpy(&key, stored, sizeof key);
  object_free(key.object);
}

static enum cmap_status fussy_clone(const void *value, void *copy, void *ctx)
{
  int *object = NULL;
  enum cmap_status status = copy_one(&object);

  (void)value, (void)ctx;
  if (status == CMAP_OK)
    memcpy(copy, &object, sizeof object);
  return status;
}

static void fussy_destroy(void *value, void *ctx)
{
  int *object;

  (void)ctx;
  memcpy(&object, value, sizeof object);
  object_free(object);
}

enum { FUSSY = 8 };

static void fussy_open(void)
{
  struct cmap_options options;

  memset(&fussy, 0, sizeof fussy);
  cmap_options_init(&options, CMAP_CUSTOM, sizeof(int *));
  options.key_size = sizeof(struct fussy_key);
  options.key_hash = fussy_hash;
  options.key_equal = fussy_equal;
  options.key_copy = fussy_key_copy;
  options.key_destroy = fussy_key_destroy;
  options.value_destroy = fussy_destroy;
  options.value_clone = fussy_clone;
  assert_ok(cmap_create(&options, &fussy.map));
  for (uint64_t id = 0; id < FUSSY; id++) {
    const struct fussy_key key = {id, NULL};
    int *value = object_new();
    assert_ok(cmap_insert(fussy.map, cmap_key_bytes(&key, sizeof key), &value,
                          NULL, NULL, NULL));
  }
  assert_int_equal(cmap_shard_count(fussy.map), 1);
  fussy.locks = true;
}

static void fussy_close(void)
{
  fussy.locks = false;
  cmap_destroy(fussy.map);
  CHECK(fussy.alive == 0);
  checks_assert();
}

static void fussy_plan(int refuse)
{
  fussy.refuse = refuse;
  fussy.copies = 0;
  fussy.destroyed = 0;
}

static void scans_release_what_they_copied(void **state)
{
  struct fussy_key keys[FUSSY];
  int *values[FUSSY];

  (void)state;
  fussy_open();
  for (unsigned wanted = 1; wanted < 4; wanted++) {
    int all = wanted == 3 ? 2 * FUSSY : FUSSY;
    for (int refuse = 1; refuse <= all; refuse++) {
      struct cmap_scan_buffer buffer =
          buffer_of(wanted & 1 ? keys : NULL, wanted & 2 ? values : NULL,
                    refuse % 2 ? FUSSY : FUSSY - 1);
      uint64_t cursor = 0;
      int alive = fussy.alive;
      if (buffer.capacity < FUSSY && refuse > all - (wanted == 3 ? 2 : 1))
        continue;
      buffer.count = buffer.text_used = 77;
      fussy_plan(refuse);
      CHECK_STATUS(cmap_scan(fussy.map, &cursor, 0, &buffer, NULL),
                   (enum cmap_status)USER_STATUS);
      CHECK(cursor == 0 && buffer.count == 77 && buffer.text_used == 77);
      CHECK(fussy.copies == refuse);
      CHECK(fussy.alive == alive);
      CHECK((int)fussy.destroyed == refuse - 1);
    }
  }
  fussy_plan(0);
  fussy_close();
}

static void for_each_releases_what_it_copied(void **state)
{
  (void)state;
  fussy_open();
  for (int refuse = 1; refuse <= 2 * FUSSY; refuse++) {
    int alive = fussy.alive;
    size_t calls = 0;
    fussy_plan(refuse);
    CHECK_STATUS(cmap_for_each(fussy.map, 0, 1, see, &calls, NULL),
                 (enum cmap_status)USER_STATUS);
    CHECK(fussy.copies == refuse && fussy.alive == alive);
    CHECK((int)fussy.destroyed == refuse - 1);
    CHECK(calls == 0); /* all entries are of one shard */
  }
  fussy_plan(0);
  {
    size_t calls = 0;
    CHECK_OK(cmap_for_each(fussy.map, 0, 1, see, &calls, NULL));
    CHECK(calls == FUSSY && fussy.destroyed == 2 * FUSSY);
  }
  fussy_close();
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(scans_release_what_they_copied),
      cmocka_unit_test(for_each_releases_what_it_copied),
  };

  return cmocka_run_group_tests_name("scan_copies", tests, NULL, NULL);
}

/*
 * cmap_check: each invariant is broken on purpose, and named; a map that is
 * used by many threads is never said to be broken.
 */
#include "map/map.h"

#include "checks.h"
#include "settings.h"
#include "threads.h"

#include <string.h>

static struct cmap *map;
static struct cmap__shard *shard; /* of key 1 */
static struct cmap__place place;  /* the same */

static struct cmap *make(enum cmap_key_kind kind, size_t value_size)
{
  struct cmap_options options;
  struct cmap *made;

  cmap_options_init(&options, kind, value_size);
  assert_ok(cmap_create(&options, &made));
  return made;
}

static void begin(void)
{
  uint64_t key = 1;
  struct cmap__probe probe;

  map = make(CMAP_U64, 8);
  for (uint64_t i = 0; i < 3000; i++)
    assert_ok(cmap_insert(map, cmap_key_u64(&i), &i, NULL, NULL, NULL));
  assert_ok(
      cmap__probe_init(&map->table.layout, cmap_key_u64(&key), NULL, &probe));
  shard = cmap__directory_shard(&map->table.directory, probe.hash);
  assert_true(cmap__shard_find(&map->table.layout, shard, &probe, &place));
}

static void assert_names(const char *what)
{
  const char *broken = NULL;

  assert_status(cmap_check(map, &broken, NULL), CMAP_EBROKEN);
  assert_string_equal(broken, what);
  assert_status(cmap_check(map, NULL, NULL), CMAP_EBROKEN);
}

static void end(void)
{
  const char *broken = "untouched";

  assert_ok(cmap_check(map, &broken, NULL));
  assert_string_equal(broken, "untouched");
  cmap_destroy(map);
}

static void arguments(void **state)
{
  const struct cmap_how wrong = {.size = 3};

  (void)state;
  begin();
  assert_status(cmap_check(NULL, NULL, NULL), CMAP_EINVAL);
  assert_status(cmap_check(map, NULL, &wrong), CMAP_EINVAL);
  assert_ok(cmap_check(map, NULL, NULL));
  end();
}

static void shards(void **state)
{
  uint32_t limit;
  uint64_t prefix;

  (void)state;
  begin();
  cmap__add_relaxed(&shard->inserted, 1);
  assert_names("shard: it does not hold as many entries as it counts");
  cmap__sub_relaxed(&shard->inserted, 1);
  limit = shard->limit;
  shard->limit = 10000;
  assert_names("shard: its limit is above its slots");
  shard->limit = limit;
  prefix = shard->prefix;
  shard->prefix |= 1;
  /* Nobody finds it any more by its hashes, but the walk is at it. */
  assert_string_equal(cmap__live_shard_broken(shard),
                      "shard: its prefix has bits beyond its mask");
  shard->prefix = prefix;
  end();
}

static void groups(void **state)
{
  _Atomic uint64_t *lo, *hi;
  uint64_t before;

  (void)state;
  begin();
  hi = &place.group->hi;
  lo = place.index < 8 ? &place.group->lo : hi;
  before = cmap__load_relaxed(hi);
  cmap__store_relaxed(hi, before + CMAP__SEQ_ONE);
  assert_names("group: it is busy, and nobody writes");
  cmap__store_relaxed(hi, before);
  before = cmap__load_relaxed(lo);
  cmap__store_relaxed(
      lo, cmap__group_with_tag(before, place.index,
                               cmap__place_tag(&place) == 1 ? 2 : 1));
  assert_names("group: a tag is not its key's");
  cmap__store_relaxed(lo, before);
  end();
}

/* Another key in a slot has another hash: of another shard, sooner or later. */
static void keys(void **state)
{
  uint64_t before;
  bool named = false;

  (void)state;
  begin();
  before = cmap__load_relaxed(place.slot);
  for (uint64_t i = 1; !named && i < 100; i++) {
    const char *broken = "";
    cmap__store_relaxed(place.slot, before + (i << 40));
    named = cmap_check(map, &broken, NULL) == CMAP_EBROKEN &&
            strcmp(broken, "shard: an entry belongs to another one") == 0;
  }
  assert_true(named);
  cmap__store_relaxed(place.slot, before);
  end();
}

/* A string with a 0 byte in it. */
static void strings(void **state)
{
  struct cmap__cursor cursor;
  uint64_t before;

  (void)state;
  map = make(CMAP_STRING, 8);
  before = 5;
  assert_ok(cmap_insert(map, cmap_key_string("a short key"), &before, NULL,
                        NULL, NULL));
  shard = cmap__directory_shard(&map->table.directory, 0);
  cursor = cmap__cursor_begin(shard->block);
  assert_true(cmap__cursor_next(&map->table.layout, &cursor, &place));
  before = cmap__load_relaxed(place.slot + 1);
  cmap__store_relaxed(place.slot + 1, before & ~UINT64_C(0xff0000));
  assert_names("key: it is not valid for this map");
  cmap__store_relaxed(place.slot + 1, before);
  end();
}

static bool nothing_is_equal;

static bool equal(struct cmap_key stored, struct cmap_key key, void *ctx)
{
  (void)ctx;
  return !nothing_is_equal && memcmp(stored.data, key.data, 4) == 0;
}

static uint64_t hash(struct cmap_key key, void *ctx)
{
  uint32_t number;

  (void)ctx;
  memcpy(&number, key.data, sizeof number);
  return number;
}

/* The user's function is not pure. */
static void own_keys(void **state)
{
  struct cmap_options options;
  uint32_t number = 3;

  (void)state;
  cmap_options_init(&options, CMAP_CUSTOM, 0);
  options.key_size = sizeof number;
  options.key_hash = hash;
  options.key_equal = equal;
  assert_ok(cmap_create(&options, &map));
  assert_ok(cmap_insert(map, cmap_key_bytes(&number, sizeof number), NULL, NULL,
                        NULL, NULL));
  nothing_is_equal = true;
  assert_names("key: it is not equal to itself");
  nothing_is_equal = false;
  end();
}

/* The first of several entries that name one shard, which is not the last
 * shard. NULL: there are none now. */
static struct cmap__directory_entry *first_of_several(void)
{
  struct cmap__directory_array *array =
      cmap__directory_current(&map->table.directory);
  struct cmap__directory_entry *last = cmap__directory_at(array, UINT64_MAX);
  struct cmap__shard *last_shard = cmap__load_relaxed(&last->shard);

  for (struct cmap__directory_entry *entry = cmap__directory_at(array, 0);
       entry < last; entry++) {
    struct cmap__shard *named = cmap__load_relaxed(&entry->shard);
    if (named != last_shard && named == cmap__load_relaxed(&entry[1].shard))
      return entry;
  }
  return NULL;
}

static void directories(void **state)
{
  struct cmap__directory_entry *entry;
  struct cmap__shard *named;
  uintptr_t block;

  (void)state;
  begin();
  entry = cmap__directory_at(cmap__directory_current(&map->table.directory),
                             shard->prefix);
  block = cmap__load_relaxed(&entry->block);
  cmap__store_relaxed(&entry->block, block ^ CMAP__CACHE_LINE);
  assert_names("directory: an entry names another block");
  cmap__store_relaxed(&entry->block, block);
  {
    struct cmap__shard *first = cmap__directory_shard(&map->table.directory, 0);
    uint64_t mask = first->mask;
    first->mask = cmap__depth_mask(40);
    assert_names("directory: a shard is deeper than it");
    first->mask = mask;
  }
  /* Of several entries that name one shard the second. */
  for (uint64_t i = 3000; (entry = first_of_several()) == NULL; i++) {
    assert_in_range(i, 3000, 100000);
    assert_ok(cmap_insert(map, cmap_key_u64(&i), &i, NULL, NULL, NULL));
  }
  named = cmap__directory_shard(&map->table.directory, UINT64_MAX);
  shard = cmap__load_relaxed(&entry[1].shard);
  cmap__store_relaxed(&entry[1].shard, named);
  assert_names("directory: an entry names another shard");
  cmap__store_relaxed(&entry[1].shard, shard);
  end();
}

static void pools(void **state)
{
  struct cmap__shard *free_one = NULL;
  unsigned list = 0;
  struct cmap__free_lists *lists;
  _Atomic uint64_t *hi;
  uint64_t before;

  (void)state;
  begin();
  lists = &cmap__pool_grown(&map->table.pool)->lists;
  for (unsigned i = 1; i < CMAP__POOL_SIZES && free_one == NULL; i++) {
    free_one = lists->free[i];
    list = i;
  }
  assert_non_null(free_one);
  free_one->mask = ~UINT64_C(0);
  assert_names("pool: a free shard covers hashes");
  free_one->mask = CMAP__DEAD_MASK;
  hi = &cmap__block_groups(free_one->block)->hi;
  before = cmap__load_relaxed(hi);
  cmap__store_relaxed(hi, before + CMAP__SEQ_ONE);
  assert_names("pool: a group of a free block is stable");
  cmap__store_relaxed(hi, before);
  lists->free[list] = free_one->next_free;
  free_one->next_free = lists->free[list + 1];
  lists->free[list + 1] = free_one;
  assert_names("pool: a free block is in the list of another size");
  lists->free[list + 1] = free_one->next_free;
  free_one->next_free = lists->free[list];
  lists->free[list] = free_one;
  end();
}

/* Boxes, and entries that are there twice or elsewhere. */
static void boxes_and_strays(void **state)
{
  const struct cmap__layout *layout;
  struct cmap__cursor cursor;
  struct cmap__place other = {.group = NULL};
  char text[64] = "a key that does not fit into its slot at all";
  uint64_t words[4], before;

  (void)state;
  map = make(CMAP_STRING, 300);
  for (text[0] = 'a'; text[0] < 'a' + 5; text[0]++) {
    char value[300] = {0};
    assert_ok(cmap_insert(map, cmap_key_string(text), value, NULL, NULL, NULL));
  }
  layout = &map->table.layout;
  shard = cmap__directory_shard(&map->table.directory, 0);
  cursor = cmap__cursor_begin(shard->block);
  assert_true(cmap__cursor_next(layout, &cursor, &place));
  assert_true(cmap__cursor_next(layout, &cursor, &other));
  before = cmap__load_relaxed(place.slot + layout->value_word);
  cmap__store_relaxed(place.slot + layout->value_word, 0);
  assert_names("value: its box is missing");
  cmap__store_relaxed(place.slot + layout->value_word, before);
  before = cmap__load_relaxed(place.slot + layout->key_word);
  cmap__store_relaxed(place.slot + layout->key_word, 0);
  assert_names("key: its box is missing");
  cmap__store_relaxed(place.slot + layout->key_word, before);
  before = cmap__load_relaxed(place.slot);
  cmap__store_relaxed(place.slot, before + 1);
  assert_names("key: its hash is not the one it was stored by");
  cmap__store_relaxed(place.slot, before);
  /* The first entry's key in the second one's slot, with its tag. */
  for (unsigned i = 0; i < 4; i++) {
    words[i] = cmap__load_relaxed(other.slot + i);
    cmap__store_relaxed(other.slot + i, cmap__load_relaxed(place.slot + i));
  }
  before = cmap__load_relaxed(&other.group->lo);
  cmap__store_relaxed(
      &other.group->lo,
      cmap__group_with_tag(before, other.index, cmap__place_tag(&place)));
  assert_names("shard: a key is in it twice");
  cmap__store_relaxed(&other.group->lo, before);
  for (unsigned i = 0; i < 4; i++)
    cmap__store_relaxed(other.slot + i, words[i]);
  end();
}

/* Overflow bits on the way to an entry that was displaced. */
static void searches(void **state)
{
  const struct cmap__layout *layout;
  struct cmap__cursor cursor;
  bool done = false;

  (void)state;
  begin();
  for (uint64_t i = 3000; i < 20000; i++)
    assert_ok(cmap_insert(map, cmap_key_u64(&i), &i, NULL, NULL, NULL));
  layout = &map->table.layout;
  for (uint64_t hash = 0; !done;) {
    shard = cmap__directory_shard(&map->table.directory, hash);
    cursor = cmap__cursor_begin(shard->block);
    while (!done && cmap__cursor_next(layout, &cursor, &place)) {
      uint64_t own = cmap__slot_hash(layout, place.slot);
      struct cmap__group *home = cmap__block_home_group(shard->block, own);
      if (home != place.group) {
        uint64_t hi = cmap__load_relaxed(&home->hi);
        cmap__store_relaxed(&home->hi,
                            hi & ~(UINT64_C(0xff) << CMAP__OVERFLOW_SHIFT));
        assert_names("group: a search for an entry ends before it");
        cmap__store_relaxed(&home->hi, hi);
        done = true;
      }
    }
    hash = cmap__shard_next_hash(shard);
    if (hash == 0)
      break;
  }
  assert_true(done);
  end();
}

static void write_on(unsigned index, void *ctx)
{
  uint64_t base = (uint64_t)index << 32;

  (void)ctx;
  for (size_t round = 0; round < test_scale(5); round++) {
    for (uint64_t i = 0; i < 20000; i++) {
      uint64_t key = base + i;
      CHECK_OK(cmap_insert(map, cmap_key_u64(&key), &i, NULL, NULL, NULL));
    }
    if (index == 3)
      CHECK_OK(cmap_shrink_to_fit(map, NULL));
    for (uint64_t i = 0; i < 20000; i++) {
      uint64_t key = base + i;
      CHECK_OK(cmap_remove(map, cmap_key_u64(&key), NULL, NULL));
    }
    CHECK_OK(cmap_check(map, NULL, NULL));
  }
}

static void nobody_is_accused(void **state)
{
  (void)state;
  map = make(CMAP_U64, 8);
  threads_run(4, write_on, NULL);
  end();
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(arguments),
      cmocka_unit_test(shards),
      cmocka_unit_test(groups),
      cmocka_unit_test(keys),
      cmocka_unit_test(strings),
      cmocka_unit_test(own_keys),
      cmocka_unit_test(directories),
      cmocka_unit_test(pools),
      cmocka_unit_test(boxes_and_strays),
      cmocka_unit_test(searches),
      cmocka_unit_test(nobody_is_accused),
  };

  return cmocka_run_group_tests_name("check", tests, NULL, NULL);
}

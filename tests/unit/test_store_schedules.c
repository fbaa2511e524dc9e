/*
 * Finding an object without a lock (store/find.h), with the writer's steps put
 * between any two of the finder's accesses, as in test_read_schedules.c: all
 * schedules of up to two interruptions within the bounds below, from each state
 * of the scene.
 *
 * Key 0 has an object at all times but between its removal and its next put;
 * key 1's put between those takes the header that the removal gave back. The
 * keys have one home group, and their shard is rebuilt to and fro between a
 * smaller and a larger block, the free one of which reads as if other keys,
 * which have no objects, lay there.
 */
#include "base/atomics.h"

static void interrupt(void);

#undef cmap__load_relaxed
#undef cmap__load_acquire
#define cmap__load_relaxed(p)                                                  \
  (interrupt(), atomic_load_explicit((p), memory_order_relaxed))
#define cmap__load_acquire(p)                                                  \
  (interrupt(), atomic_load_explicit((p), memory_order_acquire))
#undef cmap__cas_weak_acquire
#undef cmap__exchange_seq_cst
#define cmap__cas_weak_acquire(p, expected, desired)                           \
  (interrupt(), atomic_compare_exchange_weak_explicit(                         \
                    (p), (expected), (desired), memory_order_acquire,          \
                    memory_order_relaxed))
#define cmap__exchange_seq_cst(p, v)                                           \
  (interrupt(), atomic_exchange_explicit((p), (v), memory_order_seq_cst))
#define CMAP__GROUP_BY_WORDS 1

#include "store/find.h"

#include "settings.h"
#include "store_objects.h"

enum { INTERRUPTIONS_MAX = 2, ACCESSES = 14, STEPS = 5 };

static struct test_store store;

static struct {
  bool finding;
  unsigned accesses; /* of this finding */
  unsigned n;        /* interruptions */
  struct {
    unsigned access; /* before which */
    unsigned steps;
  } at[INTERRUPTIONS_MAX];
  unsigned step;
  unsigned removals; /* of key 0 */
  size_t found, absent;
  unsigned larger; /* steps that left the map with the larger block */
} now;

static uintptr_t block(void)
{
  return cmap__directory_block(&store.store->map->table.directory, 0);
}

static void put(uint64_t id)
{
  assert_ok(cmap_store_put(store.store, cmap_key_u64(&id),
                           tracked_new(&store.lives, id, 1), NULL, NULL));
}

/* Late readers of the block find no object. */
static void spoil(uintptr_t free)
{
  const struct cmap__layout *layout = &store.store->map->table.layout;
  size_t slots = cmap__block_slot_count(free);

  for (size_t i = 0; i < slots; i++)
    cmap__payload_store(cmap__block_slots(free) + i * layout->slot_words +
                            layout->value_word,
                        CMAP__WORD_FLIGHT);
}

static void resize(bool larger)
{
  struct cmap *map = store.store->map;
  uintptr_t before = block();

  if (larger)
    assert_ok(cmap_reserve(map, 40, NULL));
  else
    assert_ok(cmap_shrink_to_fit(map, NULL));
  if (block() != before)
    spoil(before);
  now.larger += larger && block() != before;
}

static void step(void)
{
  uint64_t id = 0;

  switch (now.step++ % STEPS) {
  case 0:
    now.removals++;
    assert_ok(cmap_store_remove(store.store, cmap_key_u64(&id), NULL));
    break;
  case 1:
    put(1); /* another object in its place, or none */
    break;
  case 2:
    put(0);
    break;
  case 3:
    resize(true);
    break;
  default:
    resize(false);
  }
}

static bool is_there(void)
{
  return now.step % STEPS == 0 || now.step % STEPS > 2;
}

static void interrupt(void)
{
  if (!now.finding)
    return;
  now.accesses++;
  for (unsigned i = 0; i < now.n; i++) {
    if (now.at[i].access != now.accesses)
      continue;
    now.finding = false;
    for (unsigned k = 0; k < now.at[i].steps; k++)
      step();
    now.finding = true;
  }
}

static enum cmap_status find(const struct cmap__probe *probe,
                             struct cmap__object **header,
                             struct cmap__object *_Atomic *borrowed)
{
  enum cmap_status status;

  now.accesses = 0;
  now.finding = true;
  status = cmap__find_as(store.store->map, CMAP__SHAPE_WORD, probe, header,
                         borrowed);
  now.finding = false;
  return status;
}

/* By a reference, or borrowed. What is found is of the key. */
static void try_schedule(unsigned phase, bool borrow)
{
  struct cmap__count_line *line;
  struct cmap__object *_Atomic *borrowed = NULL;
  struct cmap__object *header = NULL;
  struct cmap__probe probe;
  enum cmap_status status;
  unsigned removals, steps;
  uint64_t id = 0;
  bool there;

  while (now.step % STEPS != phase)
    step();
  CHECK_OK(cmap__probe_init(&store.store->map->table.layout, cmap_key_u64(&id),
                            NULL, &probe));
  line = cmap__count_line(&store.store->counts);
  CHECK(line != NULL);
  if (borrow)
    borrowed = &line->borrowed[0];
  there = is_there();
  removals = now.removals;
  steps = now.step;
  status = find(&probe, &header, borrowed);
  if (status == CMAP_OK) {
    struct tracked *object = header->object;
    CHECK(tracked_is_alive(object) && object->id == 0);
    now.found++;
  } else if (status == CMAP_NOT_FOUND) {
    CHECK(!there || now.removals > removals);
    now.absent++;
  } else {
    CHECK(status == CMAP_BUSY);
    CHECK(!there || now.step != steps); /* else it is found */
  }
  if (status == CMAP_OK && borrow)
    cmap__borrowed_give(borrowed, header);
  else if (status == CMAP_OK)
    cmap__object_unref(header);
}

static void try_all(unsigned first, unsigned interruptions)
{
  unsigned n = now.n++;

  for (unsigned access = first; access <= ACCESSES; access++) {
    now.at[n].access = access;
    for (unsigned steps = 1; steps <= STEPS; steps++) {
      now.at[n].steps = steps;
      if (now.n < interruptions)
        try_all(access + 1, interruptions);
      else
        for (unsigned phase = 0; phase < STEPS; phase++) {
          try_schedule(phase, false);
          try_schedule(phase, true);
        }
    }
  }
  now.n--;
}

static uint64_t one_home(struct cmap_key key, void *ctx)
{
  (void)key, (void)ctx;
  return 0;
}

/* Gives the thread its line, and lets those who retire objects look at it. */
static void begin_borrowing(void)
{
  struct cmap_borrowed borrowed = CMAP_INIT;
  uint64_t id = 0;

  assert_ok(cmap_store_borrow(store.store, cmap_key_u64(&id), &borrowed, NULL));
  cmap_borrowed_release(&borrowed);
}

static void what_is_found_is_the_keys(void **state)
{
  (void)state;
  test_store_prepare(&store, KEYS_U64);
  store.options.keys.key_hash = one_home;
  store.options.keys.flags = CMAP_HASH_IS_GOOD;
  store.options.keys.shard_groups = 4;
  test_store_create(&store);
  memset(&now, 0, sizeof now);
  put(0);
  put(1);
  begin_borrowing();
  for (unsigned n = 1; n <= INTERRUPTIONS_MAX; n++)
    try_all(1, n);
  assert_true(now.found > 1000);
  assert_true(now.larger > 1000);
  test_store_close(&store);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_is_found_is_the_keys),
  };

  return cmocka_run_group_tests_name("store_schedules", tests, NULL, NULL);
}

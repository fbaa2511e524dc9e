#include "cache_mix.h"

#define UNIT_NS 1000 /* of the clock */

static _Atomic uint64_t clock_ns;
static atomic_uint told[CACHE_MIX_OBJECTS];

static void object_left(struct cmap_key key, void *object,
                        enum cmap_removal reason, void *ctx)
{
  struct tracked *tracked = object;
  uint64_t id;

  (void)ctx;
  memcpy(&id, key.data, sizeof id);
  CHECK(tracked_is_alive(tracked) && tracked->id == id);
  CHECK(reason <= CMAP_CLEARED && tracked->version < CACHE_MIX_OBJECTS);
  CHECK(atomic_fetch_add(&told[tracked->version], 1) == 0);
}

static uint64_t show_clock(void *ctx)
{
  (void)ctx;
  return atomic_load(&clock_ns);
}

/* 1 to 30 by the object's version; with a bound of 20 some are too dear. */
static uint64_t cost_of(struct cmap_key key, const void *object, void *ctx)
{
  (void)key, (void)ctx;
  return 1 + ((const struct tracked *)object)->version % 30;
}

static void other_times(struct cmap_key key, const void *object,
                        struct cmap_lifetime *lifetime, void *ctx)
{
  (void)key, (void)ctx;
  if (((const struct tracked *)object)->version % 3 == 0)
    lifetime->ttl_ns = 7 * UNIT_NS;
}

bool cache_mix_has_times(uint64_t number)
{
  return number % 4 >= 2;
}

void cache_mix_choose(struct test_store *t, uint64_t number, bool first)
{
  struct cmap_store_options *o = &t->options;

  if (first)
    for (size_t i = 0; i < CACHE_MIX_OBJECTS; i++)
      atomic_store(&told[i], 0);
  o->on_remove = object_left;
  if (number % 4 == 0)
    return;
  if (number % 8 < 4) {
    o->max_objects = 1 + (size_t)(number % 3);
  } else {
    o->max_cost = 20;
    o->cost = cost_of;
  }
  if (!cache_mix_has_times(number))
    return;
  o->clock = show_clock;
  o->ttl_ns = 20 * UNIT_NS;
  o->idle_ns = 10 * UNIT_NS;
  o->lifetime = other_times;
  if (number % 4 == 3)
    o->refresh_ns = 3 * UNIT_NS;
}

void cache_mix_step(struct test_store *t, struct random *random,
                    unsigned threads)
{
  struct cmap_how try = cmap_how_try();

  if (t->options.max_objects != 0)
    CHECK(cmap_store_len(t->store) <= t->options.max_objects + threads);
  if (random_once_in(random, 4))
    atomic_fetch_add(&clock_ns, UNIT_NS);
  if (random_once_in(random, 32)) {
    enum cmap_status status = cmap_store_maintain(t->store, &try);
    CHECK(status == CMAP_OK || status == CMAP_BUSY);
  }
}

void cache_mix_check(struct test_store *stores, int count)
{
  uint64_t left = 0, calls = 0;

  for (int i = 0; i < count; i++) {
    struct cmap_store_stats s = store_stats(stores[i].store);
    left += s.evicted + s.expired + s.replaced + s.removed + s.cleared;
    CHECK(s.objects == 0 && s.cost == 0);
  }
  for (size_t i = 0; i < CACHE_MIX_OBJECTS; i++)
    calls += atomic_load(&told[i]);
  CHECK(left == calls);
}

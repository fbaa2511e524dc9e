#include "lifetimes.h"

#include <stdlib.h>
#include <string.h>

#include "checks.h"

#define ALIVE UINT64_C(0xa11fea11fea11fe0)
#define DEAD  UINT64_C(0xdeaddeaddeaddead)

static void count(atomic_size_t *counter)
{
  atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

static size_t look(atomic_size_t *counter)
{
  return atomic_load_explicit(counter, memory_order_relaxed);
}

void lifetimes_begin(struct lifetimes *lifetimes, size_t value_size)
{
  memset(lifetimes, 0, sizeof *lifetimes);
  lifetimes->value_size = value_size;
}

void lifetimes_end(struct lifetimes *lifetimes)
{
  for (size_t i = 0; i < LIFETIMES_KEPT; i++) {
    free(atomic_exchange(&lifetimes->kept[i], NULL));
  }
}

static struct tracked *make(struct lifetimes *lifetimes, uint64_t id,
                            uint64_t version)
{
  struct tracked *object = malloc(sizeof *object);

  if (!object) {
    abort();
  }
  object->state = ALIVE;
  object->id = id;
  object->version = version;
  object->owner = lifetimes;
  return object;
}

struct tracked *tracked_new(struct lifetimes *lifetimes, uint64_t id,
                            uint64_t version)
{
  count(&lifetimes->born);
  return make(lifetimes, id, version);
}

bool tracked_is_alive(const struct tracked *object)
{
  return object && object->state == ALIVE;
}

void tracked_destroy(struct tracked *object)
{
  struct lifetimes *owner;
  size_t place;

  if (!tracked_is_alive(object)) {
    CHECK_NEVER("what is destroyed is not alive");
    if (object && object->state == DEAD) {
      count(&object->owner->wrong);
    }
    return;
  }
  owner = object->owner;
  object->state = DEAD;
  count(&owner->destroyed);
  place =
      atomic_fetch_add_explicit(&owner->next_kept, 1, memory_order_relaxed) %
      LIFETIMES_KEPT;
  /* Acquire and release: the object that is freed was another thread's. */
  free(atomic_exchange_explicit(&owner->kept[place], object,
                                memory_order_acq_rel));
}

struct tracked *tracked_of(const void *value)
{
  struct tracked *object;

  memcpy(&object, value, sizeof object);
  return object;
}

void lifetimes_value_destroy(void *value, void *ctx)
{
  struct tracked *object = tracked_of(value);

  CHECK(object && object->owner == ctx);
  tracked_destroy(object);
}

enum cmap_status lifetimes_value_clone(const void *value, void *copy, void *ctx)
{
  struct lifetimes *lifetimes = ctx;
  int status =
      atomic_load_explicit(&lifetimes->clone_status, memory_order_relaxed);
  struct tracked *object = tracked_of(value);

  if (status != 0) {
    return (enum cmap_status)status;
  }
  CHECK(tracked_is_alive(object));
  memcpy(copy, value, lifetimes->value_size);
  object = make(lifetimes, object->id, object->version);
  memcpy(copy, &object, sizeof object);
  count(&lifetimes->cloned);
  return CMAP_OK;
}

bool lifetimes_value_equal(const void *a, const void *b, void *ctx)
{
  struct tracked *one = tracked_of(a);
  struct tracked *other = tracked_of(b);

  (void)ctx;
  CHECK(tracked_is_alive(one) && tracked_is_alive(other));
  return one->id == other->id && one->version == other->version;
}

enum cmap_status lifetimes_key_copy(struct cmap_key key, void *stored,
                                    void *ctx)
{
  struct lifetimes *lifetimes = ctx;
  struct tracked_key copy;
  int status =
      atomic_load_explicit(&lifetimes->clone_status, memory_order_relaxed);

  if (status != 0) {
    return (enum cmap_status)status;
  }
  CHECK(key.size == sizeof copy);
  memcpy(&copy, key.data, sizeof copy);
  copy.object = make(lifetimes, copy.id, 0);
  count(&lifetimes->cloned);
  memcpy(stored, &copy, sizeof copy);
  return CMAP_OK;
}

void lifetimes_key_destroy(void *stored, void *ctx)
{
  struct tracked_key key;

  memcpy(&key, stored, sizeof key);
  CHECK(key.object && key.object->owner == ctx);
  tracked_destroy(key.object);
}

size_t lifetimes_alive(struct lifetimes *lifetimes)
{
  return look(&lifetimes->born) + look(&lifetimes->cloned) -
         look(&lifetimes->destroyed);
}

bool lifetimes_balanced(struct lifetimes *lifetimes)
{
  return lifetimes_alive(lifetimes) == 0 && look(&lifetimes->wrong) == 0;
}

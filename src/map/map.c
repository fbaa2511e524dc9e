/*
 * Creating and destroying maps, their options, the hash of a key.
 */
#include "map/map.h"

#include "base/alloc.h"
#include "map/multi.h"

/* Before the program sets handlers for fork: those that lock maps (map/fork.c)
 * run before ours, and those that unlock them after ours. */
__attribute__((constructor(101))) static void load(void)
{
  cmap__fork_watch();
  cmap__bias_init();
}

void cmap__open_short_ways(struct cmap *map, bool open)
{
  const struct cmap__layout *layout = &map->table.layout;
  uint8_t writes = layout->shape, holds = layout->shape;

  open = open && !layout->strict;
  if (!open || layout->value_boxed || layout->owns_values)
    writes = CMAP__SHAPE_CUSTOM;
  if (!open)
    holds = CMAP__SHAPE_CUSTOM;
  cmap__store_relaxed(&map->table.writes, writes); /* as map.h says */
  cmap__store_relaxed(&map->table.holds, holds);
}

/* Where the slots of the first block begin, with the group before them. */
#define FIRST_SLOTS                                                            \
  ((offsetof(struct cmap, pop) + sizeof(uint64_t) +                            \
    sizeof(struct cmap__group) + CMAP__CACHE_LINE - 1) &                       \
   ~(size_t)(CMAP__CACHE_LINE - 1))

_Static_assert(offsetof(struct cmap, table) +
                       offsetof(struct cmap__table, bias_from_ns) <=
                   FIRST_SLOTS - CMAP__CACHE_LINE,
               "what calls look at is not in the line of the group");

/* Where the slots end: there are the user's functions, if there are any. */
static size_t user_at(const struct cmap__layout *layout)
{
  size_t slots = cmap__pool_first_bytes(layout);

  return slots == 0 ? sizeof(struct cmap) : FIRST_SLOTS + slots;
}

size_t cmap__map_bytes(const struct cmap__layout *layout)
{
  return user_at(layout) +
         (layout->user == &cmap__no_user ? 0 : sizeof *layout->user);
}

static void keep_user(struct cmap *map, const struct cmap__layout *layout)
{
  struct cmap__user *user = (void *)((char *)map + user_at(layout));

  if (layout->user == &cmap__no_user)
    return;
  *user = *layout->user;
  map->table.layout.user = user;
}

/* Makes a map of an allocation, in which nothing has been reserved. */
static enum cmap_status create(const struct cmap__layout *layout,
                               struct cmap **map)
{
  const struct cmap__user *user = layout->user;
  size_t bytes = cmap__map_bytes(layout);
  enum cmap_status status;
  struct cmap *fresh;

  fresh = cmap__alloc(&layout->allocator, bytes, CMAP__CACHE_LINE);
  if (fresh == NULL)
    return CMAP_ENOMEM;
  status = cmap__table_init(
      &fresh->table, layout,
      cmap__pool_first_bytes(layout) > 0 ? (char *)fresh + FIRST_SLOTS : NULL);
  if (status != CMAP_OK) {
    cmap__free(&layout->allocator, fresh, bytes, CMAP__CACHE_LINE);
    return status;
  }
  keep_user(fresh, layout);
  /* Relaxed: nobody else sees it yet. */
  cmap__store_relaxed(&fresh->frozen, NULL);
  cmap__store_relaxed(&fresh->pop, 0);
  fresh->table.copies_values =
      user->value_destroy == NULL || user->value_clone != NULL;
  fresh->table.reads =
      fresh->table.copies_values && layout->lock_free && !layout->value_boxed
          ? layout->shape
          : CMAP__SHAPE_CUSTOM;
  cmap__open_short_ways(fresh, true);
  *map = fresh;
  return CMAP_OK;
}

enum cmap_status cmap_create(const struct cmap_options *options,
                             struct cmap **map)
{
  struct cmap_options given;
  struct cmap__layout layout;
  struct cmap__user user;
  struct cmap *fresh;
  enum cmap_status status;

  if (map != NULL)
    *map = NULL;
  if (CMAP__MISSING(options) || CMAP__MISSING(map) ||
      CMAP__WRONG(!cmap__struct_read(options, CMAP__OPTIONS_FIRST, sizeof given,
                                     &given),
                  "options->size is wrong"))
    return CMAP_EINVAL;
  if (given.allocator.alloc == NULL && given.allocator.free == NULL)
    given.allocator = cmap__allocator_default;
  if (CMAP__WRONG(given.allocator.alloc == NULL || given.allocator.free == NULL,
                  "options->allocator has only one of its functions"))
    return CMAP_EINVAL;
  status = cmap__layout_init(&layout, &given, &user);
  if (status == CMAP_OK)
    status = create(&layout, &fresh);
  if (status != CMAP_OK)
    return status;
  if (given.capacity > 0)
    status = cmap_reserve(fresh, given.capacity, NULL);
  if (status != CMAP_OK) {
    cmap_destroy(fresh);
    return status;
  }
  *map = fresh;
  return CMAP_OK;
}

static struct cmap__record *next_orphan(struct cmap *map)
{
  /* Relaxed: nobody else sees the map any more. */
  const void *frozen = cmap__load_relaxed(&map->frozen);
  struct cmap__record *record = cmap__record_orphan(&map->table);

  return record != NULL || frozen == NULL ? record
                                          : cmap__record_orphan(frozen);
}

/*
 * Guards that are still out: of threads that have ended, or of this one, which
 * should have released them. What they would have released is released here.
 */
static void bury_guards(struct cmap *map)
{
  struct cmap__record *record;

  while ((record = next_orphan(map)) != NULL) {
    struct cmap__held *held = (struct cmap__held *)record;
    if (held->multi != NULL) {
      cmap__multi_bury(held, map);
    } else {
      cmap__held_bury(held);
      cmap__record_give_back(&held->record);
    }
  }
}

/* Nobody else sees the map any more: entries are released where they are, and
 * no lock is taken: one may belong to a thread that has ended. */
static void destroy_entries(struct cmap *map)
{
  const struct cmap__layout *layout = &map->table.layout;
  uint64_t hash = 0;

  do {
    struct cmap__shard *shard =
        cmap__directory_shard(&map->table.directory, hash);
    struct cmap__cursor cursor = cmap__cursor_begin(shard->block);
    struct cmap__place place;
    struct cmap__slot_image image;

    cursor.ahead = cmap__table_ahead(&map->table, shard, UINT64_MAX);
    while (cmap__cursor_next(layout, &cursor, &place)) {
      cmap__shard_take(layout, shard, &place, false, image.words);
      cmap__slot_words_release(layout, image.words, NULL);
    }
    hash = cmap__shard_next_hash(shard);
  } while (hash != 0);
}

void cmap_destroy(struct cmap *map)
{
  struct cmap_allocator allocator;
  size_t bytes;

  if (map == NULL)
    return;
  bytes = cmap__map_bytes(&map->table.layout);
  allocator = map->table.layout.allocator;
  bury_guards(map);
  /* The other boxes go with all their memory. Relaxed: as above. */
  if (map->table.layout.has_destructors ||
      cmap__load_relaxed(&map->table.boxes.large_bytes) > 0)
    destroy_entries(map);
  cmap__frozen_end(map);
  cmap__table_destroy(&map->table);
  cmap__free(&allocator, map, bytes, CMAP__CACHE_LINE);
}

enum cmap_status cmap_get_options(const struct cmap *map,
                                  struct cmap_options *options)
{
  struct cmap_options in_force;

  if (CMAP__MISSING(map) || CMAP__MISSING(options))
    return CMAP_EINVAL;
  cmap__layout_options(&map->table.layout, &in_force);
  return CMAP__WRONG(!cmap__struct_write(&in_force, CMAP__OPTIONS_FIRST,
                                         sizeof in_force, options),
                     "options->size is wrong")
             ? CMAP_EINVAL
             : CMAP_OK;
}

enum cmap_status cmap_hash(const struct cmap *map, struct cmap_key key,
                           uint64_t *hash)
{
  struct cmap__call call;
  enum cmap_status status;

  if (CMAP__MISSING(hash))
    return CMAP_EINVAL;
  status = cmap__call_begin(map, key, NULL, &call);
  if (status == CMAP_OK)
    *hash = call.probe.hash;
  return status;
}

uint64_t cmap_deadline(uint64_t timeout_ns)
{
  uint64_t now = cmap__now_ns();

  /* The largest deadline is kept for "none". */
  return timeout_ns > UINT64_MAX - 1 - now ? UINT64_MAX - 1 : now + timeout_ns;
}

/* What programs of an older header call as cmap_how_within: they have room for
 * this much. */
struct older_how {
  size_t size;
  unsigned flags;
  uint64_t hash, deadline_ns;
};

CMAP_API struct older_how cmap__older_how_within(uint64_t timeout_ns)
    CMAP_SYMBOL(how_within);

struct older_how cmap__older_how_within(uint64_t timeout_ns)
{
  struct older_how how = {.size = sizeof how,
                          .flags = CMAP_DEADLINE,
                          .deadline_ns = cmap_deadline(timeout_ns)};

  return how;
}

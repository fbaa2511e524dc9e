/*
 * Counting what is held of a frozen map.
 */
#include "map/frozen.h"

#include "base/alloc.h"
#include "map/held.h"

/* Woken by its address alone: one class. */
#define CLASS_THAW 1u

enum cmap_status cmap__frozen_begin(struct cmap *map)
{
  struct cmap__frozen *frozen;

  /* Relaxed: who froze it before has released the state to us. */
  if (cmap__load_relaxed(&map->frozen) != NULL)
    return CMAP_OK;
  frozen = cmap__alloc_zeroed(&map->table.layout.allocator, sizeof *frozen,
                              CMAP__CACHE_LINE);
  if (frozen == NULL)
    return CMAP_ENOMEM;
  /* Relaxed: for others the state releases it [F1]. */
  cmap__store_relaxed(&map->frozen, frozen);
  return CMAP_OK;
}

void cmap__frozen_end(struct cmap *map)
{
  /* Relaxed: nobody else sees the map any more. */
  cmap__free(&map->table.layout.allocator, cmap__load_relaxed(&map->frozen),
             sizeof(struct cmap__frozen), CMAP__CACHE_LINE);
}

/* Of a map that has been frozen. Relaxed: the caller has seen that [F1]. */
static struct cmap__frozen *frozen_of(struct cmap *map)
{
  return cmap__load_relaxed(&map->frozen);
}

static void look_again(struct cmap__frozen *frozen)
{
  /* Release: who sees it sees why [F3]. */
  cmap__add_release(&frozen->looks, 1);
  cmap__park_wake(&frozen->looks, CLASS_THAW, 1);
}

static void count_out(struct cmap *map, uint64_t line)
{
  struct cmap__frozen *frozen = frozen_of(map);

  cmap__sub_seq_cst(&frozen->line[line].count, 1); /* [F2] */
  if (cmap__unlikely(cmap__load_seq_cst(&map->table.state) !=
                     CMAP__TABLE_FROZEN)) /* [F2] */
    look_again(frozen);
}

/* The thread has ended: nobody knows who looks at what it held. */
static void frozen_thread_ended(struct cmap__record *record)
{
  struct cmap__frozen *frozen = frozen_of(((struct cmap__held *)record)->map);

  cmap__store_relaxed(&frozen->abandoned, true); /* released by [F3] */
  look_again(frozen);
}

bool cmap__frozen_enter(struct cmap *map, struct cmap__record *record)
{
  uint64_t line = cmap__thread_number() % CMAP__FROZEN_LINES;

  if (!cmap__table_is_frozen(&map->table))
    return false;
  cmap__add_seq_cst(&frozen_of(map)->line[line].count, 1); /* [F2] */
  if (cmap__unlikely(cmap__load_seq_cst(&map->table.state) !=
                     CMAP__TABLE_FROZEN)) { /* [F2] */
    count_out(map, line);
    return false;
  }
  record->hold.object = frozen_of(map);
  record->hold.first = 0; /* what thaw waits for */
  record->hold.last = line;
  record->hold.mode = CMAP__READ;
  record->hold.lock = NULL;
  record->ended = frozen_thread_ended;
  return true;
}

void cmap__frozen_leave(struct cmap *map, const struct cmap__record *record)
{
  count_out(map, record->hold.last);
}

static bool anybody_in(struct cmap__frozen *frozen)
{
  for (size_t i = 0; i < CMAP__FROZEN_LINES; i++)
    if (cmap__load_seq_cst(&frozen->line[i].count) != 0) /* [F2] */
      return true;
  return false;
}

enum cmap_status cmap__frozen_wait(struct cmap *map)
{
  struct cmap__frozen *frozen = frozen_of(map);
  struct cmap__wait wait = {.object = frozen, .mode = CMAP__WRITE};
  enum cmap_status status = CMAP_OK;
  bool published = false;

  /* Ends: when the last has left. */
  for (;;) {
    uint32_t looks = cmap__load_acquire(&frozen->looks); /* [F3] */
    if (!anybody_in(frozen))
      break;
    /* Relaxed: see [F3]. */
    if (cmap__load_relaxed(&frozen->abandoned))
      status = CMAP_EABANDONED;
    else if (!published && cmap__hold_any()) {
      published = cmap__deadlock_enter(&wait) == CMAP__LOCK_OK;
      status = published ? CMAP_OK : CMAP_EDEADLK;
    }
    if (status != CMAP_OK)
      break;
    (void)cmap__park_wait(&frozen->looks, looks, CLASS_THAW, CMAP__NO_DEADLINE);
  }
  if (published)
    cmap__deadlock_leave(&wait);
  return status;
}

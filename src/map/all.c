/*
 * Locking a whole map.
 */
#include "map/all.h"

/* A hold of the whole map; its gaps are what is not locked yet, or was lent. */
struct all {
  struct cmap__lending lending; /* first */
  struct cmap *map;
  size_t entries; /* of the shards that are locked */
};

_Static_assert(sizeof(struct all) <= CMAP__RECORD_BYTES,
               "a record has room for it");

static const struct cmap__gap everything = {0, UINT64_MAX};

/*
 * The shard of *hash if it is locked by the hold, else NULL; *hash is then that
 * of what follows, and 0 after the last.
 */
static struct cmap__shard *next_locked(const struct cmap__hold *hold,
                                       uint64_t *hash)
{
  const struct cmap__table *table = hold->object;
  const struct cmap__gap *gap;
  struct cmap__shard *shard;

  if (!cmap__hold_covers(hold, table, *hash)) {
    gap = cmap__hold_gap(hold, *hash);
    *hash = gap == NULL ? 0 : gap->last + 1;
    return NULL;
  }
  /* What is locked cannot be replaced: the directory still names it. */
  shard = cmap__directory_shard(&table->directory, *hash);
  *hash = cmap__shard_next_hash(shard);
  return shard;
}

/* Lets go of a shard of the thread of `holder`. What that thread itself holds
 * to write had been borrowed, to read. */
static void unlock_shard(const struct cmap__holder *holder,
                         const struct cmap__hold *hold,
                         struct cmap__shard *shard)
{
  const struct cmap__hold *own =
      cmap__hold_find_of(holder, hold->object, shard->prefix);

  if (hold->mode == CMAP__WRITE)
    cmap__shardlock_write_unlock(&shard->lock);
  else if (own == NULL || own->mode != CMAP__WRITE)
    cmap__shardlock_read_unlock(&shard->lock);
}

/* Lets go of all that the hold has locked. */
static void unlock_all(const struct cmap__holder *holder,
                       const struct cmap__hold *hold)
{
  uint64_t hash = 0;

  do {
    struct cmap__shard *shard = next_locked(hold, &hash);
    if (shard != NULL)
      unlock_shard(holder, hold, shard);
  } while (hash != 0);
}

/* Gives up the shard of a hash, or all if there is no gap left for it. */
static void lend(struct cmap__lending *lending,
                 const struct cmap__holder *holder, uint64_t hash)
{
  struct all *all = (struct all *)lending;
  struct cmap__shard *shard =
      cmap__directory_shard(&all->map->table.directory, hash);

  if (lending->gap_count == CMAP__LENDING_GAPS) {
    unlock_all(holder, &lending->record.hold);
    lending->gaps[0] = everything;
    lending->gap_count = 1;
    all->entries = 0;
    return;
  }
  lending->gaps[lending->gap_count++] =
      (struct cmap__gap){shard->prefix, shard->prefix | ~shard->mask};
  all->entries -= cmap__shard_count(shard);
  unlock_shard(holder, &lending->record.hold, shard);
}

/*
 * What is locked now is no gap any more: mostly all of one, or its first part;
 * of several, if shards were merged in them; or the middle of one, if all was
 * given up meanwhile, and that one is the only one.
 */
static void fill_gaps(struct all *all, const struct cmap__shard *locked)
{
  struct cmap__lending *lending = &all->lending;
  uint64_t last = locked->prefix | ~locked->mask;

  for (unsigned i = lending->gap_count; i-- > 0;) {
    struct cmap__gap *gap = &lending->gaps[i];
    if (gap->last < locked->prefix || last < gap->first)
      continue;
    if (gap->first < locked->prefix) {
      if (last < gap->last)
        lending->gaps[lending->gap_count++] =
            (struct cmap__gap){last + 1, gap->last};
      gap->last = locked->prefix - 1;
    } else if (last < gap->last) {
      gap->first = last + 1;
    } else {
      *gap = lending->gaps[--lending->gap_count];
    }
  }
  all->entries += cmap__shard_count(locked);
}

void cmap__all_abandon(struct cmap__record *record)
{
  uint64_t hash = 0;

  do {
    struct cmap__shard *shard = next_locked(&record->hold, &hash);
    if (shard != NULL)
      cmap__shardlock_abandon(&shard->lock);
  } while (hash != 0);
}

/* Locked is nothing yet. A hold in mode CMAP__LEND has a gap that is
 * everything; one in mode CMAP__WRITE, from which nothing is taken, is empty
 * and grows. */
static struct all *begin_all(struct cmap *map, enum cmap__mode mode)
{
  struct cmap__hold *hold = cmap__hold_next();
  struct all *all = (struct all *)hold;

  hold->object = &map->table;
  hold->first = mode == CMAP__LEND ? 0 : 1;
  hold->last = mode == CMAP__LEND ? UINT64_MAX : 0;
  hold->mode = mode;
  hold->lock = NULL;
  all->lending.record.ended = cmap__all_abandon;
  all->lending.gaps[0] = everything;
  all->lending.gap_count = 1;
  all->lending.lend = lend;
  all->map = map;
  all->entries = 0;
  cmap__hold_begin(hold);
  return all;
}

/* Locks one shard more: what was lent last, if anything is. */
static enum cmap_status lock_next(struct all *all,
                                  const struct cmap__patience *patience,
                                  enum cmap__mode mode)
{
  const struct cmap__lending *lending = &all->lending;
  struct cmap__hold *hold = &all->lending.record.hold;
  struct cmap__locked locked;
  enum cmap_status status = cmap__table_lock(
      &all->map->table, lending->gaps[lending->gap_count - 1].first, mode,
      patience, &locked);

  if (status != CMAP_OK)
    return status;
  if (mode == CMAP__WRITE && hold->mode != CMAP__WRITE)
    cmap__shardlock_downgrade(&locked.shard->lock);
  fill_gaps(all, locked.shard);
  if (hold->mode == CMAP__WRITE) { /* they come in hash order */
    hold->first = 0;
    hold->last = locked.shard->prefix | ~locked.shard->mask;
  }
  cmap__section_end(&locked); /* no user code runs before all are locked */
  return CMAP_OK;
}

/* Each to be had in one mode and kept in the same, or to read. On success the
 * hold stays for as long as they are locked. */
static enum cmap_status lock_all(struct cmap *map,
                                 const struct cmap__patience *given,
                                 enum cmap__mode mode, enum cmap__mode kept,
                                 size_t *entries)
{
  struct cmap__patience patience = *given;
  enum cmap_status status = CMAP_OK;
  struct cmap__hold *hold;
  struct all *all;

  *entries = 0;
  patience.counted = true; /* others may end it */
  if (!cmap__hold_prepare())
    return CMAP_ENOMEM;
  all = begin_all(map, kept == CMAP__READ ? CMAP__LEND : CMAP__WRITE);
  hold = &all->lending.record.hold;
  /*
   * Ends: a loan goes to a thread that stands, over others maybe, before a
   * shard that this one waits for. When it has let go, it finds most of the map
   * locked, and waits with nothing in hand: so there are fewer of those threads
   * with each loan. With 32 that nest guards at random, it took some 40 loans.
   */
  while (status == CMAP_OK && all->lending.gap_count > 0)
    status = lock_next(all, &patience, mode);
  if (status == CMAP_OK) {
    hold->mode = kept; /* it is used from now on */
    *entries = all->entries;
    cmap__count_up(&map->table.counts.whole_locks, 1);
    return CMAP_OK;
  }
  cmap__hold_end(hold);
  unlock_all(&cmap__self, hold);
  return status;
}

enum cmap_status cmap__all_lock(struct cmap *map,
                                const struct cmap__patience *patience,
                                size_t *entries)
{
  return lock_all(map, patience, CMAP__READ, CMAP__READ, entries);
}

void cmap__all_unlock(void)
{
  struct cmap__hold *hold = cmap__self.calls;

  cmap__hold_end(hold);
  unlock_all(&cmap__self, hold);
}

/* The same, but they are nobody's in the end. */
static enum cmap_status take_all(struct cmap *map,
                                 const struct cmap__patience *patience,
                                 enum cmap__mode kept)
{
  size_t entries;
  enum cmap_status status =
      lock_all(map, patience, CMAP__WRITE, kept, &entries);

  if (status == CMAP_OK)
    cmap__hold_end(cmap__self.calls);
  return status;
}

/* Ends that. */
static void give_all(struct cmap *map, enum cmap__mode kept)
{
  struct cmap__hold hold = {.object = &map->table,
                            .first = everything.first,
                            .last = everything.last,
                            .mode = kept};

  unlock_all(&cmap__self, &hold);
}

enum cmap_status cmap__all_freeze(struct cmap *map,
                                  const struct cmap__patience *patience)
{
  return take_all(map, patience, CMAP__READ);
}

void cmap__all_thaw(struct cmap *map)
{
  give_all(map, CMAP__READ);
}

enum cmap_status cmap__all_take(struct cmap *map,
                                const struct cmap__patience *patience)
{
  return take_all(map, patience, CMAP__WRITE);
}

void cmap__all_give(struct cmap *map)
{
  give_all(map, CMAP__WRITE);
}

/*
 * Making a table, and locking the shard of a hash.
 */
#include "table/table.h"

#include "base/check.h"
#include "base/system.h"
#include "table/replace.h"

/*
 * A shard of a small map is split when this many lockings of either half of it
 * have waited: a split takes as long as some waits, and helps for good. Figures
 * in docs/benchmarks.md.
 */
#define CONTENTION_WAITS  CMAP__WAITS_MOST
/* Shards per processor beyond which more would not meet less. */
#define CONTENTION_SHARDS 32
/* Shards for each processor that a map has before it has large ones. */
#define EARLY_SHARDS      4

enum cmap_status cmap__table_init(struct cmap__table *table,
                                  const struct cmap__layout *layout,
                                  void *slots)
{
  enum cmap_status status = cmap__pool_init(&table->pool);

  if (status != CMAP_OK)
    return status;
  table->layout = *layout;
  table->early_shards = EARLY_SHARDS * (uint32_t)cmap__processors();
  table->contention_shards = CONTENTION_SHARDS * (uint32_t)cmap__processors();
  cmap__store_relaxed(&table->state, CMAP__TABLE_LIVE); /* nobody sees it yet */
  memset(&table->counts, 0, sizeof table->counts);
  cmap__store_relaxed(&table->bias_from_ns, 0);
  cmap__store_relaxed(&table->bias_pause_ns, 0);
  cmap__boxes_init(&table->boxes, &table->layout.allocator,
                   (table->layout.flags & CMAP_HUGE_PAGES) != 0);
  table->layout.boxes = &table->boxes;
  cmap__shard_first(&table->layout, &table->first, slots);
  status = cmap__directory_init(&table->directory, &table->first);
  if (status != CMAP_OK)
    cmap__pool_destroy(&table->pool);
  return status;
}

void cmap__count_retry(struct cmap__table_counts *counts)
{
  static _Thread_local unsigned retries;

  if (++retries % CMAP__RETRY_SAMPLE == 0)
    cmap__count_up(&counts->read_retries, CMAP__RETRY_SAMPLE);
}

void cmap__table_destroy(struct cmap__table *table)
{
  cmap__directory_destroy(&table->directory, &table->layout);
  cmap__boxes_destroy(&table->boxes);
  cmap__pool_destroy(&table->pool);
}

void cmap__table_bytes(struct cmap__table *table, size_t *bytes, size_t *unused)
{
  size_t box_bytes, unused_boxes;

  cmap__pool_bytes(&table->pool, bytes, unused);
  cmap__boxes_bytes(&table->boxes, &box_bytes, &unused_boxes);
  *bytes += box_bytes;
  *unused += unused_boxes;
}

size_t cmap__table_release(struct cmap__table *table)
{
  size_t bytes = cmap__pool_release(&table->pool, &table->layout);

  return bytes > 0 ? bytes : cmap__boxes_release(&table->boxes);
}

/* Of a header's lock: nobody waits for it any more, or has it but the caller.
 */
static void header_alone(struct cmap__shard *shard, bool held)
{
  cmap__shardlock_alone(&shard->lock, held);
  (void)cmap__and_release(&shard->waiters, CMAP__WAITS);
}

/*
 * What threads that are not there any more had to do with the table: who waits
 * for a shard, or froze it, or had the lock of a header that is free, which it
 * took late. The mutexes are held.
 */
static void forget_threads(struct cmap__table *table)
{
  const struct cmap__grown *grown = cmap__pool_grown(&table->pool);
  uint64_t hash = 0;

  do {
    struct cmap__shard *shard = cmap__directory_shard(&table->directory, hash);
    header_alone(shard, true);
    hash = cmap__shard_next_hash(shard);
  } while (hash != 0);
  for (unsigned i = 0; grown != NULL && i < 2 * CMAP__POOL_SIZES; i++) {
    struct cmap__shard *shard =
        i % 2 == 0 ? grown->lists.free[i / 2] : grown->lists.given[i / 2];
    for (; shard != NULL; shard = shard->next_free)
      header_alone(shard, false);
  }
  cmap__store_release(&table->state, CMAP__TABLE_LIVE); /* [F1] */
}

void cmap__table_stop(struct cmap__table *table)
{
  pthread_mutex_lock(&table->directory.mutex);
  pthread_mutex_lock(&table->pool.mutex);
  cmap__boxes_stop(&table->boxes);
}

void cmap__table_go_on(struct cmap__table *table, bool alone)
{
  if (alone)
    forget_threads(table);
  cmap__boxes_go_on(&table->boxes, alone);
  pthread_mutex_unlock(&table->pool.mutex);
  pthread_mutex_unlock(&table->directory.mutex);
}

/* The bit of the hash by which a split of the shard would part its keys. */
static unsigned next_bit(const struct cmap__shard *shard, uint64_t hash)
{
  return (unsigned)(hash >> (63 - cmap__shard_depth(shard))) & 1;
}

/*
 * Counts a wait for a shard that is now held; relaxed: a statistic, from which
 * readers that come at the same moment may lose some. One hot key must not
 * split its shard again and again, so that the halves count apart.
 *
 * A load and a store, because some compilers add to 16 bits by a function of a
 * library of its own (gcc 12 on riscv64).
 */
static void count_wait(struct cmap__shard *shard, uint64_t hash)
{
  uint32_t word = cmap__load_relaxed(&shard->waiters);
  unsigned side;

  if (!cmap__shard_covers(shard, hash))
    return;
  side = next_bit(shard, hash);
  /* Ends: a failure means that another thread got on. */
  do {
    if ((word >> 4 * side & 15) >= CMAP__WAITS_MOST)
      return;
  } while (!cmap__cas_weak_relaxed(&shard->waiters, &word,
                                   word + (UINT32_C(1) << 4 * side)));
}

/* Splits a shard, held exclusively, whose halves have both been waited for. */
static void relieve(struct cmap__table *table, struct cmap__shard **shard,
                    uint64_t hash)
{
  unsigned depth = cmap__shard_depth(*shard) + 1;

  if (cmap__shard_waits(*shard, 0) < CONTENTION_WAITS ||
      cmap__shard_waits(*shard, 1) < CONTENTION_WAITS)
    return;
  cmap__shard_forget_waits(*shard);
  if (cmap__load_relaxed(&table->directory.shards) < table->contention_shards &&
      cmap__shard_may_split(table, depth))
    /* Without memory it stays as it is. */
    (void)cmap__shard_split(table, shard, hash, depth);
}

/* Waiting for the shard of a hash. */
struct table_wait {
  struct cmap__lock_wait wait; /* first */
  struct cmap__wait wanted;
  bool counted;   /* among the shard's waiters */
  bool published; /* is `wanted`? */
  bool freezes;   /* the caller is the one that freezes the table */
  unsigned parks; /* times that the thread slept */
  const struct cmap__table *table;
  struct cmap__shard *shard;
};

/* May nobody write but who freezes the table? Acquire: whoever finds a shard
 * locked by a freeze finds the freeze as well. */
static bool is_frozen(const struct cmap__table *table, enum cmap__mode mode,
                      bool freezes)
{
  return mode == CMAP__WRITE && !freezes &&
         cmap__load_acquire(&table->state) != CMAP__TABLE_LIVE;
}

/*
 * Before the thread parks: is it the right lock, and may it be waited for? If
 * it is, it stays that until the thread is woken, because a header with waiters
 * is not used again (table/shard.h).
 */
static enum cmap__lock_result before_park(struct cmap__lock_wait *lock_wait)
{
  struct table_wait *wait = (struct table_wait *)lock_wait;
  enum cmap__lock_result result;

  if (!wait->counted) {
    (void)cmap__add_relaxed(&wait->shard->waiters, CMAP__ONE_PARKED);
    wait->counted = true;
  }
  cmap__fence_seq_cst(); /* [W1] */
  if (cmap__directory_shard(&wait->table->directory, wait->wanted.hash) !=
      wait->shard)
    return CMAP__LOCK_MOVED;
  if (is_frozen(wait->table, wait->wanted.mode, wait->freezes))
    return CMAP__LOCK_FROZEN;
  if (!CMAP_DETECT || !cmap__hold_any())
    return CMAP__LOCK_OK;
  if (wait->published) {
    result = cmap__deadlock_again(&wait->wanted);
  } else {
    result = cmap__deadlock_enter(&wait->wanted);
    wait->published = result == CMAP__LOCK_OK;
  }
  return result;
}

static void after_park(struct cmap__lock_wait *lock_wait)
{
  struct table_wait *wait = (struct table_wait *)lock_wait;

  wait->parks++;
}

static enum cmap_status status_of(enum cmap__lock_result result)
{
  switch (result) {
  case CMAP__LOCK_BUSY:
    return CMAP_BUSY;
  case CMAP__LOCK_TIMEDOUT:
    return CMAP_TIMEDOUT;
  case CMAP__LOCK_CANCELED:
    return CMAP_ECANCELED;
  case CMAP__LOCK_GIVEN_UP:
    return CMAP_EABANDONED;
  case CMAP__LOCK_DEADLOCK:
    return CMAP_EDEADLK;
  case CMAP__LOCK_FROZEN:
    return CMAP_FROZEN;
  default:
    return CMAP_OK;
  }
}

/* One attempt, as cmap__read_try. */
static int try_read(struct cmap__shardlock *lock,
                    const struct cmap__patience *patience)
{
  if (patience == NULL || !patience->counted)
    return cmap__read_try(&cmap__self, lock);
  return cmap__shardlock_try_read(lock) ? CMAP__READ_COUNTED
                                        : CMAP__READ_REFUSED;
}

/*
 * The lock is not free at once: own holds first, then wait. CMAP_OK: the shard
 * is locked or borrowed; or *moved, it is neither, and the caller looks again.
 */
static CMAP__NOINLINE enum cmap_status
lock_shard_slow(struct cmap__table *table, struct cmap__locked *locked,
                uint64_t hash, const struct cmap__patience *patience,
                bool *moved)
{
  const struct cmap__hold *own = cmap__hold_find(table, hash);
  enum cmap__mode mode = locked->mode;
  struct table_wait wait = {.table = table};
  enum cmap__lock_result result;
  struct cmap__shard *shard;

  wait.wait.try_only = patience && patience->try_only;
  wait.wait.soon = patience && patience->soon;
  wait.freezes = patience && patience->freezes;
  *moved = false;
  if (is_frozen(table, mode, wait.freezes))
    return CMAP_FROZEN;
  if (own != NULL) {
    /* What we hold is the hash's home, and stays it. */
    if (mode == CMAP__WRITE)
      return wait.wait.try_only ? CMAP_BUSY : CMAP_EDEADLK;
    if (own->mode == CMAP__WRITE) {
      locked->borrowed = true;
      return CMAP_OK;
    }
  }
  wait.shard = shard = locked->shard;
  wait.wait.deadline_ns = patience ? patience->deadline_ns : CMAP__NO_DEADLINE;
  wait.wait.already_reads = own != NULL;
  wait.wait.token = patience ? patience->token : NULL;
  wait.wait.before_park = before_park;
  wait.wait.after_park = after_park;
  wait.wanted.object = table;
  wait.wanted.hash = hash;
  wait.wanted.mode = mode;
  wait.wanted.timed = wait.wait.deadline_ns < CMAP__PARK_LATEST;
  wait.wanted.lock = &shard->lock;
  /* Ends: locks are not biased anew so soon, and the next time the writer is
   * announced by then. */
  do {
    result = mode == CMAP__WRITE
                 ? cmap__shardlock_write_slow(&shard->lock, &wait.wait)
                 : cmap__shardlock_read_slow(&shard->lock, &wait.wait);
    if (result == CMAP__LOCK_BIAS) {
      cmap__table_unbias(table, shard);
      wait.wait.announce_soon = true;
    }
  } while (result == CMAP__LOCK_BIAS);
  if (wait.counted) /* release: whoever takes the header next [W1] */
    (void)cmap__sub_release(&shard->waiters, CMAP__ONE_PARKED);
  if (wait.published)
    cmap__deadlock_leave(&wait.wanted);
  *moved = result == CMAP__LOCK_MOVED;
  if (wait.wait.waited)
    cmap__count_up(&table->counts.lock_waits, 1);
  if (wait.parks > 0)
    cmap__count_up(&table->counts.lock_parks, wait.parks);
  if (wait.wait.waited && result == CMAP__LOCK_OK)
    count_wait(shard, hash);
  return status_of(result);
}

enum cmap_status cmap__table_bar_slow(const struct cmap__table *table,
                                      enum cmap__mode mode,
                                      const struct cmap__patience *patience)
{
  if ((patience && (patience->grouped || patience->freezes)) ||
      !cmap__hold_any_of(table, mode))
    return CMAP_OK;
  if (is_frozen(table, mode, false))
    return CMAP_FROZEN;
  return patience && patience->try_only ? CMAP_BUSY : CMAP_EDEADLK;
}

enum cmap_status cmap__table_lock(struct cmap__table *table, uint64_t hash,
                                  enum cmap__mode mode,
                                  const struct cmap__patience *patience,
                                  struct cmap__locked *locked)
{
  enum cmap_status barred =
      mode == CMAP__WRITE ? cmap__table_bar(table, mode, patience) : CMAP_OK;

  if (barred != CMAP_OK)
    return barred;
  /* Ends: the directory names a shard that does not cover the hash only while
   * another thread replaces it, which that thread finishes without us. */
  for (;;) {
    struct cmap__shard *shard = cmap__directory_shard(&table->directory, hash);
    bool got;

    locked->seat = CMAP__READ_COUNTED;
    if (mode == CMAP__READ)
      locked->seat = try_read(&shard->lock, patience);
    got = mode == CMAP__READ ? locked->seat != CMAP__READ_REFUSED
                             : cmap__shardlock_try_write(&shard->lock);
    locked->shard = shard;
    locked->mode = mode;
    locked->borrowed = false;
    locked->section = false;
    if (cmap__unlikely(!got)) {
      bool moved;
      locked->seat = CMAP__READ_COUNTED;
      enum cmap_status status =
          lock_shard_slow(table, locked, hash, patience, &moved);
      if (status != CMAP_OK)
        return status;
      if (moved)
        continue;
    }
    if (cmap__likely(cmap__shard_covers(shard, hash))) {
      if (!locked->borrowed) { /* else a hold of the thread's own has it */
        cmap__section_begin(table->layout.runs_user_code, locked);
        if (mode == CMAP__READ)
          cmap__table_note_read(table, shard, locked->seat);
      }
      if (cmap__unlikely(!got) && mode == CMAP__WRITE)
        relieve(table, &locked->shard, hash);
      return CMAP_OK;
    }
    cmap__table_unlock(locked);
  }
}

void cmap__table_note_empty(struct cmap__table *table,
                            struct cmap__shard *shard)
{
  cmap__assert(cmap__shard_count(shard) == 0);
  if (!cmap__directory_notes(&table->directory) ||
      cmap__directory_passes(&table->directory, shard->prefix))
    return;
  /* Else it was noted in another array. */
  if (shard->kept_limit == 0) {
    shard->kept_limit = shard->limit + 1;
    shard->limit = 0;
  }
  cmap__directory_note(&table->directory, shard, false);
}

void cmap__table_note_occupied(struct cmap__table *table,
                               struct cmap__shard *shard)
{
  if (shard->kept_limit == 0)
    return;
  shard->limit = shard->kept_limit - 1;
  shard->kept_limit = 0;
  cmap__directory_note(&table->directory, shard, true);
}

bool cmap__table_lock_now(struct cmap__table *table, uint64_t hash,
                          enum cmap__mode mode, struct cmap__locked *locked)
{
  struct cmap__shard *shard = cmap__directory_shard(&table->directory, hash);

  locked->seat = 0;
  return (mode == CMAP__WRITE ? cmap__table_try_write(table, shard)
                              : cmap__shardlock_try_any(&shard->lock, false)) &&
         cmap__locked_is_home(table, shard, hash, mode, locked);
}

/* Unlocks a shard that a walk has found empty, and notes that. Who holds it to
 * read has to let go of it first, and does not wait. */
static void leave_empty(struct cmap__table *table, struct cmap__locked *locked,
                        uint64_t hash)
{
  if (locked->mode == CMAP__READ) {
    cmap__table_unlock(locked);
    if (!cmap__directory_notes(&table->directory))
      return;
    if (cmap__directory_passes(&table->directory, hash) ||
        !cmap__table_lock_now(table, hash, CMAP__WRITE, locked))
      return;
  }
  if (cmap__shard_count(locked->shard) == 0)
    cmap__table_note_empty(table, locked->shard);
  cmap__table_unlock(locked);
}

enum cmap_status cmap__table_lock_next(struct cmap__table *table,
                                       uint64_t *hash, uint64_t last,
                                       enum cmap__mode mode,
                                       const struct cmap__patience *patience,
                                       struct cmap__locked *locked)
{
  /* Ends: each round moves *hash on. The first shard is looked at in any case:
   * that is quicker in a map without emptied ones. */
  for (;;) {
    enum cmap_status status =
        cmap__table_lock(table, *hash, mode, patience, locked);
    uint64_t next;

    if (status != CMAP_OK || locked->borrowed ||
        cmap__shard_count(locked->shard) > 0)
      return status;
    next = cmap__shard_next_hash(locked->shard);
    leave_empty(table, locked, *hash);
    if (next == 0 || !cmap__directory_seek(&table->directory, &next) ||
        next > last)
      return CMAP_NOT_FOUND;
    *hash = next;
  }
}

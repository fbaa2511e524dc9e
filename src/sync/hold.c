/*
 * The records of calls and guards: where they come from, and what becomes of
 * them when their thread ends.
 *
 * Unloading. The library may be a part of a plugin, and a thread that has used
 * guards may end after the plugin's dlclose. So:
 *   - A thread that gets its first records makes the loader keep this code
 *     until the thread ends, as the destructors of C++'s thread_local do. They
 *     run before those of thread-specific data: a thread that holds nothing
 * then takes its leave at once.
 *   - The code's own destructor gives back the thread-specific key, and all
 *     records if no thread has any.
 */
#include "sync/hold.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/system.h"
#include "sync/bias.h"

_Thread_local struct cmap__holder cmap__self;

const char cmap__nobody;

/* Records are made as many at a time. */
#define BATCH 8

/*
 * Rounds of the thread's end in which we wait for the user's own destructors
 * of thread-specific data to release guards; there are at least four.
 */
#define END_ROUNDS 2

/* Records that were made together follow one of these, a cache line of its own.
 */
struct record_batch {
  struct record_batch *next; /* under all.mutex */
};

/* Everything is under mutex; `key` and `has_key` are also read by a thread that
 * has set the key, and was told by the mutex then. */
static struct {
  pthread_mutex_t mutex;
  pthread_key_t key;
  bool has_key;
  bool closed;                 /* the destructor has run: the process ends */
  size_t threads;              /* that have records */
  struct cmap__hold *free;     /* records of threads that have ended */
  struct cmap__hold *left;     /* guards of threads that have ended */
  struct cmap__hold *detached; /* guards of nobody, linked both ways */
  struct record_batch *batches;
} all = {.mutex = PTHREAD_MUTEX_INITIALIZER};

uint64_t cmap__thread_number(void)
{
  static _Atomic uint64_t numbers;

  /* Relaxed: it is the number that tells them apart, and orders nothing. */
  if (cmap__self.number == 0)
    cmap__self.number = cmap__add_relaxed(&numbers, 1) + 1;
  return cmap__self.number;
}

/* The last of a list, whose records lose their owner. */
static struct cmap__hold *disown(struct cmap__hold *list)
{
  for (;; list = list->outer) {
    cmap__store_relaxed(&cmap__hold_record(list)->owner, NULL);
    if (list->outer == NULL)
      return list;
  }
}

/* Ends what the thread holds that is not a lock. */
static void end_others(struct cmap__holder *self)
{
  struct cmap__hold *hold = self->guards;

  while (hold != NULL) {
    struct cmap__hold *next = hold->outer;
    if (hold->lock == NULL) {
      struct cmap__record *record = cmap__hold_record(hold);
      cmap__guard_unlink(hold);
      record->ended(record);
      cmap__record_give(record);
      next = self->guards; /* from the beginning: user code may have run */
    }
    hold = next;
  }
}

/* Marks what the section and the calls hold in which the thread has ended. */
static void abandon_calls(struct cmap__holder *self)
{
  if (self->section != NULL)
    cmap__shardlock_abandon(self->section);
  self->section = NULL;
  for (; self->calls != NULL; self->calls = self->calls->outer) {
    struct cmap__record *record = cmap__hold_record(self->calls);
    if (record->hold.lock != NULL)
      cmap__shardlock_abandon(record->hold.lock);
    else if (record->ended != NULL)
      record->ended(record);
    self->spare = self->calls;
  }
}

/* The records of calls become free ones; none is in use. */
static void free_spare(struct cmap__holder *self)
{
  while (self->spare != NULL) {
    struct cmap__record *record = cmap__hold_record(self->spare);
    self->spare = record->inner;
    cmap__record_give(record);
  }
}

/* The thread has no records any more. Under all.mutex. */
static void take_leave(struct cmap__holder *self)
{
  free_spare(self);
  if (self->free != NULL) {
    disown(self->free)->outer = all.free;
    all.free = self->free;
    self->free = NULL;
  }
  if (self->known)
    all.threads--;
  self->known = false;
}

/*
 * Is it certain that there will be another round? We count those since the key
 * was set. If that was in a destructor of thread-specific data it may be the
 * last one already; the loader says whether it was before.
 */
static bool may_put_off(struct cmap__holder *self)
{
  return (self->counts_rounds || __cxa_thread_atexit_impl == NULL) &&
         !self->ends && self->end_rounds++ < END_ROUNDS;
}

/* A thread that used records ends. */
static void end_thread(void *holder)
{
  struct cmap__holder *self = holder;

  cmap__seats_abandon_calls(self);
  abandon_calls(self);
  if ((self->guards != NULL ||
       (self->seats != NULL && self->seats->used != 0)) &&
      may_put_off(self) && pthread_setspecific(all.key, self) == 0)
    return;
  self->ends = true;
  end_others(self);
  cmap__seats_end(self);
  pthread_mutex_lock(&all.mutex);
  if (self->guards != NULL) {
    struct cmap__hold *last = disown(self->guards);
    for (struct cmap__hold *h = self->guards; h != NULL; h = h->outer)
      cmap__shardlock_abandon(h->lock);
    last->outer = all.left;
    all.left = self->guards;
    self->guards = NULL;
  }
  take_leave(self);
  pthread_mutex_unlock(&all.mutex);
  self->end_rounds = 0;
}

/* The same before destructors of thread-specific data, if it holds nothing. */
static void end_early(void *holder)
{
  struct cmap__holder *self = holder;

  self->ends_early = true;
  self->counts_rounds = cmap__hold_any() || self->section != NULL;
  if (self->counts_rounds)
    return;
  cmap__seats_end(self);
  pthread_mutex_lock(&all.mutex);
  if (all.has_key)
    (void)pthread_setspecific(all.key, NULL);
  take_leave(self);
  pthread_mutex_unlock(&all.mutex);
}

/* Sees to it that the thread's end is noticed. Under all.mutex. */
static bool enter(struct cmap__holder *self)
{
  if (all.closed)
    return true;
  if (!all.has_key)
    all.has_key = pthread_key_create(&all.key, end_thread) == 0;
  if (!all.has_key || pthread_setspecific(all.key, self) != 0)
    return false;
  if (!self->known)
    all.threads++;
  self->known = true;
  return true;
}

/* Some of those of threads that have ended, or NULL: not all, else threads that
 * come and go beside each other would make new ones for ever. Under all.mutex.
 */
static struct cmap__hold *take_free(void)
{
  struct cmap__hold *list = all.free, *last = list;

  if (list == NULL)
    return NULL;
  for (unsigned n = 1; n < BATCH && last->outer != NULL; n++)
    last = last->outer;
  all.free = last->outer;
  last->outer = NULL;
  return list;
}

/* New records. Under all.mutex. */
static struct cmap__hold *make_records(void)
{
  struct cmap__hold *list = NULL;
  struct record_batch *batch;
  char *memory = cmap__aligned_alloc(
      CMAP__CACHE_LINE, CMAP__CACHE_LINE + BATCH * CMAP__RECORD_BYTES);

  if (memory == NULL)
    return NULL;
  memset(memory, 0, CMAP__CACHE_LINE + BATCH * CMAP__RECORD_BYTES);
  batch = (void *)memory;
  batch->next = all.batches;
  all.batches = batch;
  memory += CMAP__CACHE_LINE;
  for (size_t i = BATCH; i-- > 0;) {
    struct cmap__hold *hold = (void *)(memory + i * CMAP__RECORD_BYTES);
    hold->outer = list;
    list = hold;
  }
  return list;
}

/*
 * After all other destructors: the code is unloaded, and no thread has records;
 * or the process ends, and other threads may go on. A child of _Fork may find
 * the mutex locked by a thread that it does not have.
 */
__attribute__((destructor(101))) static void unload(void)
{
  if (pthread_mutex_trylock(&all.mutex) != 0)
    return;
  all.closed = true;
  if (all.has_key)
    (void)pthread_key_delete(all.key);
  all.has_key = false;
  if (all.threads == 0 && all.left == NULL && all.detached == NULL) {
    all.free = NULL;
    while (all.batches != NULL) {
      struct record_batch *batch = all.batches;
      all.batches = batch->next;
      cmap__aligned_free(batch);
    }
    cmap__seats_free();
  }
  pthread_mutex_unlock(&all.mutex);
}

CMAP__NOINLINE struct cmap__record *cmap__record_take_slow(void)
{
  struct cmap__holder *self = &cmap__self;
  struct cmap__hold *list = NULL;

  /* Not under the mutex, because the loader has locks of its own. */
  if (!self->known && !self->ends_early && __cxa_thread_atexit_impl != NULL &&
      __cxa_thread_atexit_impl(end_early, self, &all) != 0)
    return NULL;
  pthread_mutex_lock(&all.mutex);
  /* Else nobody would mark what the thread leaves behind. */
  if (enter(self)) {
    list = take_free();
    if (list == NULL)
      list = make_records();
  }
  pthread_mutex_unlock(&all.mutex);
  if (list == NULL)
    return NULL;
  if (self->seats == NULL)
    cmap__seats_begin();
  for (struct cmap__hold *hold = list; hold != NULL; hold = hold->outer)
    cmap__record_own(cmap__hold_record(hold), self);
  self->free = list->outer;
  return cmap__hold_record(list);
}

CMAP__NOINLINE bool cmap__hold_prepare_slow(void)
{
  struct cmap__holder *self = &cmap__self;
  struct cmap__record *record = cmap__record_take();

  if (record == NULL)
    return false;
  record->hold.outer = self->calls;
  record->inner = NULL;
  if (self->calls != NULL)
    cmap__hold_record(self->calls)->inner = &record->hold;
  self->spare = &record->hold;
  return true;
}

static bool unlink_from(struct cmap__hold **list, struct cmap__hold *hold)
{
  for (; *list != NULL; list = &(*list)->outer) {
    if (*list == hold) {
      *list = hold->outer;
      return true;
    }
  }
  return false;
}

CMAP__NOINLINE void cmap__guard_unlink_slow(struct cmap__hold *hold)
{
  (void)unlink_from(&cmap__self.guards, hold);
}

void cmap__record_detach(struct cmap__record *record)
{
  cmap__guard_unlink(&record->hold);
  pthread_mutex_lock(&all.mutex);
  record->inner = NULL;
  record->hold.outer = all.detached;
  if (all.detached != NULL)
    cmap__hold_record(all.detached)->inner = &record->hold;
  all.detached = &record->hold;
  cmap__store_relaxed(&record->owner, &cmap__nobody);
  pthread_mutex_unlock(&all.mutex);
}

/* A guard of nobody becomes the calling thread's. Under all.mutex. */
static void take_detached(struct cmap__record *record)
{
  struct cmap__hold *next = record->hold.outer;

  if (next != NULL)
    cmap__hold_record(next)->inner = record->inner;
  if (record->inner != NULL)
    record->inner->outer = next;
  else
    all.detached = next;
  cmap__record_own(record, &cmap__self);
}

bool cmap__record_attach(struct cmap__record *record, uintptr_t serial)
{
  bool was;

  pthread_mutex_lock(&all.mutex);
  was = cmap__load_relaxed(&record->owner) == &cmap__nobody &&
        cmap__load_relaxed(&record->serial) == serial;
  if (was)
    take_detached(record);
  pthread_mutex_unlock(&all.mutex);
  if (was)
    cmap__guard_link(&record->hold);
  return was;
}

static const struct cmap__hold *stronger(const struct cmap__hold *list,
                                         const void *object, uint64_t hash,
                                         const struct cmap__hold *found)
{
  for (; list != NULL; list = list->outer) {
    if (cmap__hold_covers(list, object, hash) &&
        (found == NULL || list->mode == CMAP__WRITE))
      found = list;
  }
  return found;
}

CMAP__NOINLINE const struct cmap__hold *
cmap__hold_find_of(const struct cmap__holder *holder, const void *object,
                   uint64_t hash)
{
  const struct cmap__hold *found =
      stronger(cmap__seats_list(holder), object, hash, NULL);

  found = stronger(holder->calls, object, hash, found);
  return stronger(holder->guards, object, hash, found);
}

/* An iterator at no entry covers no hash. */
static bool is_in_way(const struct cmap__hold *list, const void *object,
                      enum cmap__mode mode)
{
  for (; list != NULL; list = list->outer) {
    if (list->object == object && list->first <= list->last &&
        (mode == CMAP__WRITE || list->mode == CMAP__WRITE))
      return true;
  }
  return false;
}

bool cmap__hold_any_of(const void *object, enum cmap__mode mode)
{
  return is_in_way(cmap__seats_list(&cmap__self), object, mode) ||
         is_in_way(cmap__self.calls, object, mode) ||
         is_in_way(cmap__self.guards, object, mode);
}

const struct cmap__gap *cmap__hold_gap(const struct cmap__hold *hold,
                                       uint64_t hash)
{
  const struct cmap__lending *lending = (const struct cmap__lending *)hold;

  if (hold->mode != CMAP__LEND)
    return NULL;
  for (unsigned i = 0; i < lending->gap_count; i++) {
    const struct cmap__gap *gap = &lending->gaps[i];
    if (gap->first <= hash && hash <= gap->last)
      return gap;
  }
  return NULL;
}

static struct cmap__hold *find_object(struct cmap__hold *list,
                                      const void *object)
{
  while (list != NULL && list->object != object)
    list = list->outer;
  return list;
}

struct cmap__record *cmap__record_orphan(const void *object)
{
  struct cmap__hold *hold = find_object(cmap__self.guards, object);

  cmap__seats_release(object);
  if (hold != NULL) {
    (void)unlink_from(&cmap__self.guards, hold);
    return cmap__hold_record(hold);
  }
  pthread_mutex_lock(&all.mutex);
  hold = find_object(all.left, object);
  if (hold != NULL) {
    (void)unlink_from(&all.left, hold);
    cmap__record_own(cmap__hold_record(hold), &cmap__self);
  } else {
    hold = find_object(all.detached, object);
    if (hold != NULL)
      take_detached(cmap__hold_record(hold));
  }
  pthread_mutex_unlock(&all.mutex);
  return hold == NULL ? NULL : cmap__hold_record(hold);
}

void cmap__record_give_back(struct cmap__record *record)
{
  cmap__record_renew(record);
  cmap__store_relaxed(&record->owner, NULL);
  pthread_mutex_lock(&all.mutex);
  record->hold.outer = all.free;
  all.free = &record->hold;
  pthread_mutex_unlock(&all.mutex);
}

void cmap__records_stop(void)
{
  pthread_mutex_lock(&all.mutex);
}

void cmap__records_go_on(void)
{
  pthread_mutex_unlock(&all.mutex);
}

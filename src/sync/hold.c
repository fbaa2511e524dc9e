/*
 * The records of guards: where they come from, and what becomes of them when
 * their thread ends.
 */
#include "sync/hold.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "sync/shardlock.h"

_Thread_local struct cmap__holder cmap__self
    __attribute__((tls_model("initial-exec")));

/* Records are made as many at a time. */
#define BATCH 8

/*
 * Rounds of the thread's end in which we wait for the user's own destructors
 * of thread-specific data to release guards; there are at least four.
 */
#define END_ROUNDS 2

static struct {
  pthread_once_t once;
  pthread_mutex_t mutex;
  pthread_key_t key;
  bool has_key;            /* written once */
  struct cmap__hold *free; /* under mutex: records of threads that have ended */
  struct cmap__hold *left; /* under mutex: guards of threads that have ended */
} all = {.once = PTHREAD_ONCE_INIT, .mutex = PTHREAD_MUTEX_INITIALIZER};

static struct cmap__record *record_of(struct cmap__hold *hold)
{
  return (struct cmap__record *)hold;
}

/* The last of a list, whose records get a new owner. */
static struct cmap__hold *hand_over(struct cmap__hold *list,
                                    struct cmap__holder *owner)
{
  for (;; list = list->outer) {
    cmap__store_relaxed(&record_of(list)->owner, owner);
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
      struct cmap__record *record = record_of(hold);
      cmap__guard_unlink(hold);
      record->ended(record);
      cmap__record_give(record);
      next = self->guards; /* from the beginning: user code may have run */
    }
    hold = next;
  }
}

/* A thread that used guards ends. */
static void end_thread(void *holder)
{
  struct cmap__holder *self = holder;

  self->calls = NULL; /* it ended in a callback: they are gone with the stack */
  if (self->guards != NULL && !self->ends && self->end_rounds++ < END_ROUNDS &&
      pthread_setspecific(all.key, self) == 0)
    return;
  self->ends = true;
  end_others(self);
  pthread_mutex_lock(&all.mutex);
  if (self->guards != NULL) {
    struct cmap__hold *last = hand_over(self->guards, NULL);
    for (struct cmap__hold *h = self->guards; h != NULL; h = h->outer)
      cmap__shardlock_abandon(h->lock);
    last->outer = all.left;
    all.left = self->guards;
    self->guards = NULL;
  }
  if (self->free != NULL) {
    hand_over(self->free, NULL)->outer = all.free;
    all.free = self->free;
    self->free = NULL;
  }
  pthread_mutex_unlock(&all.mutex);
  self->end_rounds = 0;
}

static void make_key(void)
{
  all.has_key = pthread_key_create(&all.key, end_thread) == 0;
}

/* Records that an ended thread has left, or new ones. */
static struct cmap__hold *get_records(void)
{
  struct cmap__hold *list;
  char *memory;

  pthread_mutex_lock(&all.mutex);
  list = all.free;
  all.free = NULL;
  pthread_mutex_unlock(&all.mutex);
  if (list != NULL)
    return list;
  memory = aligned_alloc(CMAP__CACHE_LINE, BATCH * CMAP__RECORD_BYTES);
  if (memory == NULL)
    return NULL;
  memset(memory, 0, BATCH * CMAP__RECORD_BYTES);
  for (size_t i = BATCH; i-- > 0;) {
    struct cmap__hold *hold = (void *)(memory + i * CMAP__RECORD_BYTES);
    hold->outer = list;
    list = hold;
  }
  return list;
}

CMAP__NOINLINE struct cmap__record *cmap__record_take_slow(void)
{
  struct cmap__holder *self = &cmap__self;
  struct cmap__hold *list;

  /* Without the key nobody would mark what the thread leaves behind. */
  if (pthread_once(&all.once, make_key) != 0 || !all.has_key ||
      pthread_setspecific(all.key, self) != 0)
    return NULL;
  list = get_records();
  if (list == NULL)
    return NULL;
  (void)hand_over(list, self);
  self->free = list->outer;
  return record_of(list);
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

CMAP__NOINLINE const struct cmap__hold *cmap__hold_find(const void *object,
                                                        uint64_t hash)
{
  const struct cmap__hold *found =
      stronger(cmap__self.calls, object, hash, NULL);

  return stronger(cmap__self.guards, object, hash, found);
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

  if (hold != NULL) {
    (void)unlink_from(&cmap__self.guards, hold);
    return record_of(hold);
  }
  pthread_mutex_lock(&all.mutex);
  hold = find_object(all.left, object);
  if (hold != NULL) {
    (void)unlink_from(&all.left, hold);
    cmap__store_relaxed(&record_of(hold)->owner, &cmap__self);
  }
  pthread_mutex_unlock(&all.mutex);
  return hold == NULL ? NULL : record_of(hold);
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

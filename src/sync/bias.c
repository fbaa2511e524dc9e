/*
 * Taking the bias of a lock away, and the list of all threads' seats.
 */
#include "sync/bias.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/barrier.h"

_Atomic bool cmap__bias_works;

/* Everything is under the mutex. */
static struct {
  pthread_mutex_t mutex;
  struct cmap__seats *used; /* of the threads that there are */
  struct cmap__seats *free; /* of those that have ended */
} lines = {.mutex = PTHREAD_MUTEX_INITIALIZER};

void cmap__bias_init(void)
{
  /* Relaxed, here and below: it tells what to try. */
  cmap__store_relaxed(&cmap__bias_works, cmap__barrier_init());
}

/* The hold in a seat is counted. Under the mutex. */
static void count_seat(struct cmap__seats *seats, unsigned i,
                       struct cmap__shardlock *lock)
{
  /* Relaxed: what the reader has read the counted release will order. */
  cmap__add_relaxed(&lock->word, CMAP__LOCK_ONE_READER);
  seats->counted |= 1u << i;
}

/* Is the seat's hold counted? It is not from now on. Under the mutex. */
static bool uncount_seat(struct cmap__seats *seats, unsigned i)
{
  bool was = (seats->counted >> i & 1) != 0;

  seats->counted &= ~(1u << i);
  if (seats->counted == 0)
    cmap__store_relaxed(&seats->asked, 0);
  return was;
}

CMAP__NOINLINE int cmap__read_try_slow(struct cmap__holder *self,
                                       struct cmap__shardlock *lock,
                                       uint32_t word)
{
  if ((word & CMAP__LOCK_BIASED) != 0 && self->seats != NULL) {
    int seat;
    self->expects_bias = true;
    seat = cmap__read_try_seat(self, lock);
    if (seat != CMAP__READ_REFUSED)
      return seat;
  }
  return cmap__shardlock_try_read_seen(lock, word) ? CMAP__READ_COUNTED
                                                   : CMAP__READ_REFUSED;
}

CMAP__NOINLINE void cmap__seat_leave_slow(struct cmap__seats *seats,
                                          struct cmap__shardlock *lock,
                                          unsigned i)
{
  bool was;

  pthread_mutex_lock(&lines.mutex);
  was = uncount_seat(seats, i);
  pthread_mutex_unlock(&lines.mutex);
  if (was)
    cmap__shardlock_read_unlock(lock);
}

CMAP__NOINLINE void cmap__read_count(struct cmap__shardlock *lock, int seat)
{
  struct cmap__seats *seats = cmap__self.seats;
  unsigned i = (unsigned)seat - 1;

  if (seat == CMAP__READ_COUNTED)
    return;
  pthread_mutex_lock(&lines.mutex);
  if (!uncount_seat(seats, i))
    cmap__add_relaxed(&lock->word, CMAP__LOCK_ONE_READER);
  /* Relaxed: the mutex tells who revokes. */
  cmap__store_relaxed(&seats->lock[i], NULL);
  pthread_mutex_unlock(&lines.mutex);
  seats->used &= ~(1u << i);
}

CMAP__NOINLINE void cmap__bias_give(struct cmap__shardlock *lock)
{
  /* Relaxed: the caller holds the lock, and has acquired what it protects. */
  uint32_t word = cmap__load_relaxed(&lock->word);

  if (cmap__load_relaxed(&cmap__bias_works) &&
      (word & ~CMAP__LOCK_READERS) == 0)
    (void)cmap__cas_strong_acq_rel(&lock->word, &word,
                                   word | CMAP__LOCK_BIASED); /* [B1] */
}

/* Asks all threads; and those who need not be asked any more, not. */
static void ask_threads(void)
{
  for (struct cmap__seats *s = lines.used; s != NULL; s = s->next)
    cmap__store_relaxed(&s->asked, 1); /* before the barrier [B2] */
}

static void count_all(struct cmap__shardlock *lock)
{
  for (struct cmap__seats *s = lines.used; s != NULL; s = s->next) {
    for (unsigned i = 0; i < CMAP__SEATS; i++) {
      if ((s->counted >> i & 1) == 0 &&
          cmap__load_acquire(&s->lock[i]) == lock) /* [B2] */
        count_seat(s, i, lock);
    }
    if (s->counted == 0)
      cmap__store_relaxed(&s->asked, 0);
  }
}

CMAP__NOINLINE void cmap__bias_revoke(struct cmap__shardlock *lock)
{
  uint32_t word;

  pthread_mutex_lock(&lines.mutex);
  word = cmap__load_relaxed(&lock->word);
  if ((word & CMAP__LOCK_BIASED) != 0) {
    ask_threads();
    /* Counted itself meanwhile, so that no writer comes. The bit is this
     * thread's to clear, under the mutex. */
    (void)cmap__add_acq_rel(&lock->word, CMAP__LOCK_ONE_READER -
                                             CMAP__LOCK_BIASED); /* [B1] */
    if (!cmap__barrier_all())
      cmap__store_relaxed(&cmap__bias_works, false);
    count_all(lock);
    pthread_mutex_unlock(&lines.mutex);
    cmap__shardlock_read_unlock(lock);
    return;
  }
  pthread_mutex_unlock(&lines.mutex);
}

void cmap__seats_begin(void)
{
  struct cmap__seats *seats;

  if (!cmap__load_relaxed(&cmap__bias_works))
    return;
  pthread_mutex_lock(&lines.mutex);
  seats = lines.free;
  if (seats != NULL)
    lines.free = seats->next;
  else if ((seats = aligned_alloc(CMAP__CACHE_LINE, sizeof *seats)) != NULL)
    memset(seats, 0, sizeof *seats); /* all else is as it was left */
  if (seats != NULL) {
    seats->next = lines.used;
    lines.used = seats;
  }
  pthread_mutex_unlock(&lines.mutex);
  if (seats != NULL) { /* nobody else knows them */
    cmap__self.reads_to_bias = CMAP__BIAS_SAMPLE - 1;
    cmap__store_relaxed(&seats->owner, cmap__thread_mark());
  }
  cmap__self.seats = seats;
}

/* Writes what has changed only: others read it while the wait of the thread is
 * published, when nothing has. */
static void set_hold(struct cmap__hold *hold, const struct cmap__hold *now)
{
  if (hold->object != now->object || hold->first != now->first ||
      hold->last != now->last || hold->mode != now->mode ||
      hold->lock != now->lock || hold->outer != now->outer)
    *hold = *now;
}

struct cmap__hold *cmap__seats_list(const struct cmap__holder *holder)
{
  struct cmap__seats *seats = holder->seats;
  struct cmap__hold *list = NULL;

  if (seats == NULL || holder != &cmap__self)
    return seats == NULL ? NULL : seats->listed;
  for (unsigned i = 0; i < CMAP__SEATS; i++) {
    const void *object = cmap__load_relaxed(&seats->object[i]);
    struct cmap__hold now = {
        .object = object, .mode = CMAP__READ, .outer = list};

    if (object == NULL)
      continue;
    now.first = seats->hashes[i][0];
    now.last = seats->hashes[i][0] | ~seats->hashes[i][1];
    now.lock = cmap__load_relaxed(&seats->lock[i]); /* the thread's own */
    set_hold(&seats->hold[i], &now);
    list = &seats->hold[i];
  }
  if (seats->listed != list)
    seats->listed = list;
  return list;
}

/* The seats that guards have. */
static unsigned guards_of(const struct cmap__seats *seats)
{
  unsigned guards = 0;

  for (unsigned i = 0; i < CMAP__SEATS; i++)
    guards |= (cmap__load_relaxed(&seats->object[i]) != NULL ? 1u : 0u) << i;
  return guards & ~seats->calls;
}

/* Holds in seats that nobody will leave are counted, and their locks marked. */
static void abandon_seats(struct cmap__seats *seats, unsigned which)
{
  for (unsigned i = 0; i < CMAP__SEATS; i++) {
    struct cmap__shardlock *lock = cmap__load_relaxed(&seats->lock[i]);

    if ((which >> i & 1) == 0)
      continue;
    pthread_mutex_lock(&lines.mutex);
    if ((seats->counted >> i & 1) == 0)
      cmap__add_relaxed(&lock->word, CMAP__LOCK_ONE_READER);
    cmap__store_relaxed(&seats->lock[i], NULL);
    (void)uncount_seat(seats, i);
    seats->used &= ~(1u << i);
    pthread_mutex_unlock(&lines.mutex);
    cmap__seat_hide(seats, i);
    cmap__seat_renew(seats, i);
    cmap__shardlock_abandon(lock);
  }
}

void cmap__seats_abandon_calls(struct cmap__holder *self)
{
  struct cmap__seats *seats = self->seats;
  unsigned which;

  if (seats == NULL)
    return;
  which = seats->used & ~guards_of(seats);
  abandon_seats(seats, which);
  seats->calls = 0;
}

void cmap__seats_end(struct cmap__holder *self)
{
  struct cmap__seats *seats = self->seats;
  struct cmap__seats **at = &lines.used;

  if (seats == NULL)
    return;
  abandon_seats(seats, seats->used);
  seats->calls = 0;
  self->seats = NULL;
  self->expects_bias = false;
  cmap__store_relaxed(&seats->owner, NULL);
  pthread_mutex_lock(&lines.mutex);
  while (*at != seats)
    at = &(*at)->next;
  *at = seats->next;
  seats->next = lines.free;
  lines.free = seats;
  cmap__store_relaxed(&seats->asked, 0);
  pthread_mutex_unlock(&lines.mutex);
}

void cmap__seats_release(const void *object)
{
  struct cmap__seats *seats = cmap__self.seats;

  for (unsigned i = 0; seats != NULL && i < CMAP__SEATS; i++) {
    if (cmap__load_relaxed(&seats->object[i]) != object)
      continue;
    cmap__seat_renew(seats, i);
    cmap__seat_hide(seats, i);
    cmap__seat_leave(seats, cmap__load_relaxed(&seats->lock[i]), i);
  }
  /* Of threads that have ended unseen: their locks are about to go. */
  pthread_mutex_lock(&lines.mutex);
  for (struct cmap__seats *s = lines.used; s != NULL; s = s->next) {
    for (unsigned i = 0; i < CMAP__SEATS; i++) {
      if (cmap__load_relaxed(&s->object[i]) != object)
        continue;
      cmap__seat_renew(s, i);
      cmap__seat_hide(s, i);
      cmap__store_relaxed(&s->lock[i], NULL);
      (void)uncount_seat(s, i);
    }
  }
  pthread_mutex_unlock(&lines.mutex);
}

void cmap__seats_free(void)
{
  pthread_mutex_lock(&lines.mutex);
  while (lines.free != NULL) {
    struct cmap__seats *seats = lines.free;
    lines.free = seats->next;
    free(seats);
  }
  pthread_mutex_unlock(&lines.mutex);
}

void cmap__bias_stop(void)
{
  pthread_mutex_lock(&lines.mutex);
}

void cmap__bias_go_on(bool alone)
{
  struct cmap__seats *others = alone ? lines.used : NULL;

  if (alone)
    lines.used = NULL;
  while (others != NULL) {
    struct cmap__seats *seats = others;
    others = seats->next;
    if (seats != cmap__self.seats) {
      memset(seats, 0, sizeof *seats); /* guards that name them are lost */
      seats->next = lines.free;
      lines.free = seats;
    } else {
      seats->next = NULL;
      lines.used = seats;
    }
  }
  pthread_mutex_unlock(&lines.mutex);
}

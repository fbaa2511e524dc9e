/*
 * Taking the bias of a lock away, and the seats of all threads. No mutex: a
 * thread that is stopped here keeps nobody but writers of that lock.
 */
#include "sync/bias.h"

#include <string.h>

#include "base/barrier.h"
#include "base/system.h"

_Atomic bool cmap__bias_works;

/* So many threads at a time have seats, 32 a row. */
enum { ROWS = 32, ROW = 32 };

static struct {
  _Atomic uint32_t taken[ROWS]; /* a bit for each that has a thread [H3] */
  /* NULL: not yet made. Freed when the library is unloaded, unless somebody
     walks along them then. */
  struct cmap__seats *_Atomic seats[ROWS * ROW];
  _Atomic unsigned walkers;
} all_seats;

/* Those of a walk: of what was taken when it began, what was there when it came
 * by the first time. */
struct seats_walk {
  uint32_t taken[ROWS];
};

/* Acquire: a thread that has ended has left its seats before. */
static void seats_walk_begin(struct seats_walk *walk)
{
  cmap__add_seq_cst(&all_seats.walkers, 1); /* [H5] */
  cmap__fence_seq_cst();                    /* [H3] */
  for (unsigned i = 0; i < ROWS; i++)
    walk->taken[i] = cmap__load_acquire(&all_seats.taken[i]); /* [H2] */
}

/* The next from the number *at on, 0 at first; NULL: there are no more. */
static struct cmap__seats *seats_walk_next(struct seats_walk *walk,
                                           unsigned *at)
{
  while (*at < ROWS * ROW) {
    uint32_t *row = &walk->taken[*at / ROW];
    uint32_t bits = *row >> *at % ROW;
    struct cmap__seats *seats;

    if (bits == 0) {
      *at = (*at / ROW + 1) * ROW;
      continue;
    }
    *at += (unsigned)__builtin_ctz(bits);
    seats = cmap__load_acquire(&all_seats.seats[*at]); /* [H3] */
    if (seats == NULL)
      *row &= ~(UINT32_C(1) << *at % ROW);
    ++*at;
    if (seats != NULL)
      return seats;
  }
  return NULL;
}

static void seats_walk_end(void)
{
  cmap__sub_release(&all_seats.walkers, 1);
}

void cmap__bias_init(void)
{
  /* Relaxed, here and below: it tells what to try. */
  cmap__store_relaxed(&cmap__bias_works, cmap__barrier_init());
}

/*
 * seats->counted[i]: COUNTED while the hold in the seat is in its lock's word;
 * the rest grows whenever a seat is left by a thread that is asked, so that who
 * counts sees whether it was left since he looked at it. seats->asked: one for
 * each thread that takes a bias away, and for each seat that is counted.
 */
#define COUNTED ((uintptr_t)1)

/* The hold in a seat, which the thread has left, is not counted from now on.
 * Was it? */
static bool uncount_seat(struct cmap__seats *seats, unsigned i)
{
  uintptr_t now = cmap__load_relaxed(&seats->counted[i]);

  /* Ends: others change it only to count, once for each hold. */
  while (!cmap__cas_strong_acq_rel(&seats->counted[i], &now, /* [H4] */
                                   (now | COUNTED) + 1))
    ;
  if ((now & COUNTED) == 0)
    return false;
  /* Relaxed: whether it is to be left so is the thread's own to know. */
  cmap__sub_relaxed(&seats->asked, 1);
  return true;
}

/* If the seat has a hold of the lock, it is counted from now on. The caller has
 * a counted hold of the lock itself. */
static void count_seat(struct cmap__seats *seats, unsigned i,
                       struct cmap__shardlock *lock)
{
  uintptr_t seen = cmap__load_acquire(&seats->counted[i]); /* [H4] */
  if (cmap__load_acquire(&seats->lock[i]) != lock ||       /* [H2] */
      (seen & COUNTED) != 0)
    return;
  /* Relaxed: what the reader has read the counted release will order. */
  cmap__add_relaxed(&lock->word, CMAP__LOCK_ONE_READER);
  cmap__add_relaxed(&seats->asked, 1);
  if (cmap__cas_strong_acq_rel(&seats->counted[i], &seen, /* [H4] */
                               seen | COUNTED))
    return;
  /* It was left, or counted by another thread. */
  (void)cmap__load_acquire(&seats->counted[i]); /* what it did before [H4] */
  cmap__sub_relaxed(&seats->asked, 1);
  cmap__sub_relaxed(&lock->word, CMAP__LOCK_ONE_READER);
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
  if (uncount_seat(seats, i))
    cmap__shardlock_read_unlock(lock);
}

/* The hold in a seat of the calling thread's own, or of one that has ended,
 * becomes a counted one. */
static void make_counted(struct cmap__seats *seats, unsigned i,
                         struct cmap__shardlock *lock)
{
  cmap__add_relaxed(&lock->word, CMAP__LOCK_ONE_READER); /* before [H2] */
  cmap__store_release(&seats->lock[i], NULL);            /* [H2] */
  cmap__fence_light();
  if (cmap__load_relaxed(&seats->asked) != 0 && uncount_seat(seats, i))
    cmap__sub_relaxed(&lock->word, CMAP__LOCK_ONE_READER); /* there is one */
  seats->used &= ~(1u << i);
}

CMAP__NOINLINE void cmap__read_count(struct cmap__shardlock *lock, int seat)
{
  if (seat != CMAP__READ_COUNTED)
    make_counted(cmap__self.seats, (unsigned)seat - 1, lock);
}

CMAP__NOINLINE void cmap__bias_give(struct cmap__shardlock *lock)
{
  /* Relaxed: the caller holds the lock, and has acquired what it protects. */
  uint32_t word = cmap__load_relaxed(&lock->word);

  if (cmap__load_relaxed(&cmap__bias_works) &&
      (word & ~CMAP__LOCK_READERS) == 0)
    (void)cmap__cas_strong_acq_rel(&lock->word, &word,
                                   word | CMAP__LOCK_BIASED); /* [H1] */
}

CMAP__NOINLINE void cmap__bias_revoke(struct cmap__shardlock *lock)
{
  uint32_t word = cmap__load_relaxed(&lock->word);
  struct cmap__seats *seats;
  struct seats_walk walk;
  unsigned at = 0;

  /* Counted itself until the end, so that no writer comes. Relaxed: fences
   * follow. [H1] */
  do {
    if ((word & CMAP__LOCK_BIASED) == 0)
      return;
  } while (!cmap__cas_weak_relaxed(
      &lock->word, &word, word + CMAP__LOCK_ONE_READER - CMAP__LOCK_BIASED));
  seats_walk_begin(&walk);
  while ((seats = seats_walk_next(&walk, &at)) != NULL)
    cmap__add_relaxed(&seats->asked, 1); /* before the barrier [H2] */
  if (!cmap__barrier_all())
    cmap__store_relaxed(&cmap__bias_works, false);
  for (at = 0; (seats = seats_walk_next(&walk, &at)) != NULL;) {
    for (unsigned i = 0; i < CMAP__SEATS; i++)
      count_seat(seats, i, lock);
    /* Those that it counted remain. Relaxed: the loads above are acquires. */
    cmap__sub_relaxed(&seats->asked, 1);
  }
  seats_walk_end();
  cmap__shardlock_read_unlock(lock);
}

/* The number of seats that nobody has, and that are the caller's from now on;
 * ROWS * ROW: there are none. */
static unsigned claim_seats_number(void)
{
  for (unsigned i = 0; i < ROWS; i++) {
    uint32_t taken = cmap__load_relaxed(&all_seats.taken[i]);
    while (taken != UINT32_MAX) {
      unsigned bit = (unsigned)__builtin_ctz(~taken);
      taken = cmap__or_acquire(&all_seats.taken[i], UINT32_C(1) << bit);
      if ((taken >> bit & 1) == 0)
        return i * ROW + bit;
    }
  }
  return ROWS * ROW;
}

static void give_seats_number(unsigned number)
{
  cmap__and_release(&all_seats.taken[number / ROW],
                    ~(UINT32_C(1) << number % ROW));
}

/* The seats of a number that the caller has; NULL: without memory. */
static struct cmap__seats *seats_of(unsigned number)
{
  /* Relaxed: those who had the number before have released it. */
  struct cmap__seats *seats = cmap__load_relaxed(&all_seats.seats[number]);

  if (seats != NULL)
    return seats;
  seats = cmap__aligned_alloc(CMAP__CACHE_LINE, sizeof *seats);
  if (seats == NULL)
    return NULL;
  memset(seats, 0, sizeof *seats);
  seats->number = number;
  cmap__store_release(&all_seats.seats[number], seats); /* [H3] */
  return seats;
}

void cmap__seats_begin(void)
{
  struct cmap__seats *seats;
  unsigned number;

  if (!cmap__load_relaxed(&cmap__bias_works))
    return;
  number = claim_seats_number();
  if (number == ROWS * ROW)
    return;
  seats = seats_of(number);
  if (seats == NULL) {
    give_seats_number(number);
    return;
  }
  cmap__store_relaxed(&seats->owner, cmap__thread_mark());
  cmap__fence_seq_cst(); /* [H3] */
  cmap__self.reads_to_bias = CMAP__BIAS_SAMPLE - 1;
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

/* Holds in seats that nobody will leave are counted, and their locks marked.
 * One without a lock was in a map that another thread has destroyed. */
static void abandon_seats(struct cmap__seats *seats, unsigned which)
{
  for (unsigned i = 0; i < CMAP__SEATS; i++) {
    struct cmap__shardlock *lock = cmap__load_relaxed(&seats->lock[i]);

    if ((which >> i & 1) == 0)
      continue;
    if (lock != NULL)
      make_counted(seats, i, lock);
    seats->used &= ~(1u << i);
    cmap__seat_hide(seats, i);
    cmap__seat_renew(seats, i);
    if (lock != NULL)
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

  if (seats == NULL)
    return;
  abandon_seats(seats, seats->used);
  seats->calls = 0;
  self->expects_bias = false;
  self->seats = NULL;
  cmap__store_relaxed(&seats->owner, NULL);
  give_seats_number(seats->number);
}

/* A guard that nobody will end holds nothing any more. Its lock is about to go,
 * or is nobody's but the calling thread's. */
static void clear_seat(struct cmap__seats *seats, unsigned i)
{
  cmap__seat_renew(seats, i);
  cmap__seat_hide(seats, i);
  cmap__store_relaxed(&seats->lock[i], NULL);
  (void)uncount_seat(seats, i);
}

void cmap__seats_release(const void *object)
{
  struct cmap__seats *own = cmap__self.seats, *s;
  struct seats_walk walk;
  unsigned at = 0;

  for (unsigned i = 0; own != NULL && i < CMAP__SEATS; i++) {
    if (cmap__load_relaxed(&own->object[i]) != object)
      continue;
    cmap__seat_renew(own, i);
    cmap__seat_hide(own, i);
    cmap__seat_leave(own, cmap__load_relaxed(&own->lock[i]), i);
  }
  /* Of threads that have ended unseen. */
  seats_walk_begin(&walk);
  while ((s = seats_walk_next(&walk, &at)) != NULL) {
    for (unsigned i = 0; i < CMAP__SEATS; i++) {
      if (cmap__load_relaxed(&s->object[i]) == object)
        clear_seat(s, i);
    }
  }
  seats_walk_end();
}

void cmap__seats_free(void)
{
  for (unsigned i = 0; i < ROWS * ROW; i++) {
    struct cmap__seats *seats =
        cmap__exchange_seq_cst(&all_seats.seats[i], NULL);
    if (cmap__load_seq_cst(&all_seats.walkers) == 0) /* [H5] */
      cmap__aligned_free(seats);
  }
}

void cmap__seats_alone(void)
{
  cmap__store_relaxed(&all_seats.walkers, 0);
  for (unsigned number = 0; number < ROWS * ROW; number++) {
    struct cmap__seats *s = cmap__load_relaxed(&all_seats.seats[number]);
    bool is_own = s != NULL && s == cmap__self.seats;
    uintptr_t counted = 0;

    if (!is_own)
      give_seats_number(number);
    if (s == NULL)
      continue;
    for (unsigned i = 0; i < CMAP__SEATS; i++) {
      if (!is_own)
        clear_seat(s, i);
      counted += cmap__load_relaxed(&s->counted[i]) & COUNTED;
    }
    cmap__store_relaxed(&s->asked, counted); /* those who asked are not here */
    if (is_own)
      continue;
    s->used = 0;
    s->calls = 0;
    s->listed = NULL;
    cmap__store_relaxed(&s->owner, NULL);
  }
}

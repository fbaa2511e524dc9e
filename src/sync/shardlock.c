/*
 * The waiting half of the shard lock; shardlock.h describes the word.
 *
 * Why no wake-up is lost
 *   1. A waiter "announces" itself: it sets its waiting bit in a word that
 *      keeps it out, and parks only on a word with that bit set and that still
 *      keeps it out. So parking needs no other memory than the word.
 *   2. While a writer holds the lock, its unlock or downgrade sees the bits. A
 *      write unlock that has seen some clears what is still there, and wakes
 *      for it, unless another writer has come: that one's unlock does it.
 *   3. While readers hold it, READERS_WAIT implies WRITERS_WAIT, and the last
 *      reader sees that bit and wakes a writer; or the second step of a write
 *      unlock is still to come (2).
 *   4. While it is free with WRITERS_WAIT and without READERS_NEXT, an
 *      announced writer is awake or being woken. Writers may enter, so that
 *      it will not park again before one of them had the lock (2). It may not
 *      be running: so writers, and readers that park where no writer has the
 *      lock, sleep with an end. A reader that takes the lock then clears both
 *      bits, and wakes for them (6).
 *   5. While it is free with READERS_NEXT, an announced reader is awake or
 *      being woken. It enters, and unlocks (3), or gives up and repairs. It may
 *      not be running: so with WRITERS_WAIT an announced writer is awake or
 *      being woken too, or sleeps with an end, when it takes the lock (4). For
 *      who parks where only READERS_NEXT is in its way does so with an end, and
 *      who parks for another reason is woken when that goes.
 *   6. After WRITERS_WAIT was cleared with other writers still parked, an
 *      announced writer is awake or being woken that answers for them: it
 *      takes the lock with WRITERS_WAIT set (2), or parks with it set, or
 *      gives up and repairs. Every announced writer takes itself for that one.
 *   Readers need no such heir: they are always woken all together.
 *
 * And why nothing stale stays: READERS_WAIT in a word without WRITER implies
 * WRITERS_WAIT, and what lifts either obstacle clears READERS_WAIT as well,
 * but for the write unlock between its steps; a reader that set it, and takes
 * the lock just then, clears it and wakes the others. So the unlock does not
 * find it when all who set it are gone. WRITERS_WAIT may be nobody's then; the
 * unlock clears it whoever holds the lock, and a writer that it wakes for that
 * sets it again.
 */
#include "sync/shardlock.h"

#include <stddef.h>

#include "base/probe.h"
#include "base/watch.h"
#include "sync/awake.h"
#include "sync/lock_word.h"
#include "sync/turns.h"

/* How long a full lock is left alone before it is looked at again. */
#define FULL_NAP_NS UINT64_C(1000000)

/* The longest time until a parked thread looks again by itself. */
#define LOOK_MOST_NS UINT64_C(100000000)

uint64_t cmap__lock_look_ns = CMAP__LOCK_TURN_NS;

/* The word in which it is the turn of the readers of READERS_WAIT. */
static uint32_t readers_turn(const struct cmap__shardlock *lock, uint32_t word)
{
  if ((word & PASSED_BY) != 0)
    cmap__turn_given(lock);
  return (word & ~READERS_WAIT) | READERS_NEXT;
}

static void wake_readers(struct cmap__shardlock *lock)
{
  cmap__park_wake(&lock->word, CLASS_READER, CMAP__PARK_ALL);
}

static void wake_writer(struct cmap__shardlock *lock)
{
  cmap__park_wake(&lock->word, CLASS_WRITER, 1);
}

/* The lock is free, and was `before`: it is the writers' turn. */
static void writers_turn(struct cmap__shardlock *lock, uint32_t before)
{
  if ((before & READERS_NEXT) == 0) /* else it may be a turn that lasts */
    cmap__turn_given(lock);
  wake_writer(lock);
}

/* Readers first: the writer would only wait for them. */
static void wake_both(struct cmap__shardlock *lock, uint32_t waiting)
{
  if ((waiting & READERS_WAIT) != 0)
    wake_readers(lock);
  if ((waiting & WRITERS_WAIT) != 0)
    wake_writer(lock);
}

/*
 * An announced writer gives up. It may be the one that answers for other
 * writers, or the only one that WRITERS_WAIT stands for; it cannot know.
 * Under a writer it sets the bit, which is always legal there. Else it clears
 * it and wakes one writer to answer for the rest, whether the bit was set or
 * not. The readers that waited because of the bit try again.
 */
static void writer_gives_up(struct cmap__shardlock *lock)
{
  /* Relaxed, here and below: waiting bits guard no data. */
  uint32_t word = cmap__load_relaxed(&lock->word);
  uint32_t next;

  /* Ends: a failure means that another thread got on. */
  do {
    next = (word & WRITTEN) != 0 ? word | WRITERS_WAIT
                                 : tidy(word & ~(WRITERS_WAIT | READERS_WAIT));
  } while (!cmap__cas_weak_relaxed(&lock->word, &word, next));

  if ((word & WRITTEN) != 0)
    return;
  wake_both(lock, word | WRITERS_WAIT);
}

/*
 * An announced reader gives up. It may be the only one that READERS_WAIT or
 * READERS_NEXT stands for. Clearing READERS_NEXT opens the lock to the writers
 * that parked because of it.
 */
static void reader_gives_up(struct cmap__shardlock *lock)
{
  uint32_t word = cmap__load_relaxed(&lock->word);

  /* Ends: a failure means that another thread got on. */
  do {
    if ((word & (READERS_WAIT | READERS_NEXT)) == 0)
      return;
  } while (!cmap__cas_weak_relaxed(
      &lock->word, &word, tidy(word & ~(READERS_WAIT | READERS_NEXT))));

  if ((word & READERS_WAIT) != 0)
    wake_readers(lock);
  if ((word & (READERS_NEXT | WRITERS_WAIT)) == (READERS_NEXT | WRITERS_WAIT))
    writers_turn(lock, 0);
}

/* Sleeps a little: the readers that leave a full lock wake nobody. */
static void nap(struct cmap__shardlock *lock, uint32_t word, uint64_t deadline)
{
  uint64_t until = cmap__now_ns() + FULL_NAP_NS;

  cmap__park_wait(&lock->word, word, CLASS_READER,
                  until < deadline ? until : deadline);
}

/* A thread on its way to the lock. */
struct waiter {
  struct cmap__shardlock *lock;
  struct cmap__lock_wait *wait;
  unsigned rounds;    /* of waiting awake since it last parked */
  unsigned degree;    /* how hot the lock is */
  bool announced;     /* its bit is set, or it answers for that */
  bool parked;        /* it has been asleep until it was woken */
  uint64_t since;     /* it has waited so that it looks by itself; 0: not */
  uint64_t turn_ends; /* a thread that finds only the others' turn in its way
                         takes the lock then; 0: there was more at the last
                         look */
};

/*
 * It is only the others' turn: is it over, as far as this thread is concerned?
 */
static bool turn_is_over(struct waiter *waiter, const struct mode *mode,
                         uint32_t word)
{
  const struct cmap__lock_wait *wait = waiter->wait;
  uint64_t now = wait->try_only ? 0 : cmap__now_ns();

  if (wait->try_only || now >= wait->deadline_ns)
    return mode == &read_mode
               ? cmap__turn_is_old(waiter->lock)
               : (word & PASSED_BY) == 0 || !cmap__turn_is_young(waiter->lock);
  if (waiter->turn_ends == 0)
    waiter->turn_ends = now + CMAP__LOCK_TURN_NS;
  return now >= waiter->turn_ends;
}

/*
 * Announces the caller in *word. False if the word has changed; that is no
 * harm. Acquire, so that the caller sees what was done to the shard by whoever
 * had the lock before: its directory, then, tells whether it still waits for
 * the right one.
 */
static bool announce(struct waiter *waiter, const struct mode *mode,
                     uint32_t *word)
{
  uint32_t announced = *word | mode->announce;

  if (mode == &read_mode && waiter->parked)
    announced |= PASSED_BY;
  if (!cmap__cas_strong_acquire(&waiter->lock->word, word, announced))
    return false;
  *word = announced;
  waiter->announced = true;
  return true;
}

static void wake_sleeper(struct cmap__sleeper *sleeper)
{
  cmap__park_wake(sleeper->at, CLASS_WRITER | CLASS_READER, CMAP__PARK_ALL);
}

/*
 * When a thread that parks now looks again by itself: when it has waited twice
 * as long as now, or soon. Where one writer is woken of all who wait, it may be
 * one that is not running. Readers are all woken by a writer that has the lock.
 */
static uint64_t next_look_at(struct waiter *waiter, const struct mode *mode,
                             uint32_t announced)
{
  uint64_t now, time;

  if (waiter->turn_ends != 0)
    return waiter->turn_ends;
  if ((mode == &read_mode && (announced & WRITTEN) != 0) ||
      cmap__lock_look_ns == CMAP__NO_DEADLINE)
    return CMAP__NO_DEADLINE;
  now = cmap__now_ns();
  if (waiter->since == 0)
    waiter->since = now - cmap__lock_look_ns;
  time = now - waiter->since;
  return now + (time < LOOK_MOST_NS ? time : LOOK_MOST_NS);
}

/* Parks, between the caller's two functions. The caller is announced. */
static enum cmap__lock_result park(struct waiter *waiter,
                                   const struct mode *mode, uint32_t announced)
{
  struct cmap__lock_wait *wait = waiter->wait;
  uint64_t until = wait->deadline_ns;
  enum cmap__lock_result result =
      wait->before_park ? wait->before_park(wait) : CMAP__LOCK_OK;

  if (result == CMAP__LOCK_OK) {
    uint64_t look = next_look_at(waiter, mode, announced);
    if (look < until)
      until = look;
    cmap__probe(lock_park, waiter->lock, mode == &write_mode);
    /* Who cancels the token from now on wakes until the caller has left it. */
    if (!cmap__token_is_canceled(wait->token))
      waiter->parked |=
          cmap__park_wait(&waiter->lock->word, announced, mode->class_mask,
                          until) != CMAP__PARK_TIMEDOUT;
    cmap__probe(lock_parked, waiter->lock, mode == &write_mode);
    if (wait->after_park)
      wait->after_park(wait);
  }
  waiter->rounds = 0;
  return result;
}

/* Why the caller may not wait any more; CMAP__LOCK_OK if it may. */
static enum cmap__lock_result refusal(const struct cmap__lock_wait *wait,
                                      uint32_t word, uint32_t obstacles)
{
  if ((obstacles & BIASED) != 0)
    return CMAP__LOCK_BIAS;
  if (wait->try_only)
    return CMAP__LOCK_BUSY;
  if ((word & ABANDONED) != 0 && obstacles != FULL)
    return CMAP__LOCK_GIVEN_UP;
  if (obstacles == FULL && wait->already_reads)
    return CMAP__LOCK_BUSY; /* the holds it waits for may be its own */
  if (wait->deadline_ns != CMAP__NO_DEADLINE &&
      cmap__now_ns() >= wait->deadline_ns)
    return CMAP__LOCK_TIMEDOUT;
  if (cmap__token_is_canceled(wait->token))
    return CMAP__LOCK_CANCELED;
  return CMAP__LOCK_OK;
}

/* The end of a wait without the lock. */
static enum cmap__lock_result give_up(const struct waiter *waiter,
                                      const struct mode *mode,
                                      enum cmap__lock_result result)
{
  if (waiter->announced && mode == &write_mode)
    writer_gives_up(waiter->lock);
  else if (waiter->announced)
    reader_gives_up(waiter->lock);
  return result;
}

/*
 * What a watched lock orders. Who had it to write tells it by the lock's own
 * address, and who had it to read by the next: readers are not ordered among
 * each other.
 */
static const void *told_by(const struct cmap__shardlock *lock, bool write)
{
  return (const char *)lock + (write ? 0 : 8);
}

static void tell_taken(const struct cmap__shardlock *lock, bool write)
{
  cmap__watch_acquire(told_by(lock, true));
  if (write)
    cmap__watch_acquire(told_by(lock, false));
}

bool cmap__shardlock_try_any(struct cmap__shardlock *lock, bool write)
{
  const struct mode *mode = write ? &write_mode : &read_mode;
  /* Relaxed: the compare-and-swap acquires. */
  uint32_t word = cmap__load_relaxed(&lock->word);

  if ((word & WATCHED) == 0)
    return write ? cmap__shardlock_try_write(lock)
                 : cmap__shardlock_try_read(lock);
  if (obstacle(mode, word, false) != 0 || (word & ~(WATCHED | READERS)) != 0 ||
      !cmap__cas_strong_acquire(&lock->word, &word, /* [L1] [L2] */
                                word + mode->add + mode->add_watched))
    return false;
  tell_taken(lock, write);
  return true;
}

static inline enum cmap__lock_result wait_for(struct waiter *waiter,
                                              const struct mode *mode)
{
  struct cmap__shardlock *lock = waiter->lock;
  struct cmap__lock_wait *wait = waiter->wait;

  /* Ends: see "Policy"; with a deadline or a token, refusal() ends it. */
  for (;;) {
    /* Relaxed: the compare-and-swap acquires. */
    uint32_t word = cmap__load_relaxed(&lock->word);
    uint32_t obstacles = obstacle(mode, word, wait->already_reads);
    uint32_t lapsed = 0;
    enum cmap__lock_result result;

    if (!is_turn(mode, word, obstacles))
      waiter->turn_ends = 0;
    else if (turn_is_over(waiter, mode, word))
      lapsed = obstacles;
    if (obstacles == lapsed) {
      uint32_t next = taken(mode, word, waiter->announced, lapsed);

      if (cmap__cas_weak_acquire(&lock->word, &word, next)) { /* [L1] [L2] */
        if (cmap__unlikely((next & WATCHED) != 0))
          tell_taken(lock, mode == &write_mode);
        wake_both(lock, word & ~next);
        if (wait->waited && mode == &write_mode &&
            waiter->degree >= CMAP__LOCK_HOT && (next & WRITERS_WAIT) == 0)
          cmap__lock_notice();
        return CMAP__LOCK_OK;
      }
      continue;
    }
    result = refusal(wait, word, obstacles);
    if (result != CMAP__LOCK_OK)
      return give_up(waiter, mode, result);
    wait->waited = true;
    if (cmap__lock_spin(&waiter->rounds, waiter->degree))
      continue;
    if (obstacles == FULL) {
      nap(lock, word, wait->deadline_ns);
    } else if (announce(waiter, mode, &word)) {
      result = park(waiter, mode, word);
      if (result != CMAP__LOCK_OK && result != CMAP__LOCK_AGAIN)
        return give_up(waiter, mode, result);
    }
  }
}

static inline enum cmap__lock_result lock_slow(struct cmap__shardlock *lock,
                                               const struct mode *mode,
                                               struct cmap__lock_wait *wait)
{
  struct cmap__lock_wait forever = {.deadline_ns = CMAP__NO_DEADLINE};
  struct waiter waiter = {.lock = lock, .wait = wait ? wait : &forever};
  struct cmap__sleeper sleeper = {.wake = wake_sleeper, .at = &lock->word};
  struct cmap_token *token;
  enum cmap__lock_result result;

  wait = waiter.wait;
  waiter.rounds = wait->announce_soon ? CMAP__LOCK_ROUNDS : 0;
  waiter.degree = wait->try_only || wait->soon ? 0 : cmap__lock_heat(lock);
  token = wait->try_only ? NULL : wait->token;
  if (token != NULL)
    cmap__token_enter(token, &sleeper);
  result = wait_for(&waiter, mode);
  if (token != NULL)
    cmap__token_leave(token, &sleeper);
  return result;
}

CMAP__NOINLINE enum cmap__lock_result
cmap__shardlock_write_slow(struct cmap__shardlock *lock,
                           struct cmap__lock_wait *wait)
{
  return lock_slow(lock, &write_mode, wait);
}

CMAP__NOINLINE enum cmap__lock_result
cmap__shardlock_read_slow(struct cmap__shardlock *lock,
                          struct cmap__lock_wait *wait)
{
  return lock_slow(lock, &read_mode, wait);
}

void cmap__shardlock_admit_readers(struct cmap__shardlock *lock)
{
  /* Relaxed: waiting bits guard no data. */
  uint32_t word = cmap__load_relaxed(&lock->word);

  /* Ends: a failure means that another thread got on. */
  do {
    if ((word & (WRITTEN | READERS_WAIT)) != READERS_WAIT)
      return;
  } while (
      !cmap__cas_weak_relaxed(&lock->word, &word, readers_turn(lock, word)));
  wake_readers(lock);
}

void cmap__shardlock_abandon(struct cmap__shardlock *lock)
{
  /* Relaxed: nobody gets the lock by it. */
  (void)cmap__or_relaxed(&lock->word, ABANDONED);
  cmap__park_wake(&lock->word, CLASS_WRITER | CLASS_READER, CMAP__PARK_ALL);
}

CMAP__NOINLINE void cmap__shardlock_grant(struct cmap__shardlock *lock)
{
  /* Relaxed: waiting bits guard no data. */
  uint32_t word = cmap__load_relaxed(&lock->word);
  uint32_t next;

  if (cmap__unlikely((word & WATCHED) != 0))
    cmap__watch_release(told_by(lock, true));
  /* Ends: a failure means that another thread got on. */
  do {
    if ((word & WRITER) != 0)
      return;
    next = word & ~(WRITERS_WAIT | LEAVING);
    if ((word & READERS_WAIT) != 0 && (word & READERS) == 0)
      next = readers_turn(lock, next);
    next = tidy(next & ~READERS_WAIT);
  } while (!cmap__cas_weak_relaxed(&lock->word, &word, next));
  wake_both(lock, word);
}

CMAP__NOINLINE void
cmap__shardlock_read_unlock_slow(struct cmap__shardlock *lock, uint32_t before)
{
  if (cmap__unlikely((before & WATCHED) != 0)) {
    cmap__watch_release(told_by(lock, false));
    before = cmap__sub_release(&lock->word, ONE_READER); /* [L2] */
  }
  /* WRITERS_WAIT stays: the writer that was woken finds no new readers. */
  if ((before & (READERS | WRITERS_WAIT)) == (ONE_READER | WRITERS_WAIT))
    writers_turn(lock, before);
}

CMAP__NOINLINE void cmap__shardlock_downgrade_slow(struct cmap__shardlock *lock)
{
  uint32_t word = cmap__load_relaxed(&lock->word);
  uint32_t next;

  if (cmap__unlikely((word & WATCHED) != 0))
    cmap__watch_release(told_by(lock, true));
  /* Ends: only a waiter's announcement or repair can make it fail. */
  do {
    next = (word & WATCHED) != 0 ? WATCHED | 2 * ONE_READER : ONE_READER;
    if ((word & READERS_WAIT) != 0)
      next |= readers_turn(lock, word & PASSED_BY);
  } while (!cmap__cas_strong_release(&lock->word, &word, next)); /* [L1] */
  wake_both(lock, word);
}

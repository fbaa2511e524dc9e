/*
 * The table of turns.
 */
#include "sync/turns.h"

#include "sync/shardlock.h"

#define ENTRIES 64

/* The lower bits of an entry: which lock of those that share it. The others:
 * the time, in units of 1024 ns. */
#define WHOSE UINT64_C(0xffff)
#define UNIT  1024

static _Atomic uint64_t entries[ENTRIES];

static uint64_t number_of(const struct cmap__shardlock *lock)
{
  return (uintptr_t)lock / CMAP__CACHE_LINE;
}

static _Atomic uint64_t *entry_of(const struct cmap__shardlock *lock)
{
  return &entries[number_of(lock) % ENTRIES];
}

/* The lock's entry for a turn of that time. */
static uint64_t stamp(const struct cmap__shardlock *lock, uint64_t ns)
{
  return ns / UNIT * (WHOSE + 1) + (number_of(lock) / ENTRIES & WHOSE);
}

/* Relaxed, here and below: whoever sees an older entry ends the turn earlier or
 * later, which is legal. */
void cmap__turn_given(const struct cmap__shardlock *lock)
{
  cmap__store_relaxed(entry_of(lock), stamp(lock, cmap__now_ns()));
}

/* Was the last turn of the lock, if it is known, given after so many ns ago, as
 * `after` says, or before? */
static bool was_given(const struct cmap__shardlock *lock, uint64_t ns,
                      bool after)
{
  uint64_t then = stamp(lock, cmap__now_ns() - ns);
  uint64_t given = cmap__load_relaxed(entry_of(lock));

  return ((given ^ then) & WHOSE) == 0 && (given >= then) == after;
}

bool cmap__turn_is_young(const struct cmap__shardlock *lock)
{
  return was_given(lock, CMAP__LOCK_TURN_NS, true);
}

bool cmap__turn_is_old(const struct cmap__shardlock *lock)
{
  return was_given(lock, CMAP__LOCK_TRY_NS, false);
}

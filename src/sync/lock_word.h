/*
 * What the bits of a shard lock's word, which shardlock.h describes, mean to a
 * thread that wants the lock in one of the two modes. Part of shardlock.c.
 */
#ifndef CMAP__SYNC_LOCK_WORD_H
#define CMAP__SYNC_LOCK_WORD_H

#include <stdbool.h>
#include <stdint.h>

#include "sync/shardlock.h"

#define WRITER       CMAP__LOCK_WRITER
#define WRITERS_WAIT CMAP__LOCK_WRITERS_WAIT
#define READERS_WAIT CMAP__LOCK_READERS_WAIT
#define READERS_NEXT CMAP__LOCK_READERS_NEXT
#define PASSED_BY    CMAP__LOCK_PASSED_BY
#define ABANDONED    CMAP__LOCK_ABANDONED
#define ONE_READER   CMAP__LOCK_ONE_READER
#define READERS      CMAP__LOCK_READERS
#define FULL         CMAP__LOCK_FULL
#define WATCHED      CMAP__LOCK_WATCHED
#define LEAVING      CMAP__LOCK_LEAVING
#define BIASED       CMAP__LOCK_BIASED
/* A writer has the lock, or has not told yet that it has not. */
#define WRITTEN      (WRITER | LEAVING)

/* Classes of sleepers for cmap__park_wait. */
#define CLASS_WRITER 1u
#define CLASS_READER 2u

/* What the two modes differ in, so that they share one way of waiting. */
struct mode {
  uint32_t add;         /* to the word on taking the lock */
  uint32_t add_watched; /* and this, if it is watched */
  uint32_t announce;    /* the waiting bit */
  uint32_t inherit;     /* set on taking the lock after an announcement */
  uint32_t turn;        /* the bit of the others' turn */
  uint32_t class_mask;  /* to park in */
};

static const struct mode write_mode = {.add = WRITER,
                                       .add_watched = LEAVING,
                                       .announce = WRITERS_WAIT,
                                       .inherit = WRITERS_WAIT,
                                       .turn = READERS_NEXT,
                                       .class_mask = CLASS_WRITER};

static const struct mode read_mode = {.add = ONE_READER,
                                      .add_watched = ONE_READER,
                                      .announce = READERS_WAIT,
                                      .turn = WRITERS_WAIT,
                                      .class_mask = CLASS_READER};

/* PASSED_BY means nothing without one of the two others. */
static inline uint32_t tidy(uint32_t word)
{
  return (word & (READERS_WAIT | READERS_NEXT)) != 0 ? word : word & ~PASSED_BY;
}

/* The bits of `word` that keep a thread out that wants to read or write. */
static inline uint32_t obstacle(const struct mode *mode, uint32_t word,
                                bool already_reads)
{
  if (mode == &write_mode)
    return word & (WRITTEN | READERS | READERS_NEXT | BIASED);
  if (already_reads || (word & (READERS_NEXT | ABANDONED)) != 0)
    return word & (WRITTEN | FULL);
  return word & (WRITTEN | FULL | WRITERS_WAIT);
}

/* Is it nothing but the others' turn that is in the way? The lock is free. */
static inline bool is_turn(const struct mode *mode, uint32_t word,
                           uint32_t obstacles)
{
  return obstacles == mode->turn && (word & READERS) == 0;
}

/* The word after a thread has taken the lock, which was announced or not;
 * `lapsed`: the others' turn that is over. */
static inline uint32_t taken(const struct mode *mode, uint32_t word,
                             bool announced, uint32_t lapsed)
{
  uint32_t next =
      word + mode->add + ((word & WATCHED) != 0 ? mode->add_watched : 0);

  if (announced || mode == &write_mode)
    next &= ~READERS_NEXT;
  if (announced)
    next |= mode->inherit;
  next &= ~lapsed;
  /* Nobody would wake them; or it is before the second step of a write unlock,
   * which is not to make it the readers' turn when they have been. */
  if (mode == &read_mode && (announced || lapsed != 0) &&
      (next & WRITERS_WAIT) == 0)
    next &= ~READERS_WAIT;
  return tidy(next);
}

#endif

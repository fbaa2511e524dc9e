/*
 * Cancellation tokens: who waits with one stops waiting when any thread cancels
 * it.
 *
 * A thread that is about to sleep tells the token how it is woken, looks
 * whether the token was cancelled, sleeps, and takes that back. Who cancels
 * first says so, then wakes all who are there, again and again until they have
 * left: a thread that sleeps on a word (sync/park.h) may have looked at the
 * token, and not be asleep yet, when the first wake-up comes. So nobody who
 * waits looks at a clock, and who cancels waits for moments.
 *
 * LOCK ORDER: the token's mutex comes before that of a flight, and before the
 * buckets of park_pthread.c; no lock of the library's is held where it is taken
 * but shard locks.
 */
#ifndef CMAP__SYNC_TOKEN_H
#define CMAP__SYNC_TOKEN_H

#include <pthread.h>
#include <stdbool.h>

#include "base/atomics.h"
#include "base/compiler.h"
#include "base/system.h"
#include "cmap.h"

/* A thread that sleeps, or is about to; on its stack. */
struct cmap__sleeper {
  struct cmap__sleeper *next, *previous; /* under the token's mutex */
  void (*wake)(struct cmap__sleeper *sleeper);
  void *at; /* what it sleeps on, for `wake` */
};

struct cmap_token {
  pthread_mutex_t mutex;          /* guards all below */
  struct cmap__sleeper *sleepers; /* in any order */
  struct cmap__event event;       /* `seen` is -1: nobody has asked */
  _Atomic bool canceled; /* atomic, written once under the mutex [T1] */
};

/* NULL, for a call that has none, is never cancelled. */
static inline bool cmap__token_is_canceled(const struct cmap_token *token)
{
  return cmap__unlikely(token != NULL) &&
         cmap__load_acquire(&token->canceled); /* [T1] */
}

/* Before a sleep, and the look at the token; and after it. */
void cmap__token_enter(struct cmap_token *token, struct cmap__sleeper *sleeper);
void cmap__token_leave(struct cmap_token *token, struct cmap__sleeper *sleeper);

#endif

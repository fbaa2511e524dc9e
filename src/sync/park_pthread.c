/*
 * Parking on POSIX mutexes and condition variables: the portable build, and
 * the reference that the futex build is compared with.
 *
 * A static table of buckets, found by the address of the word. Words that
 * share a bucket wake each other for nothing, which callers bear.
 *
 * Invariants
 *   1. A word is compared, and the thread put to sleep, under the mutex of its
 *      bucket; a wake-up takes that mutex. That is invariant 1 of park.h.
 *   2. A wake-up is a broadcast, whatever the number asked for, and with the
 *      mutex held: pthread_cond_signal may lose a wake-up (glibc bug 25847,
 *      mended in 2.41), and one sleeper of a shared bucket might be the wrong
 *      one.
 *
 * Empty without CMAP_LOCK_PTHREAD: park_futex.c serves then.
 *
 * Lock order: the mutex of a bucket is innermost; nothing is called under it.
 */
#include "sync/park.h"

#include <pthread.h>

#include "base/atomics.h"
#include "base/compiler.h"

#ifdef CMAP_LOCK_PTHREAD

/* Enough that busy locks rarely meet; the table takes 6 KiB. */
#  define BUCKET_BITS 6
#  define BUCKETS     (1 << BUCKET_BITS)

/* 2^32 divided by the golden ratio: spreads addresses (Knuth, TAOCP 6.4). */
#  define SPREAD UINT32_C(2654435769)

struct bucket {
  pthread_mutex_t mutex;
  pthread_cond_t woken; /* broadcast under the mutex */
} CMAP__ALIGNED(CMAP__CACHE_LINE);

static struct bucket buckets[BUCKETS];
static pthread_once_t buckets_once = PTHREAD_ONCE_INIT;

static void buckets_init(void)
{
  for (int i = 0; i < BUCKETS; i++) {
    pthread_mutex_init(&buckets[i].mutex, NULL);
    (void)cmap__cond_init(&buckets[i].woken);
  }
}

static struct bucket *bucket_of(_Atomic uint32_t *word)
{
  uint32_t line = (uint32_t)((uintptr_t)word / sizeof *word);

  pthread_once(&buckets_once, buckets_init);
  return &buckets[(line * SPREAD) >> (32 - BUCKET_BITS)];
}

enum cmap__park_result cmap__park_wait(_Atomic uint32_t *word,
                                       uint32_t expected, uint32_t class_mask,
                                       uint64_t deadline_ns)
{
  struct bucket *bucket = bucket_of(word);
  enum cmap__park_result result = CMAP__PARK_WOKEN;
  int cancel;

  /* A thread that is cancelled here would take the mutex with it. */
  (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
  (void)class_mask; /* every wake-up reaches every class */
  cmap__park_begin();
  pthread_mutex_lock(&bucket->mutex);
  /*
   * Relaxed: a waker changes the word before it takes the mutex. If it comes
   * before us the mutex shows us its change, if after it finds us asleep.
   */
  if (cmap__load_relaxed(word) != expected)
    result = CMAP__PARK_CHANGED;
  else if (!cmap__cond_wait(&bucket->woken, &bucket->mutex, deadline_ns) &&
           cmap__now_ns() >= deadline_ns)
    result = CMAP__PARK_TIMEDOUT;
  pthread_mutex_unlock(&bucket->mutex);
  (void)pthread_setcancelstate(cancel, NULL);
  return result;
}

void cmap__park_alone(void)
{
  static const pthread_once_t never = PTHREAD_ONCE_INIT;

  /* They are made anew: another thread may have had a mutex, and condition
   * variables would wait for their sleepers. */
  buckets_once = never;
}

void cmap__park_wake(_Atomic uint32_t *word, uint32_t class_mask, int how_many)
{
  struct bucket *bucket = bucket_of(word);

  (void)class_mask;
  (void)how_many;
  pthread_mutex_lock(&bucket->mutex);
  pthread_cond_broadcast(&bucket->woken);
  pthread_mutex_unlock(&bucket->mutex);
}

#endif

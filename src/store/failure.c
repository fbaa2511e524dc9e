/*
 * Remembering failures, and forgetting them.
 */
#include "store/failure.h"

#include "store/cancel.h"
#include "store/store.h"

/* Some 6 MB with short keys. */
#define DEFAULT_MOST ((size_t)65536)

bool cmap__failures_begin(struct cmap__failures *failures, size_t most)
{
  failures->most = most > 0 ? most : DEFAULT_MOST;
  return pthread_mutex_init(&failures->mutex, NULL) == 0;
}

void cmap__failures_end(struct cmap__failures *failures)
{
  (void)pthread_mutex_destroy(&failures->mutex);
}

/* Mutex held. */
static void append(struct cmap__failures *failures,
                   struct cmap__failure *failure)
{
  failure->next = NULL;
  failure->previous = failures->last;
  if (failures->last != NULL)
    failures->last->next = failure;
  else
    failures->first = failure;
  failures->last = failure;
}

/* Mutex held. */
static void unlink_failure(struct cmap__failures *failures,
                           struct cmap__failure *failure)
{
  if (failure->next != NULL)
    failure->next->previous = failure->previous;
  else
    failures->last = failure->previous;
  if (failure->previous != NULL)
    failure->previous->next = failure->next;
  else
    failures->first = failure->next;
}

/* Does the status say that something was in the way, rather than what will be
 * so the next time? */
static bool passes(enum cmap_status status)
{
  return status == CMAP_BUSY || status == CMAP_TIMEDOUT ||
         status == CMAP_ECANCELED || status == CMAP_EDEADLK ||
         status == CMAP_EABANDONED || status == CMAP_ENOMEM ||
         status == CMAP_FROZEN;
}

bool cmap__failure_remember(struct cmap__request *request,
                            enum cmap_status status, uint64_t now)
{
  struct cmap__failures *failures = &request->store->failures;
  struct cmap__failure *failure;

  if (request->policy.negative_ns == 0 || passes(status))
    return false;
  failure = cmap__store_alloc(request->store, sizeof *failure,
                              _Alignof(struct cmap__failure));
  if (failure == NULL)
    return false;
  failure->status = status;
  failure->hash = request->call.probe.hash;
  failure->until_ns = cmap__later(now, request->policy.negative_ns);
  pthread_mutex_lock(&failures->mutex);
  append(failures, failure);
  cmap__add_relaxed(&failures->count, 1); /* read as a hint and a statistic */
  pthread_mutex_unlock(&failures->mutex);
  cmap__payload_store(cmap__request_word(request),
                      cmap__word_of(failure, CMAP__WORD_FAILURE));
  return true;
}

void cmap__failure_drop(struct cmap_store *store, struct cmap__failure *failure)
{
  struct cmap__failures *failures = &store->failures;

  pthread_mutex_lock(&failures->mutex);
  unlink_failure(failures, failure);
  cmap__sub_relaxed(&failures->count, 1);
  pthread_mutex_unlock(&failures->mutex);
  cmap__store_free(store, failure, sizeof *failure,
                   _Alignof(struct cmap__failure));
}

static bool is_to_go(const struct cmap__failures *failures,
                     const struct cmap__failure *failure, uint64_t now)
{
  return failure->until_ns <= now ||
         cmap__load_relaxed(&failures->count) > failures->most;
}

/* The oldest failure, if it is to go: its hash and its word. */
static bool next_to_go(struct cmap__failures *failures, uint64_t now,
                       uint64_t *hash, uint64_t *word)
{
  const struct cmap__failure *first;
  bool goes;

  pthread_mutex_lock(&failures->mutex);
  first = failures->first;
  goes = first != NULL && is_to_go(failures, first, now);
  if (goes) {
    *hash = first->hash;
    *word = cmap__word_of(first, CMAP__WORD_FAILURE);
  }
  pthread_mutex_unlock(&failures->mutex);
  return goes;
}

/* Takes the failure with the word out of the map. False: it is not there any
 * more, or is another one at its address, which stays. */
static bool take(struct cmap_store *store, uint64_t now, uint64_t hash,
                 uint64_t word)
{
  struct cmap__locked locked;
  struct cmap__taken taken;
  struct cmap__place place;

  cmap__store_lock_hash(store, hash, &locked);
  if (cmap__shard_find_word(&store->map->table.layout, locked.shard, hash, word,
                            &place) &&
      is_to_go(&store->failures, cmap__word_pointer(word), now)) {
    cmap__store_take(store, &locked, &place, &taken);
    cmap__key_words_destroy(&store->map->table.layout, taken.words);
    return true;
  }
  cmap__table_unlock(&locked);
  return false;
}

/* It is not to be found: if it is still there it makes room for the next. */
static void put_off(struct cmap__failures *failures, uint64_t word)
{
  struct cmap__failure *failure = cmap__word_pointer(word);

  pthread_mutex_lock(&failures->mutex);
  if (failures->first == failure) {
    unlink_failure(failures, failure);
    append(failures, failure);
  }
  pthread_mutex_unlock(&failures->mutex);
}

size_t cmap__failures_sweep(struct cmap_store *store, size_t steps)
{
  struct cmap__failures *failures = &store->failures;
  size_t count = cmap__load_relaxed(&failures->count);
  uint64_t now, hash, word;
  int cancel;

  if (count == 0)
    return 0;
  now = cmap__store_now(store);
  cancel = cmap__cancel_disable(); /* keys have destructors */
  for (; steps > 0 && count > 0; steps--, count--) {
    if (!next_to_go(failures, now, &hash, &word)) {
      count = 0;
      break;
    }
    if (take(store, now, hash, word))
      cmap__failure_drop(store, cmap__word_pointer(word));
    else
      put_off(failures, word);
  }
  cmap__cancel_restore(cancel);
  return count;
}

/*
 * Making, cancelling and destroying tokens.
 */
#include "sync/token.h"

#include <errno.h>
#include <sched.h>
#include <time.h>

#include "base/alloc.h"
#include "base/check.h"

/* After so many rounds of waking the others get more than a yield. */
#define YIELDS 16
#define NAP_NS 20000

enum cmap_status cmap_token_create(struct cmap_token **token)
{
  struct cmap_token *fresh;

  if (CMAP__MISSING(token))
    return CMAP_EINVAL;
  *token = NULL;
  fresh = cmap__alloc_zeroed(&cmap__allocator_default, sizeof *fresh,
                             CMAP__CACHE_LINE);
  if (fresh == NULL)
    return CMAP_ENOMEM;
  if (pthread_mutex_init(&fresh->mutex, NULL) != 0) {
    cmap__free(&cmap__allocator_default, fresh, sizeof *fresh,
               CMAP__CACHE_LINE);
    return CMAP_ENOMEM;
  }
  fresh->event.seen = -1;
  *token = fresh;
  return CMAP_OK;
}

enum cmap_status cmap_token_destroy(struct cmap_token *token)
{
  bool busy;

  if (token == NULL)
    return CMAP_OK;
  pthread_mutex_lock(&token->mutex);
  busy = token->sleepers != NULL;
  pthread_mutex_unlock(&token->mutex);
  if (busy)
    return CMAP_BUSY;
  if (token->event.seen >= 0)
    cmap__event_close(&token->event);
  (void)pthread_mutex_destroy(&token->mutex);
  cmap__free(&cmap__allocator_default, token, sizeof *token, CMAP__CACHE_LINE);
  return CMAP_OK;
}

/* Wakes all who are there; mutex held. */
static void wake_all(const struct cmap_token *token)
{
  struct cmap__sleeper *sleeper = token->sleepers;

  for (; sleeper != NULL; sleeper = sleeper->next)
    sleeper->wake(sleeper);
}

/* Lets others run; the longer it takes, the more of them. */
static void give_way(unsigned round)
{
  const struct timespec nap = {.tv_nsec = NAP_NS};

  if (round < YIELDS)
    (void)sched_yield();
  else
    (void)nanosleep(&nap, NULL);
}

void cmap_token_cancel(struct cmap_token *token)
{
  int saved_errno = errno;
  int cancel;

  if (token == NULL)
    return;
  /* It sleeps with the others' stacks in its list. */
  (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
  pthread_mutex_lock(&token->mutex);
  if (!cmap__load_relaxed(&token->canceled)) {   /* mutex held */
    cmap__store_release(&token->canceled, true); /* [T1] */
    if (token->event.seen >= 0)
      cmap__event_set(&token->event);
  }
  /* Ends: who is there has looked at the token before, and leaves when it is
   * woken; who comes from now on does not sleep. */
  for (unsigned round = 0; token->sleepers != NULL; round++) {
    wake_all(token);
    pthread_mutex_unlock(&token->mutex);
    give_way(round);
    pthread_mutex_lock(&token->mutex);
  }
  pthread_mutex_unlock(&token->mutex);
  (void)pthread_setcancelstate(cancel, NULL);
  errno = saved_errno;
}

bool cmap_token_is_canceled(const struct cmap_token *token)
{
  return cmap__token_is_canceled(token);
}

enum cmap_status cmap_token_fd(struct cmap_token *token, int *fd)
{
  enum cmap_status status = CMAP_OK;
  int cancel;

  if (CMAP__MISSING(token) || CMAP__MISSING(fd))
    return CMAP_EINVAL;
  /* What writes to a descriptor may be cancelled, with the mutex. */
  (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
  pthread_mutex_lock(&token->mutex);
  if (token->event.seen < 0) {
    if (!cmap__event_open(&token->event))
      status = CMAP_ENOMEM;
    else if (cmap__load_relaxed(&token->canceled)) /* mutex held */
      cmap__event_set(&token->event);
  }
  if (status == CMAP_OK)
    *fd = token->event.seen;
  pthread_mutex_unlock(&token->mutex);
  (void)pthread_setcancelstate(cancel, NULL);
  return status;
}

void cmap__token_enter(struct cmap_token *token, struct cmap__sleeper *sleeper)
{
  pthread_mutex_lock(&token->mutex);
  sleeper->previous = NULL;
  sleeper->next = token->sleepers;
  if (sleeper->next != NULL)
    sleeper->next->previous = sleeper;
  token->sleepers = sleeper;
  pthread_mutex_unlock(&token->mutex);
}

void cmap__token_leave(struct cmap_token *token, struct cmap__sleeper *sleeper)
{
  pthread_mutex_lock(&token->mutex);
  if (sleeper->next != NULL)
    sleeper->next->previous = sleeper->previous;
  if (sleeper->previous != NULL)
    sleeper->previous->next = sleeper->next;
  else
    token->sleepers = sleeper->next;
  pthread_mutex_unlock(&token->mutex);
}

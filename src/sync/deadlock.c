/*
 * The search for cycles of waits.
 */
#include "sync/deadlock.h"

#include "sync/bias.h"

#include <pthread.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct cmap__wait *waits; /* under mutex: those published */

/* How a hold stands in the way of a wait. */
enum edge {
  NO_EDGE,
  HARD_EDGE, /* the wait lasts as long as the hold */
  SOFT_EDGE, /* both read: only a waiting writer is between them */
  LEND_EDGE  /* what a writer waits for can be had from who holds it */
};

static enum edge edge_to(const struct cmap__wait *wait,
                         const struct cmap__hold *hold)
{
  if (!cmap__hold_covers(hold, wait->object, wait->hash) ||
      (wait->over != NULL && cmap__load_acquire(wait->over)))
    return NO_EDGE;
  if (wait->mode == CMAP__WRITE && hold->mode == CMAP__LEND)
    return LEND_EDGE;
  if (wait->mode == CMAP__WRITE || hold->mode == CMAP__WRITE)
    return HARD_EDGE;
  return wait->lock == NULL || wait->admitted ? NO_EDGE : SOFT_EDGE;
}

/* The strongest edge from a wait to what a thread holds. */
static enum edge edge_to_any(const struct cmap__wait *wait,
                             const struct cmap__hold *holds, enum edge found)
{
  for (; holds != NULL && found != HARD_EDGE; holds = holds->outer) {
    enum edge edge = edge_to(wait, holds);
    if (edge != NO_EDGE)
      found = edge;
  }
  return found;
}

static enum edge edge_between(const struct cmap__wait *wait,
                              const struct cmap__holder *holder)
{
  enum edge edge = edge_to_any(wait, holder->calls, NO_EDGE);

  if (holder->seats != NULL)
    edge = edge_to_any(wait, holder->seats->listed, edge);
  return edge_to_any(wait, holder->guards, edge);
}

static void unlink_wait(struct cmap__wait *wait)
{
  if (wait->next != NULL)
    wait->next->prev = wait->prev;
  if (wait->prev != NULL)
    wait->prev->next = wait->next;
  else
    waits = wait->next;
}

static void link_wait(struct cmap__wait *wait)
{
  wait->prev = NULL;
  wait->next = waits;
  if (waits != NULL)
    waits->prev = wait;
  waits = wait;
}

/*
 * Is there a way from `from` along hard edges back to its own holds, through
 * waits without a deadline?
 */
static bool closes_cycle(struct cmap__wait *from)
{
  struct cmap__wait *last = from;

  for (struct cmap__wait *w = waits; w != NULL; w = w->next)
    w->seen = false;
  from->queued = NULL;
  from->seen = true;
  for (struct cmap__wait *at = from; at != NULL; at = at->queued) {
    if (edge_between(at, from->holder) == HARD_EDGE)
      return true;
    for (struct cmap__wait *w = waits; w != NULL; w = w->next) {
      if (w->seen || w->timed || edge_between(at, w->holder) != HARD_EDGE)
        continue;
      w->seen = true;
      w->queued = NULL;
      last->queued = w;
      last = w;
    }
  }
  return false;
}

/*
 * A wait that could be ended, on a way from `from` back to its own holds: a
 * reader's that could be let in past a writer, or a writer's that could be lent
 * what it waits for; NULL if there is none. A wait is visited at most twice:
 * first when it is reached, and once more when it is reached over such a wait.
 */
static struct cmap__wait *find_soluble(struct cmap__wait *from)
{
  struct cmap__wait *last = from;

  for (struct cmap__wait *w = waits; w != NULL; w = w->next) {
    w->seen = w->seen_soft = false;
    w->soluble = NULL;
    w->queued = NULL;
  }
  from->seen = true;
  for (struct cmap__wait *at = from; at != NULL;) {
    struct cmap__wait *next;
    for (struct cmap__wait *w = waits; w != NULL; w = w->next) {
      enum edge edge = edge_between(at, w->holder);
      struct cmap__wait *soluble =
          edge != HARD_EDGE && at->soluble == NULL ? at : at->soluble;
      if (edge == NO_EDGE)
        continue;
      if (w == from && soluble != NULL)
        return soluble;
      if (soluble == NULL ? w->seen : w->seen_soft)
        continue;
      w->seen = true;
      w->seen_soft = soluble != NULL;
      w->soluble = soluble;
      /* Still in the queue: it will be visited with what it has now. */
      if (w == last || w->queued != NULL)
        continue;
      w->queued = NULL;
      last->queued = w;
      last = w;
    }
    next = at->queued;
    at->queued = NULL;
    at = next;
  }
  return NULL;
}

/* All who hold what the writer waits for, and would lend it, do. That changes
 * the lock's word: the writer is woken, or does not go to sleep. */
static void lend_to(const struct cmap__wait *wait)
{
  for (struct cmap__wait *w = waits; w != NULL; w = w->next) {
    if (edge_between(wait, w->holder) != LEND_EDGE)
      continue;
    for (struct cmap__hold *h = w->holder->calls; h != NULL; h = h->outer) {
      struct cmap__lending *lending = (struct cmap__lending *)h;
      if (edge_to(wait, h) == LEND_EDGE)
        lending->lend(lending, w->holder, wait->hash);
    }
  }
}

/* Ends all cycles that can be ended without refusing anybody. */
static enum cmap__lock_result solve(struct cmap__wait *from)
{
  enum cmap__lock_result result = CMAP__LOCK_OK;
  struct cmap__wait *wait;

  /* Ends: each round admits one reader more, or somebody holds less. */
  while ((wait = find_soluble(from)) != NULL) {
    if (wait->mode == CMAP__WRITE) {
      lend_to(wait);
      continue;
    }
    wait->admitted = true;
    cmap__shardlock_admit_readers(wait->lock);
    if (wait == from)
      result = CMAP__LOCK_AGAIN;
  }
  return result;
}

/* The search. */
static enum cmap__lock_result verdict(struct cmap__wait *wait)
{
  if (wait->next == NULL && wait->prev == NULL) /* nobody else waits */
    return edge_between(wait, wait->holder) == HARD_EDGE ? CMAP__LOCK_DEADLOCK
                                                         : CMAP__LOCK_OK;
  return closes_cycle(wait) ? CMAP__LOCK_DEADLOCK : solve(wait);
}

enum cmap__lock_result cmap__deadlock_enter(struct cmap__wait *wait)
{
  enum cmap__lock_result result;

  wait->holder = &cmap__self;
  (void)cmap__seats_list(&cmap__self); /* others follow it */
  wait->admitted = false;
  pthread_mutex_lock(&mutex);
  link_wait(wait);
  result = verdict(wait);
  if (result != CMAP__LOCK_OK)
    unlink_wait(wait);
  pthread_mutex_unlock(&mutex);
  return result;
}

enum cmap__lock_result cmap__deadlock_again(struct cmap__wait *wait)
{
  enum cmap__lock_result result;

  pthread_mutex_lock(&mutex);
  wait->admitted = false; /* another reader may have had the turn */
  result = solve(wait);
  pthread_mutex_unlock(&mutex);
  return result;
}

void cmap__deadlock_leave(struct cmap__wait *wait)
{
  pthread_mutex_lock(&mutex);
  unlink_wait(wait);
  pthread_mutex_unlock(&mutex);
}

void cmap__deadlock_stop(void)
{
  pthread_mutex_lock(&mutex);
}

void cmap__deadlock_go_on(bool alone)
{
  if (alone)
    waits = NULL;
  pthread_mutex_unlock(&mutex);
}

#include "store_history.h"

#include <stdio.h>
#include <stdlib.h>

#include "checks.h"

/* Events that one operation, with all that is nested in it, may log. */
#define SPARE 200

static void *zeroed(size_t count, size_t size)
{
  void *memory = calloc(count, size);

  if (memory == NULL)
    abort();
  return memory;
}

void history_begin(struct history *history, uint32_t keys, unsigned logs,
                   size_t room)
{
  history->keys = keys;
  history->room = room;
  history->logs = logs;
  history->objects = (uint32_t)(room * logs) + 1;
  history->log = zeroed(logs, sizeof *history->log);
  history->failures = zeroed(history->objects, sizeof *history->failures);
  for (unsigned i = 0; i < logs; i++)
    history->log[i].events = zeroed(room, sizeof(struct event));
  atomic_store(&history->clock, 0);
  atomic_store(&history->next_object, 1);
  atomic_store(&history->next_failure, 1);
}

void history_end(struct history *history)
{
  for (unsigned i = 0; i < history->logs; i++)
    free(history->log[i].events);
  free(history->log);
  free(history->failures);
}

uint64_t history_log(struct history *history, unsigned log, unsigned what,
                     uint32_t key, uint64_t begin, uint32_t number)
{
  struct history_log *l = &history->log[log];
  uint64_t now = history_now(history);

  if (l->count < history->room)
    l->events[l->count++] = (struct event){what, key, begin, now, number};
  else
    CHECK_NEVER("the log is full");
  return now;
}

bool history_has_room(const struct history *history, unsigned log)
{
  return history->log[log].count + SPARE < history->room;
}

/* ------------------------------------------------------------------------
 * The check of one key
 * ------------------------------------------------------------------------ */

/* While an object was certainly there. */
struct span {
  uint64_t from, to;
  uint32_t number;
};

struct one_key {
  uint32_t key;
  struct event *events; /* of the key, by their begin */
  size_t count;
  struct span *spans; /* by their begin */
  size_t span_count;
};

static int by_begin(const void *a, const void *b)
{
  const struct event *one = a, *other = b;

  return one->begin < other->begin ? -1 : one->begin > other->begin;
}

static int by_from(const void *a, const void *b)
{
  const struct span *one = a, *other = b;

  return one->from < other->from ? -1 : one->from > other->from;
}

static void contradiction(const struct one_key *k, const char *what,
                          uint64_t begin, uint64_t end, uint64_t from,
                          uint64_t to)
{
  fprintf(stderr, "key %u: %s: %llu-%llu and %llu-%llu\n", k->key, what,
          (unsigned long long)begin, (unsigned long long)end,
          (unsigned long long)from, (unsigned long long)to);
  check_failed(__FILE__, __LINE__, what);
}

static void gather_events(const struct history *history, struct one_key *k)
{
  k->count = 0;
  for (unsigned i = 0; i < history->logs; i++) {
    for (size_t j = 0; j < history->log[i].count; j++) {
      const struct event *event = &history->log[i].events[j];
      if (event->key == k->key || event->key == EVERY_KEY)
        k->events[k->count++] = *event;
    }
  }
  qsort(k->events, k->count, sizeof *k->events, by_begin);
}

/* all: one for each object, empty. */
static void gather_spans(struct one_key *k, struct span *all)
{
  k->span_count = 0;
  for (size_t i = 0; i < k->count; i++) {
    const struct event *event = &k->events[i];
    struct span *span;
    if (!(event->what & (EVENT_SEEN | EVENT_RETURNED)))
      continue;
    span = &all[event->number];
    if (span->number == 0)
      *span = (struct span){UINT64_MAX, 0, event->number};
    if ((event->what & EVENT_SEEN) && event->end < span->from)
      span->from = event->end;
    if (event->begin > span->to)
      span->to = event->begin;
  }
  for (size_t i = 0; i < k->count; i++) {
    struct span *span;
    if (!(k->events[i].what & (EVENT_SEEN | EVENT_RETURNED)))
      continue;
    span = &all[k->events[i].number];
    if (span->number == 0)
      continue;
    if (span->from < span->to)
      k->spans[k->span_count++] = *span;
    span->number = 0; /* once */
  }
  qsort(k->spans, k->span_count, sizeof *k->spans, by_from);
}

static void check_spans(const struct one_key *k)
{
  size_t next = 0;

  for (size_t i = 1; i < k->span_count; i++)
    if (k->spans[i].from < k->spans[i - 1].to)
      contradiction(k, "two objects at once", k->spans[i - 1].from,
                    k->spans[i - 1].to, k->spans[i].from, k->spans[i].to);
  for (size_t i = 0; i < k->count; i++) {
    const struct event *event = &k->events[i];
    if (!(event->what & EVENT_BREAKS))
      continue;
    while (next < k->span_count && k->spans[next].from < event->begin)
      next++;
    if (next > 0 && event->end < k->spans[next - 1].to)
      contradiction(k, "an object was there all the time", event->begin,
                    event->end, k->spans[next - 1].from, k->spans[next - 1].to);
  }
}

static void check_constructions(const struct one_key *k)
{
  const struct event *last = NULL;
  uint64_t taken = 0; /* the latest end of what may have taken one out */

  for (size_t i = 0; i < k->count; i++) {
    const struct event *event = &k->events[i];
    if ((event->what & EVENT_TAKES) && event->end > taken)
      taken = event->end;
    if (!(event->what & EVENT_CONSTRUCTION))
      continue;
    if (last != NULL && last->end > event->begin && taken < last->number &&
        taken < event->number)
      contradiction(k, "two constructions at once", last->begin, last->end,
                    event->begin, event->end);
    last = event; /* those before were taken out, too, or are over */
  }
}

static void check_shared(const struct history *history, const struct one_key *k)
{
  for (size_t i = 0; i < k->count; i++) {
    const struct event *event = &k->events[i];
    const struct failure *failure;
    if (!(event->what & EVENT_SHARED))
      continue;
    failure = &history->failures[event->number];
    if (failure->key != k->key || !failure->share ||
        (failure->over != 0 && event->begin > failure->over))
      contradiction(k, "the status of another construction", event->begin,
                    event->end, failure->key, failure->over);
  }
}

void history_check(struct history *history)
{
  struct span *all = zeroed(history->objects, sizeof *all);
  struct one_key k = {
      .events = zeroed(history->objects, sizeof *k.events),
      .spans = zeroed(history->objects, sizeof *k.spans),
  };

  for (k.key = 0; k.key < history->keys && !checks_failed(); k.key++) {
    gather_events(history, &k);
    gather_spans(&k, all);
    check_spans(&k);
    check_constructions(&k);
    check_shared(history, &k);
  }
  free(all);
  free(k.events);
  free(k.spans);
}

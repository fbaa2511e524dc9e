/*
 * What calls on a store have returned, and whether that can be.
 *
 * Threads log events with the moments, of one clock, between which they were.
 * An object enters the store once and leaves it once. So it was certainly
 * there from the end of the first call that found it to the begin of the last
 * call that did. Then
 *
 *   1. no two objects of a key were there at once;
 *   2. nothing within that time has found the key absent, built its object,
 *      or has removed or replaced it (so that, too, no call which begins when
 *      a remove has returned gets what was seen before the remove);
 *   3. of two constructions of a key that overlap, something took one out of
 *      the store before the second began, and since the calls did;
 *   4. who gets the status of another's construction has asked for its key
 *      before that call returned, and it shares its failures.
 *
 * Concurrency: each log belongs to one thread; the clock to all; the check
 * comes when all threads are done.
 */
#ifndef CMAP_TEST_STORE_HISTORY_H
#define CMAP_TEST_STORE_HISTORY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What an event says; they may be combined. */
enum {
  EVENT_SEEN = 1,          /* the object was in the store then */
  EVENT_RETURNED = 2,      /* it was returned, and may never have been there */
  EVENT_BREAKS = 4,        /* an object of the key was not there at a moment */
  EVENT_TAKES = 8,         /* a construction in flight was taken out */
  EVENT_CONSTRUCTION = 16, /* all that time */
  EVENT_SHARED = 32        /* got the status of construction `number` */
};

/* The key of an event about all keys. */
#define EVERY_KEY UINT32_MAX

struct event {
  unsigned what;
  uint32_t key;
  uint64_t begin, end;
  uint32_t number; /* of an object; of a construction that failed; for
                      EVENT_CONSTRUCTION the begin of its call */
};

struct history_log {
  struct event *events;
  size_t count;
};

/* A construction that has failed with its number as a status. */
struct failure {
  uint32_t key;
  bool share;
  uint64_t over; /* when its call had returned */
};

struct history {
  uint32_t keys;
  size_t room;      /* of each log */
  uint32_t objects; /* numbers of objects, and of failures, are below */
  unsigned logs;
  struct history_log *log;
  struct failure *failures;
  _Atomic uint64_t clock;
  _Atomic uint32_t next_object, next_failure;
};

void history_begin(struct history *history, uint32_t keys, unsigned logs,
                   size_t room);
void history_end(struct history *history);

static inline uint64_t history_now(struct history *history)
{
  return atomic_fetch_add(&history->clock, 1) + 1;
}

/* Logs an event that ends now. Gives the moment. */
uint64_t history_log(struct history *history, unsigned log, unsigned what,
                     uint32_t key, uint64_t begin, uint32_t number);

/* Is there room for some more events? */
bool history_has_room(const struct history *history, unsigned log);

/* Checks it all (CHECK), and prints what contradicts. */
void history_check(struct history *history);

#endif

/*
 * Linearizability: can what a few threads did to two keys be put into an order
 * that one thread alone could have done, and that keeps the order of calls of
 * which one returned before the other began?
 *
 * The search is that of Wing and Gong ("Testing and verifying concurrent
 * objects", 1993), with Lowe's memory ("Testing for linearizability", 2017):
 * after the same calls and with the same values it does not go on twice. Both
 * keys are searched together, so that calls on both count as one moment.
 */
#ifndef CMAP_TEST_LINEAR_H
#define CMAP_TEST_LINEAR_H

#include <cmap.h>

#define LINEAR_KEYS 2
#define LINEAR_MAX  32         /* calls of one history */
#define LINEAR_NONE UINT64_MAX /* the value of an absent key */

enum linear_kind {
  /* Of one key. */
  LINEAR_INSERT,
  LINEAR_INSERT_NEW,
  LINEAR_GET_OR_INSERT,
  LINEAR_GET,
  LINEAR_CONTAINS,
  LINEAR_REMOVE,
  LINEAR_COMPARE_EXCHANGE,
  LINEAR_FETCH_ADD,
  LINEAR_SWAP,
  LINEAR_COMPUTE, /* present: removed; absent: gets the value */
  LINEAR_GUARD,   /* read twice under one read guard */
  LINEAR_ENTRY,   /* present: two more, in two steps; absent: the value */
  /* Of both. */
  LINEAR_RENAME,
  LINEAR_SWAP_VALUES,
  LINEAR_READ_BOTH, /* under cmap_lock_many; where one is absent, `out` and
                       `other` say only which */
  LINEAR_HAND_ON,   /* the same, as entries. The first is present: it goes, and
                       the second gets its value; absent: gets the value */
  LINEAR_SNAPSHOT,
  /* Batches of one call on each key, which are noted as two calls. */
  LINEAR_GET_MANY,
  LINEAR_CONTAINS_MANY,
  LINEAR_INSERT_MANY,
  LINEAR_REMOVE_MANY,
  LINEAR_FETCH_ADD_MANY,
  LINEAR_KINDS
};

/* One call, as its thread saw it. */
struct linear_call {
  enum linear_kind kind;
  bool follows;      /* the call before it, of the same thread */
  unsigned key;      /* of two keys the first */
  uint64_t value;    /* given */
  uint64_t expected; /* given */
  uint64_t out;      /* what came out; LINEAR_NONE: nothing */
  uint64_t other;    /* the same of the second key */
  enum cmap_status status;
  uint64_t begin; /* ns, before the call */
  uint64_t end;   /* ns, after it */
};

struct linear_state {
  uint64_t value[LINEAR_KEYS];
};

struct linear_history {
  const struct linear_call *calls[LINEAR_MAX]; /* each thread's in a row */
  unsigned count;
};

/*
 * Is there an order from state `from` to state `to`? True, too, if the search
 * takes too long to tell, which then counts as one more in *given_up. One
 * thread at a time.
 */
bool linear_has_order(const struct linear_history *history,
                      struct linear_state from, struct linear_state to,
                      size_t *given_up);

/*
 * Makes the call that kind, key, value and expected say, and notes the rest
 * (out and other are LINEAR_NONE before). Gives the number of calls noted: two
 * for a batch, which without room for two becomes LINEAR_GET.
 */
unsigned linear_make(struct cmap *map, const struct cmap_key *keys,
                     struct linear_call *call, bool has_room);

/* Prints a history that has none. */
void linear_print(const struct linear_history *history,
                  struct linear_state from, struct linear_state to);

#endif

/*
 * Every operation of a map, done to a test map and to the oracle alike.
 *
 * An operation makes its arguments from an id and a version, calls the
 * library, checks status, event and outputs against what the oracle foretells
 * (CHECK), and brings the oracle to the new state. It gives the status, which
 * is CMAP_ENOMEM only if the allocator has refused a request; then the oracle
 * is as it was, or, after calls that may be done in part, as the map is.
 */
#ifndef CMAP_TEST_OPERATIONS_H
#define CMAP_TEST_OPERATIONS_H

#include "oracle.h"

struct op {
  struct test_map *m;
  struct oracle *oracle;
  struct random *random;
};

typedef enum cmap_status op_fn(struct op *op, uint64_t id, uint64_t version);

struct operation {
  const char *name;
  op_fn *run;
  unsigned weight; /* how often it is drawn, relative to the others */
};

extern const struct operation operations[];
extern const size_t operations_count;

/* One of them by weight. */
const struct operation *operation_draw(struct random *random);

/*
 * Does n operations in turn, many times and on few ids, to a map of every kind
 * (map_spec_each), and compares it with the oracle.
 */
void op_exercise(op_fn *const *ops, size_t n);

/* ------------------------------------------------------------------------
 * For the operations themselves
 * ------------------------------------------------------------------------ */

/* Room for all that one operation needs. */
struct op_room {
  struct key_room key_bytes;
  struct value_room value;
  struct value_room out;
  struct cmap_key key;
  struct cmap_how how_given;
  const struct cmap_how *how; /* NULL, hashed, with a deadline, ... */
  enum cmap_event event;
  bool present; /* before the operation */
  uint64_t was; /* the version before the operation */
};

/* Are the map's values integers that cmap_fetch_add takes? */
bool op_counts(const struct op *op);

/* The value of that version of a key, as such an integer. */
uint64_t op_as_integer(struct op *op, uint64_t id, uint64_t version);

/* Makes key and how, and marks out and event. */
void op_prepare(struct op *op, uint64_t id, struct op_room *room);

/*
 * True if the call has returned the expected status. If not, checks that it
 * ran out of memory because the allocator refused it, and that the event
 * (and, where outputs must be, the marked output) are untouched.
 */
bool op_settled(struct op *op, const struct op_room *room, enum cmap_status got,
                enum cmap_status expected);

/* Checks that a value came out, and drops it. */
void op_came_out(struct op *op, struct op_room *room, uint64_t id,
                 uint64_t version);

/* Brings one id of the oracle to the map's state after a call that was done
   in part: either `old` (or absent) or `fresh`, or absent if that may be. */
void op_adopt(struct op *op, uint64_t id, uint64_t fresh, bool may_be_absent);

op_fn op_get, op_insert, op_insert_new, op_get_or_insert;
op_fn op_get_or_insert_with, op_get_or_insert_unlocked;
op_fn op_remove, op_remove_if, op_remove_if_equal;
op_fn op_compare_exchange, op_replace_if, op_swap, op_compute, op_alter;
op_fn op_fetch_add;
op_fn op_view_all, op_alter_all, op_retain, op_clear, op_reserve, op_shrink;
op_fn op_clone, op_merge, op_len_exact;
op_fn op_get_many, op_insert_many, op_remove_many, op_fetch_add_many;

#endif

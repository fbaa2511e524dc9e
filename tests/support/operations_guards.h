/*
 * The operations of guards, entries, several keys at once, add_or_update, and
 * walks, as operations.h has those of the other calls.
 *
 * An operation of several steps brings the oracle to the new state step by
 * step: one that runs out of memory has done what came before.
 */
#ifndef CMAP_TEST_OPERATIONS_GUARDS_H
#define CMAP_TEST_OPERATIONS_GUARDS_H

#include "operations.h"

extern const struct operation guard_operations[];
extern const size_t guard_operations_count;

/* operations_guards.c */
op_fn op_get_ref, op_get_mut, op_get_or_insert_ref, op_guard_remove;
op_fn op_add_or_update, op_add_or_update_unlocked;

/* operations_entry.c: a random chain of calls on one entry. */
op_fn op_entry;

/* operations_many.c */
op_fn op_lock_many, op_rename, op_swap_values;

/* operations_walks.c */
op_fn op_iter, op_scan, op_for_each, op_pop;

/* Checks the stored key that a guard or an entry shows, and the value. */
void op_check_shown(struct op *op, uint64_t id, uint64_t version,
                    struct cmap_key key, const void *value);

#endif

/*
 * Every call that takes a map and a `how`, in one form: for tests of what all
 * calls have in common (bad arguments, waiting, hashes, re-entry, statuses).
 *
 * The map has u64 keys and u64 values without callbacks. A key's value is
 * calls_value(key); calls store that value again, so that whatever call runs,
 * other calls find what they expect, except where a key was removed. Each
 * call checks (CHECK) that its outputs are right, or untouched if it fails.
 */
#ifndef CMAP_TEST_CALLS_H
#define CMAP_TEST_CALLS_H

#include "checks.h"

enum {
  CALL_KEYED = 1,   /* takes a key */
  CALL_WRITES = 2,  /* needs the write lock, whether the key is there or not */
  CALL_MAY_ADD = 4, /* needs the write lock if the key is absent */
  CALL_FREE = 8,    /* a lock-free read if the key is there (and, unless
                       CALL_MAY_ADD, if it is not) */
  CALL_CALLBACK = 16, /* calls the caller back, under the lock */
  CALL_REMOVES = 32,  /* the key is absent after it */
  CALL_TWO_MAPS = 64, /* makes a second map */
  CALL_NEAR = 256,    /* without a key, but locks the shard of `key` only */
  CALL_PASSES = 128   /* passes over locked shards, but for the first */
};

typedef enum cmap_status call_fn(struct cmap *map, struct cmap_key key,
                                 const struct cmap_how *how);

struct call {
  const char *name;
  unsigned traits;
  enum cmap_status if_present; /* what it returns */
  enum cmap_status if_absent;
  call_fn *run;
};

extern const struct call calls[];
extern const size_t calls_count;

/* Calls that take the read lock to keep it, and which a thread that holds the
   shard to write is refused: get_ref, get_or_insert_ref, lock_many to read. */
extern const struct call ref_calls[];
extern const size_t ref_calls_count;

/* Those of `calls` that calls_guards.c has. */
call_fn run_add_or_update, run_add_or_update_unlocked;
call_fn run_get_mut, run_guard_remove;
call_fn run_entry, run_entry_remove;
call_fn run_lock_many_write, run_lock_many_entry, run_lock_keys;
call_fn run_rename, run_swap_values;

/* Those that calls_walks.c has. */
call_fn run_scan, run_for_each, run_iter_write;
call_fn run_snapshot, run_check, run_drain, run_pop;
call_fn run_get_many, run_contains_many, run_insert_many, run_remove_many;
call_fn run_fetch_add_many;

static inline bool call_has(const struct call *call, unsigned trait)
{
  return (call->traits & trait) != 0;
}

/* Does a call on a present key change nothing, and need no write lock? */
static inline bool call_only_reads(const struct call *call)
{
  return !call_has(call, CALL_WRITES | CALL_MAY_ADD);
}

/* The value of a key; 0 for keys that are not 8 bytes. */
uint64_t calls_value(struct cmap_key key);

/* A map for the calls, with the keys 0 ... n - 1. */
struct cmap *calls_map_with(size_t n, unsigned flags); /* of the options */
static inline struct cmap *calls_map(size_t n)
{
  return calls_map_with(n, 0);
}

/* A key below n that lives in another shard than `key`; asserts that there
   is one. */
uint64_t calls_other_shard(struct cmap *map, size_t n, uint64_t key);

#endif

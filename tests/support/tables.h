/*
 * Tables without a map around them, for tests of the table's own floor.
 *
 * A setting says which keys a table has and how their hashes are spread; keys
 * are made from numbers, so that a test can name them.
 *
 * Failures are recorded by CHECK, so that every thread may call these.
 * For tests that are linked with the library's objects only.
 */
#ifndef CMAP_TEST_TABLES_H
#define CMAP_TEST_TABLES_H

#include "checks.h"
#include "counting_alloc.h"
#include "table/replace.h"

enum spread {
  SPREAD_GOOD,     /* the library's own hash, or a good one of the user */
  SPREAD_CONSTANT, /* all keys have one hash */
  SPREAD_LOW_32,   /* no directory bits: the upper half is zero */
  SPREAD_HIGH_16,  /* directory bits only: one group, one tag */
  SPREADS
};

/* Lives as long as the table: key callbacks get it as their ctx. */
struct tables_setting {
  unsigned kind; /* enum cmap_key_kind */
  enum spread spread;
  struct counting_alloc *alloc; /* NULL: the default; custom keys need one */
};

/* "strings, constant hash", for messages; static. */
const char *tables_setting_name(const struct tables_setting *setting);

/* Options with values of 8 bytes and shards of `groups` groups at most. */
struct cmap_options tables_options(struct tables_setting *setting,
                                   size_t groups);

/* The longest key that tables_key makes. */
#define TABLES_KEY_MAX 64

struct tables_key {
  struct cmap_key key;
  const char *text; /* a custom key is the address of its text */
  uint64_t number;
  char bytes[TABLES_KEY_MAX + 1];
};

/* The i-th key of a kind. Strings and bytes have lengths around all bounds of
   the stored forms. */
void tables_key(struct tables_key *key, unsigned kind, uint64_t i);

/* Inserts key i with a value; CMAP_EXISTS, CMAP_ENOMEM. */
enum cmap_status tables_put(struct cmap__table *table, uint64_t i,
                            uint64_t value);

/* Takes key i out; CMAP_NOT_FOUND. */
enum cmap_status tables_take(struct cmap__table *table, uint64_t i);

/* Looks for key i under the read lock; CMAP_NOT_FOUND. */
enum cmap_status tables_find(struct cmap__table *table, uint64_t i,
                             uint64_t *value);

/* The hash of key i. */
uint64_t tables_hash(const struct cmap__table *table, uint64_t i);

/* Locks the shard of a hash exclusively. */
struct cmap__shard *tables_lock(struct cmap__table *table, uint64_t hash);
void tables_unlock(struct cmap__shard *shard);

/* Releases all entries and destroys the table. */
void tables_close(struct cmap__table *table);

#endif

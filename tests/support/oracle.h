/*
 * A plain sequential map to compare with, and the comparison.
 *
 * The oracle knows, for each id below `universe`, whether it is present and
 * in which version. oracle_check looks at a map through every access path and
 * records (CHECK) where it differs. One thread at a time.
 */
#ifndef CMAP_TEST_ORACLE_H
#define CMAP_TEST_ORACLE_H

#include "content.h"
#include "maps.h"
#include "random.h"

struct oracle_entry {
  bool present;
  uint64_t version;
};

struct oracle {
  size_t universe;              /* const */
  size_t len;                   /* present entries */
  struct oracle_entry *entries; /* by id */
};

void oracle_begin(struct oracle *oracle, size_t universe);
void oracle_end(struct oracle *oracle);

bool oracle_has(const struct oracle *oracle, uint64_t id);
uint64_t oracle_version(const struct oracle *oracle, uint64_t id);
void oracle_put(struct oracle *oracle, uint64_t id, uint64_t version);
void oracle_remove(struct oracle *oracle, uint64_t id);
void oracle_clear(struct oracle *oracle);

/* Compares one id, through every access path. */
void oracle_check_id(const struct oracle *oracle, struct test_map *m,
                     uint64_t id);

/* Compares what is counted and walked over: len, len_exact, is_empty,
   view_all, shards. */
void oracle_check_whole(const struct oracle *oracle, struct test_map *m);

/* Compares a clone, and cmap_equal. Needs memory. */
void oracle_check_clone(const struct oracle *oracle, struct test_map *m);

/* All of the above for every id; of a sample of n ids. */
void oracle_check(const struct oracle *oracle, struct test_map *m);
void oracle_check_sample(const struct oracle *oracle, struct test_map *m,
                         struct random *random, size_t n);

#endif

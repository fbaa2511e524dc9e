/*
 * A single live shard that covers all hashes, made by hand from a pool and
 * without a directory. The test holds its lock.
 *
 * For tests that are linked with the library's objects only, on their main
 * thread: failures are cmocka's.
 */
#ifndef CMAP_TEST_ONE_SHARD_H
#define CMAP_TEST_ONE_SHARD_H

#include "tables.h"

struct one_shard {
  struct counting_alloc alloc;
  struct tables_setting setting;
  struct cmap__layout layout;
  struct cmap__user user;
  struct cmap__pool pool;
  struct cmap__boxes boxes;
  struct cmap__shard *shard;
};

/* With a block of 2^g groups, or CMAP__NO_BLOCK; limited by its slots only. */
void one_shard_begin(struct one_shard *f, unsigned kind, enum spread spread,
                     int g);

/* The shard's keys own nothing any more. */
void one_shard_end(struct one_shard *f);

/* The probe of key i. */
void one_shard_probe(struct one_shard *f, uint64_t i, struct tables_key *key,
                     struct cmap__probe *probe);

bool one_shard_find(struct one_shard *f, uint64_t i, struct cmap__place *place);

/* Puts key i with the value i + 1; false if there is no room. */
bool one_shard_put(struct one_shard *f, uint64_t i, struct cmap__place *place);

#endif

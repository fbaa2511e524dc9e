/*
 * Stores for tests: keys of any shape, objects whose account is kept.
 *
 * An object is a struct tracked (lifetimes.h): its id is the key's, and its
 * version tells it from others of the key. Keys come from ids by key_make
 * (content.h) with the spec of keys.spec.
 *
 * Concurrency: as the store itself, but for opening and closing.
 */
#ifndef CMAP_TEST_STORE_OBJECTS_H
#define CMAP_TEST_STORE_OBJECTS_H

#include "content.h"

struct test_store {
  struct test_map keys;   /* prepared, never created: the keys' options */
  struct lifetimes lives; /* of objects; those of keys are keys.own_lives */
  struct cmap_store_options options;
  struct cmap_store *store;
};

/* Fills in everything but the store itself. */
void test_store_prepare(struct test_store *t, enum key_shape keys);

/* Prepares and creates a store; asserts that this works. */
void test_store_open(struct test_store *t, enum key_shape keys);

/* Creates the store that was prepared, and perhaps changed since. */
void test_store_create(struct test_store *t);

/* Destroys the store; asserts that all memory came back, that every object was
   destroyed once, and that no check has failed. */
void test_store_close(struct test_store *t);

/* The object of a handle; checks that it is alive, and of this id. */
struct tracked *store_object(const struct cmap_handle *handle, uint64_t id);

/* The statistics; checks the call. */
struct cmap_store_stats store_stats(struct cmap_store *store);

/* Waits until that many threads wait for the key's construction. */
void store_until_waiting(struct cmap_store *store, struct cmap_key key,
                         size_t count);

#endif

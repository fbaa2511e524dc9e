/*
 * Maps of every kind of key, size of value and way of hashing, for tests.
 *
 * A test map knows keys by a number, the id, and values by an id and a
 * version. content.h turns ids into keys and versions into values.
 */
#ifndef CMAP_TEST_MAPS_H
#define CMAP_TEST_MAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "checks.h"
#include "counting_alloc.h"
#include "lifetimes.h"

/* What keys look like. */
enum key_shape {
  KEYS_U32,
  KEYS_U64,
  KEYS_FIXED_3,
  KEYS_FIXED_16,
  KEYS_FIXED_256,
  KEYS_STRING,       /* of 0 to 90 bytes: in the slot and beside it */
  KEYS_BYTES,        /* the same, with 0 bytes */
  KEYS_CUSTOM,       /* struct tracked_key, copied as bytes */
  KEYS_CUSTOM_OWNED, /* struct tracked_key that owns an object */
  KEY_SHAPES
};

/* What values need. */
enum value_care {
  VALUES_PLAIN,
  VALUES_OWNED,      /* value_destroy, value_clone and value_equal */
  VALUES_UNCOPYABLE, /* value_destroy and value_equal */
  VALUE_CARES
};

/* How keys are hashed. */
enum hash_way {
  HASH_DEFAULT,  /* the map's own; a good callback for custom keys */
  HASH_FAST,     /* CMAP_HASH_FAST */
  HASH_CONSTANT, /* a callback that returns a constant */
  HASH_LOW_4,    /* a callback that returns 4 bits */
  HASH_GOOD_32,  /* CMAP_HASH_IS_GOOD, but the upper 32 bits are empty */
  HASH_TOP_16,   /* CMAP_HASH_IS_GOOD, but only the upper 16 bits differ */
  HASH_WAYS
};

/* The sizes of values that maps_each and tests go through. */
extern const size_t value_sizes[];
#define VALUE_SIZES 8
/* No value of a test map is larger. */
#define VALUE_ROOM  5008

struct map_spec {
  enum key_shape keys;
  size_t value_size; /* at least 8 unless VALUES_PLAIN */
  enum value_care care;
  enum hash_way hash;
  size_t shard_groups; /* 0: the default; 1: splits after some 10 entries */
  /* As in struct cmap_options; 0: the default. */
  unsigned flags; /* beside those of `hash` */
  size_t value_align;
  size_t inline_key_size;
  size_t inline_value_size;
  size_t capacity;
  uint64_t seed; /* with CMAP_FIXED_SEED */
};

struct test_map {
  struct map_spec spec;
  struct cmap_options options;
  struct cmap *map;
  struct counting_alloc alloc;
  struct lifetimes *lives; /* own_lives, or those of a sibling */
  struct lifetimes own_lives;
};

/* Fills in everything but the map itself. */
void test_map_prepare(struct test_map *m, const struct map_spec *spec);

/* Prepares and creates a map; asserts that this works. */
void test_map_open(struct test_map *m, const struct map_spec *spec);

/* A map of the same kind whose objects are counted with those of m, and which
   must be closed before it; its allocator is its own. */
void test_map_open_sibling(struct test_map *sibling, struct test_map *m);

/* Destroys the map; asserts that all memory came back, that every object was
   destroyed once, and that no check has failed. */
void test_map_close(struct test_map *m);

/* May such a map be made? (No owned values of less than a pointer, no
   CMAP_HASH_FAST where it has no meaning.) */
bool map_spec_is_valid(const struct map_spec *spec);

/* Are all keys found by one long walk? Such maps are kept small. */
bool map_spec_is_slow(const struct map_spec *spec);

/* Is cmap_get lock-free for every key of the map? */
bool map_spec_is_lock_free(const struct map_spec *spec);

/* "string/64/owned/constant/1": for messages. Static storage. */
const char *map_spec_name(const struct map_spec *spec);

/*
 * Calls `run` with every valid combination of key shape, value size and care,
 * and hash; shard_groups changes between 1 and the default. Where the loops are
 * scaled to less than a tenth, with a third of them, which the seed chooses.
 */
void map_spec_each(void (*run)(const struct map_spec *spec, void *ctx),
                   void *ctx);

#endif

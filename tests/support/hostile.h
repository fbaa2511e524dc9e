/*
 * Keys that somebody chose: families whose members all have one hash by a
 * well-known function, from the literature on it, and integers that are awkward
 * for multiplications. For random keys of the same kind and size, to compare.
 */
#ifndef CMAP_TEST_HOSTILE_H
#define CMAP_TEST_HOSTILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HOSTILE_KEYS 20000
#define HOSTILE_ROOM 128 /* bytes of the longest */

struct hostile_keys {
  const char *name;
  bool strings; /* without a byte of 0 */
  size_t size;  /* of each */
  unsigned char bytes[HOSTILE_KEYS][HOSTILE_ROOM];
};

enum {
  HOSTILE_JAVA,   /* String.hashCode: Aa and BB */
  HOSTILE_FNV,    /* FNV-1a of 32 bits */
  HOSTILE_MURMUR, /* MurmurHash3_x86_32 with any seed */
  HOSTILE_XXH3,   /* XXH3_64bits without a seed */
  HOSTILE_CITY,   /* CityHash64 */
  HOSTILE_FAMILIES
};

/* All keys of a family, all different. Returns false if two of them differ by
 * the function: its code here is wrong. */
bool hostile_family(struct hostile_keys *keys, unsigned family);

/* Random ones of the same kind and size. */
void hostile_random(struct hostile_keys *keys, const struct hostile_keys *like);

/* Integers by the number of a pattern, below HOSTILE_PATTERNS: i is turned into
 * the i-th key of it, all different. They are chosen by who knows the
 * multipliers of src/table/hash.h, and no seed. */
#define HOSTILE_PATTERNS 16
const char *hostile_pattern_name(unsigned pattern);
uint64_t hostile_integer(unsigned pattern, uint64_t i);

#endif

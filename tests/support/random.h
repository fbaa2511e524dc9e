/*
 * Pseudo-random numbers that a seed repeats.
 *
 * The generator is xoshiro256** (Blackman and Vigna), its state filled by
 * splitmix64. Each thread has a source of its own, told apart by `stream`.
 */
#ifndef CMAP_TEST_RANDOM_H
#define CMAP_TEST_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

struct random {
  uint64_t state[4]; /* owner thread */
};

/* A source that depends on the seed of the test and on stream. */
void random_begin(struct random *random, uint64_t stream);

uint64_t random_next(struct random *random);

/* A number below n, n > 0. */
uint64_t random_below(struct random *random, uint64_t n);

/* True once in n times. */
static inline bool random_once_in(struct random *random, uint64_t n)
{
  return random_below(random, n) == 0;
}

/* True for as many of the cases as CMAP_TEST_SCALE says; at 100 for all. */
bool random_in_scale(struct random *random);

/* Spreads x over 64 bits; the finaliser of splitmix64. One to one. */
uint64_t random_mix(uint64_t x);

#endif

/*
 * The stores of each atomic, in its modification order, and what a load may
 * return.
 *
 * A load, a store or a read-modify-write must not come, in that order, before
 * what its thread has seen (clock.h) or what seq_cst makes it see: that gives
 * the first store that it may read, or stand behind. From there on all is
 * allowed: a load returns any of the values, and a store takes any place,
 * except between a read-modify-write and the store that it has read. How often
 * it is not the last one, is drawn for each run.
 *
 * Memory itself always has the last store's value, so that code which is not
 * instrumented, and plain accesses, find it.
 */
#ifndef CMAP_TEST_WORLD_HISTORY_H
#define CMAP_TEST_WORLD_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "clock.h"

struct location; /* an atomic */

/* Before a run: nothing was stored, memory is as it is. */
void history_begin(void);

/* All of `size` 1, 2, 4 or 8 bytes; values in the lower bits. */
uint64_t history_load(const volatile void *at, unsigned size, enum order order);
void history_store(volatile void *at, unsigned size, uint64_t value,
                   enum order order);

/* The value before. `change` makes the new one of it and the operand. */
uint64_t history_change(volatile void *at, unsigned size,
                        uint64_t (*change)(uint64_t before, uint64_t operand),
                        uint64_t operand, enum order order);

/* The value before; it is `expected` if and only if `desired` was stored. */
uint64_t history_compare_exchange(volatile void *at, unsigned size,
                                  uint64_t expected, uint64_t desired,
                                  enum order order, enum order failure);

/* What the kernel reads for a futex: it has seen what `also` says, too. */
uint32_t history_load_seeing(const volatile void *at, const struct clock *also);

/* `size` bytes are about to be written plainly by the running thread, or have
 * been by the kernel: atomics among them have another store. */
void history_plain_write(const volatile void *at, size_t size);

/* Whole 8-byte words are about to be read plainly, but as if by relaxed atomic
 * loads: memory has the chosen values until the next step. */
void history_lend(const volatile void *at, size_t size);

/* Ends what the two above have begun; at the beginning of every step. */
void history_settle(void);

#endif

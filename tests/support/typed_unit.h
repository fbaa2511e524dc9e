/*
 * A typed map that two translation units share: the header has the one line
 * that defines it, typed_unit.c and the test each have wrappers of their own.
 */
#ifndef CMAP_TEST_TYPED_UNIT_H
#define CMAP_TEST_TYPED_UNIT_H

#include <stdint.h>

#include <cmap.h>

struct account {
  int64_t cents;
  uint64_t visits;
};

CMAP_DEFINE(bank, CMAP_STRING, struct account);

/* The other unit's calls on a bank of this one. */
enum cmap_status typed_unit_open(struct bank *bank);
enum cmap_status typed_unit_deposit(struct bank bank, const char *owner,
                                    int64_t cents);
int64_t typed_unit_total(struct bank bank);

#endif

/*
 * Orders that are weakened on purpose, to see which scenario finds it.
 *
 * CMAP_WORLD_WEAKEN names a file: its first line is the order to be had instead
 * (a number of enum order), the others are sites in hexadecimal: return
 * addresses of atomic accesses, as offsets in the program.
 * tests/world/weaken.py writes it. CMAP_WORLD_SITES names a file that is
 * written at the end: the sites that were met.
 */
#ifndef CMAP_TEST_WORLD_SITES_H
#define CMAP_TEST_WORLD_SITES_H

#include <stdint.h>

#include "clock.h"

void sites_begin(void);

/* The order that an access at this site has. */
enum order sites_order(uintptr_t site, enum order order);

#endif

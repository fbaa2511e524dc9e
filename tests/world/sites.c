#include "sites.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "report.h"

enum { TABLE = 1 << 16 };

struct site {
  uint32_t offset; /* 0: none */
  uint8_t order;   /* that it was met with */
  bool is_weak;
};

static struct {
  bool begun, is_used;
  enum order weak;
  const char *met; /* the file to be written */
  struct site table[TABLE];
} sites;

static struct site *find(uint32_t offset)
{
  uint32_t i = offset * UINT32_C(2654435769) % TABLE;

  /* Ends: programs have fewer sites. */
  while (sites.table[i].offset != 0 && sites.table[i].offset != offset)
    i = (i + 1) % TABLE;
  sites.table[i].offset = offset;
  return &sites.table[i];
}

static void write_met(void)
{
  FILE *file = fopen(sites.met, "w");

  if (file == NULL)
    return;
  for (unsigned i = 0; i < TABLE; i++) {
    if (sites.table[i].offset != 0)
      fprintf(file, "%x %u\n", sites.table[i].offset, sites.table[i].order);
  }
  (void)fclose(file);
}

static void read_weak(const char *name)
{
  FILE *file = fopen(name, "r");
  unsigned order, offset;

  if (file == NULL || fscanf(file, "%u", &order) != 1)
    abort();
  sites.weak = (enum order)order;
  while (fscanf(file, "%x", &offset) == 1)
    find(offset)->is_weak = true;
  (void)fclose(file);
}

void sites_begin(void)
{
  const char *weak = getenv("CMAP_WORLD_WEAKEN");

  if (sites.begun)
    return;
  sites.begun = true;
  sites.met = getenv("CMAP_WORLD_SITES");
  sites.is_used = weak != NULL || sites.met != NULL;
  if (weak != NULL)
    read_weak(weak);
  if (sites.met != NULL)
    (void)atexit(write_met);
}

enum order sites_order(uintptr_t site, enum order order)
{
  struct site *met;

  if (!sites.is_used)
    return order;
  met = find((uint32_t)(site - report_base()));
  met->order = (uint8_t)order;
  return met->is_weak ? sites.weak : order;
}

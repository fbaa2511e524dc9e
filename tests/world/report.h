/*
 * The last steps of a run, for the report of a failure.
 */
#ifndef CMAP_TEST_WORLD_REPORT_H
#define CMAP_TEST_WORLD_REPORT_H

#include <stdint.h>

void report_begin(const char *scenario, uint64_t run);

/* A step begins. `what`: a static string; `order` < 0: it has none. */
void report_step(const char *what, const volatile void *at, int order,
                 uintptr_t site);

/* It read or stored this value; how many stores are later ones. */
void report_value(uint64_t value, unsigned later);

/* One more place, named in the report. */
void report_site(const char *what, uint32_t offset);

extern const char __executable_start;

/* Sites are addresses of code; in files, less this. */
static inline uintptr_t report_base(void)
{
  return (uintptr_t)&__executable_start;
}

#endif

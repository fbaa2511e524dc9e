#include "search.h"

#include "recording.h"
#include "world.h"

/* Choices of one run that have more than one way. */
enum { CHOICES = 4096 };

bool search_on;

static struct {
  struct {
    uint32_t chosen, of;
  } path[CHOICES];
  unsigned length, at;
} search;

void search_begin(void)
{
  search_on = true;
  search.length = search.at = 0;
}

uint64_t search_below(uint64_t n)
{
  if (n == 1)
    return 0;
  if (search.at == search.length) {
    if (search.length == CHOICES)
      world_failed(__FILE__, __LINE__, "a run has too many choices");
    search.path[search.length].chosen = 0;
    search.path[search.length++].of = (uint32_t)n;
  }
  /* Else all runs behind this one would be any. */
  if (search.path[search.at].of != n)
    world_failed(__FILE__, __LINE__, "the same path is another one");
  return search.path[search.at++].chosen;
}

bool search_next(void)
{
  search.at = 0;
  while (search.length > 0 && search.path[search.length - 1].chosen + 1 ==
                                  search.path[search.length - 1].of)
    search.length--;
  if (search.length > 0)
    search.path[search.length - 1].chosen++;
  else
    search_on = false;
  return search_on;
}

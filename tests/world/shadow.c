#include "shadow.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "clock.h"
#include "fiber.h"
#include "report.h"
#include "schedule.h"
#include "world.h"

enum { KEPT = 4, CELLS_LOG2 = 17, NEAR_LOG2 = 5 };

#define CELLS ((size_t)1 << CELLS_LOG2)

struct kept {
  uint32_t step;  /* of the thread */
  uint32_t site;  /* as an offset */
  uint8_t thread; /* + 1; 0: none */
  uint8_t kind;
  uint8_t bytes; /* of the 8, one bit each */
};

struct cell {
  uintptr_t word; /* the address / 8 */
  uint32_t run;   /* for which it is valid */
  bool is_free;
  struct kept kept[KEPT];
  struct location *locations;
};

static struct cell *cells;
static uint32_t run;
static size_t used;

void shadow_begin(void)
{
  if (cells == NULL)
    cells = calloc(CELLS, sizeof *cells);
  if (cells == NULL)
    abort();
  run++;
  used = 0;
}

static struct cell *cell_of(uintptr_t at, bool make)
{
  static const struct cell empty;
  uintptr_t word = at / 8;
  uintptr_t block = word >> NEAR_LOG2;
  size_t i =
      (block * UINT64_C(0x9e3779b97f4a7c15)) >> (64 - CELLS_LOG2 + NEAR_LOG2);

  /* Words that are near have cells that are: few pages are touched. */
  i = i << NEAR_LOG2 | (word & ((1u << NEAR_LOG2) - 1));
  /* Ends: it is never full. */
  for (;; i = (i + 1) % CELLS) {
    struct cell *cell = &cells[i];
    if (cell->run != run) {
      if (!make)
        return NULL;
      if (++used > CELLS / 2)
        world_failed(__FILE__, __LINE__, "too much memory is used");
      *cell = empty;
      cell->word = word;
      cell->run = run;
      return cell;
    }
    if (cell->word == word)
      return cell;
  }
}

static bool is_write(unsigned kind)
{
  return kind == SHADOW_WRITE || kind == SHADOW_ATOMIC_WRITE ||
         kind == SHADOW_FREE;
}

static bool is_atomic(unsigned kind)
{
  return kind == SHADOW_ATOMIC_READ || kind == SHADOW_ATOMIC_WRITE ||
         kind == SHADOW_LOOSE;
}

/* May these two meet without an order? */
static bool may_meet(unsigned a, unsigned b)
{
  if ((!is_write(a) && !is_write(b)) || (is_atomic(a) && is_atomic(b)))
    return true;
  return (a == SHADOW_LOOSE && b == SHADOW_WRITE) ||
         (b == SHADOW_LOOSE && a == SHADOW_WRITE);
}

static _Noreturn void report_race(const struct kept *before, uintptr_t at,
                                  unsigned kind, uintptr_t site)
{
  static const char *const names[] = {
      "read", "write", "atomic read", "atomic write", "atomic read", "free"};
  static char text[160];

  (void)snprintf(text, sizeof text,
                 "data race at %#lx: %s, after a %s by thread %u that does not "
                 "happen before",
                 (unsigned long)at, names[kind], names[before->kind],
                 before->thread - 1u);
  report_site("the access before", before->site);
  report_site("this access", (uint32_t)(site - report_base()));
  world_failed(__FILE__, __LINE__, text);
}

static void access_cell(uintptr_t at, uint8_t bytes, enum shadow_kind kind,
                        uintptr_t site)
{
  struct cell *cell = cell_of(at, true);
  unsigned self = fiber_self();
  const struct clock *before = &clock_of(self)->now.before;
  struct kept *victim = NULL, *mine = NULL;

  if (cell->is_free)
    world_failed(__FILE__, __LINE__, "memory is used that was freed");
  for (struct kept *kept = cell->kept; kept < cell->kept + KEPT; kept++) {
    if (kept->thread == 0) {
      victim = kept;
      break;
    }
    if ((kept->bytes & bytes) == 0)
      continue;
    if (kept->thread - 1u == self) {
      if (kept->bytes == bytes && kept->kind == kind)
        mine = kept;
      else if ((kept->bytes & ~bytes) == 0 && kind == SHADOW_WRITE)
        mine = kept;
      continue;
    }
    if (kept->step > before->at[kept->thread - 1]) {
      if (!may_meet(kept->kind, kind))
        report_race(kept, at, kind, site);
    } else if ((kept->bytes & ~bytes) == 0 && is_write(kind)) {
      victim = kept; /* what meets it meets this one, too */
    }
  }
  if (mine == NULL)
    mine = victim != NULL ? victim : &cell->kept[schedule_random() % KEPT];
  *mine = (struct kept){.step = before->at[self],
                        .site = (uint32_t)(site - report_base()),
                        .thread = (uint8_t)(self + 1),
                        .kind = (uint8_t)kind,
                        .bytes = bytes};
  if (kind == SHADOW_FREE)
    cell->is_free = true;
}

void shadow_access(const volatile void *at, size_t size, enum shadow_kind kind,
                   uintptr_t site)
{
  uintptr_t from = (uintptr_t)at, to = from + size;

  while (from < to) {
    unsigned first = (unsigned)(from % 8);
    unsigned n = to - from < 8 - first ? (unsigned)(to - from) : 8 - first;

    access_cell(from - first, (uint8_t)(((1u << n) - 1) << first), kind, site);
    from += n;
  }
}

struct location **shadow_locations(uintptr_t at)
{
  return &cell_of(at, true)->locations;
}

struct location *shadow_locations_known(uintptr_t at)
{
  struct cell *cell = cell_of(at, false);

  return cell == NULL ? NULL : cell->locations;
}

#include "history.h"

#include <stdlib.h>
#include <string.h>

#include "fiber.h"
#include "memory.h"
#include "report.h"
#include "schedule.h"
#include "shadow.h"
#include "world.h"

/* A store. */
struct store {
  uint64_t value;
  unsigned place;     /* in the modification order */
  bool is_followed;   /* by a read-modify-write that has read it */
  struct stamp stamp; /* for those who read it */
};

/* A thread's access, or a seq_cst one: it read or made `store`. */
struct access {
  uint32_t step; /* of the thread, or in the order of seq_cst */
  struct store *store;
  struct access *before;
};

struct location {
  volatile void *at;
  unsigned size;
  unsigned count, room; /* of stores */
  struct store **order; /* the modification order */
  struct access *by[WORLD_THREADS];
  struct access *sc;
  uint8_t stale[WORLD_THREADS]; /* loads in a row that were not of the last */
  struct location *next;        /* in the same 8 bytes */
};

/* So many loads of a thread in a row may be of other stores than the last, but
 * in a search: loops that wait for a store end. */
enum { STALE_MAX = 6 };

/* Plain writes that are under way; and the bytes of one that are taken for
 * atomics before anybody has accessed them so. */
enum { PENDING_MAX = 4096, PLAIN_MAX = 1024 };

static struct {
  unsigned stale; /* once in so many a load may be of any store; 0: never */
  unsigned early; /* the same: a store takes any place */
  struct location *written[PENDING_MAX];
  unsigned written_count;
  struct {
    volatile void *at;
    uint64_t value; /* to be put back */
  } lent[8];
  unsigned lent_count;
} now;

static uint64_t peek(const volatile void *at, unsigned size)
{
  switch (size) {
  case 1:
    return *(const volatile uint8_t *)at;
  case 2:
    return *(const volatile uint16_t *)at;
  case 4:
    return *(const volatile uint32_t *)at;
  default:
    return *(const volatile uint64_t *)at;
  }
}

static void poke(volatile void *at, unsigned size, uint64_t value)
{
  switch (size) {
  case 1:
    *(volatile uint8_t *)at = (uint8_t)value;
    break;
  case 2:
    *(volatile uint16_t *)at = (uint16_t)value;
    break;
  case 4:
    *(volatile uint32_t *)at = (uint32_t)value;
    break;
  default:
    *(volatile uint64_t *)at = value;
  }
}

void history_begin(void)
{
  static const unsigned odds[] = {0, 2, 2, 4, 16};

  now.stale = search_on ? 1 : odds[schedule_below(sizeof odds / sizeof *odds)];
  now.early = search_on ? 1 : odds[schedule_below(sizeof odds / sizeof *odds)];
  now.written_count = now.lent_count = 0;
}

/* -------------------------------------------------------------------------
 * Locations
 * ------------------------------------------------------------------------- */

static void insert(struct location *location, struct store *store,
                   unsigned place)
{
  if (location->count == location->room) {
    unsigned room = 2 * location->room + 4;
    struct store **order = memory_take(room * sizeof *order);
    for (unsigned i = 0; i < location->count; i++)
      order[i] = location->order[i];
    location->order = order;
    location->room = room;
  }
  for (unsigned i = location->count; i > place; i--) {
    location->order[i] = location->order[i - 1];
    location->order[i]->place = i;
  }
  location->order[place] = store;
  store->place = place;
  location->count++;
}

static struct store *last_of(const struct location *location)
{
  return location->order[location->count - 1];
}

static bool overlaps(const struct location *location, uintptr_t from,
                     uintptr_t to)
{
  uintptr_t at = (uintptr_t)location->at;

  return at < to && from < at + location->size;
}

/*
 * Memory has another value than the last store: of a plain write, by the thread
 * that now makes the step, or by code that is not instrumented. Like a relaxed
 * store, for those who look without being ordered.
 */
static void notice(struct location *location, bool by_self)
{
  uint64_t value = peek(location->at, location->size);
  struct store *store;

  if (!by_self && value == last_of(location)->value)
    return;
  store = memory_take(sizeof *store);
  *store = (struct store){.value = value};
  if (by_self) {
    struct access *access = memory_take(sizeof *access);
    unsigned self = fiber_self();
    clock_write(ORDER_RELAXED, &store->stamp);
    *access = (struct access){
        .step = clock_step(), .store = store, .before = location->by[self]};
    location->by[self] = access;
  }
  insert(location, store, location->count);
}

static struct location *location_at(const volatile void *at, unsigned size)
{
  uintptr_t from = (uintptr_t)at;
  struct location **list = shadow_locations(from), *location, **link;
  struct store *store;

  for (location = *list; location != NULL; location = location->next) {
    if ((uintptr_t)location->at == from && location->size == size) {
      notice(location, false);
      return location;
    }
  }
  /* Memory that is used again for something else. */
  for (link = list; *link != NULL;) {
    if (overlaps(*link, from, from + size))
      *link = (*link)->next;
    else
      link = &(*link)->next;
  }
  location = memory_take(sizeof *location);
  store = memory_take(sizeof *store);
  *location = (struct location){
      .at = (volatile void *)from, .size = size, .next = *list};
  *list = location;
  *store = (struct store){.value = peek(at, size)};
  insert(location, store, 0);
  return location;
}

/* -------------------------------------------------------------------------
 * What the running thread must not go back behind
 * ------------------------------------------------------------------------- */

static unsigned latest_in(const struct location *location,
                          const struct clock *clock)
{
  unsigned place = 0;

  for (unsigned i = 0; i < schedule_threads(); i++) {
    const struct access *access = location->by[i];
    while (access != NULL && access->step > clock->at[i])
      access = access->before;
    if (access != NULL && access->store->place > place)
      place = access->store->place;
  }
  return place;
}

static unsigned latest_sc(const struct location *location, uint32_t until)
{
  const struct access *access = location->sc;

  while (access != NULL && access->step > until)
    access = access->before;
  return access == NULL ? 0 : access->store->place;
}

static unsigned larger(unsigned a, unsigned b)
{
  return a > b ? a : b;
}

/* The first store that may be read, or stood behind. */
static unsigned bound(const struct location *location, enum order order)
{
  const struct stamp *known = &clock_of(fiber_self())->now;
  unsigned place = latest_in(location, &known->seen);

  if (order != ORDER_SEQ_CST)
    return larger(place, latest_sc(location, known->fence));
  place = larger(place, latest_in(location, clock_all_fences()));
  return larger(place, latest_sc(location, UINT32_MAX));
}

static void note_access(struct location *location, struct store *store,
                        uint32_t step, enum order order)
{
  struct access **list = &location->by[fiber_self()];

  if (*list == NULL || (*list)->store != store) {
    struct access *access = memory_take(sizeof *access);
    *access = (struct access){.step = step, .store = store, .before = *list};
    *list = access;
  }
  if (order == ORDER_SEQ_CST) {
    struct access *access = memory_take(sizeof *access);
    *access = (struct access){
        .step = clock_next_sc(), .store = store, .before = location->sc};
    location->sc = access;
  }
}

/* -------------------------------------------------------------------------
 * Accesses
 * ------------------------------------------------------------------------- */

/* One of the stores from `first` on. `change`: to be followed by a
 * read-modify-write. The last one can always be had. */
static struct store *choose(struct location *location, unsigned first,
                            bool change)
{
  uint8_t *stale = &location->stale[fiber_self()];
  struct store *last = last_of(location);
  struct store *store = last;

  if (first < last->place && (search_on || *stale < STALE_MAX) &&
      now.stale != 0 && schedule_once_in(now.stale)) {
    store = location->order[first + schedule_below(location->count - first)];
    if (change && store->is_followed)
      store = last;
  }
  *stale = store == last || search_on ? 0 : (uint8_t)(*stale + 1);
  return store;
}

static void read_from(struct location *location, struct store *store,
                      enum order order)
{
  uint32_t step = clock_step();

  note_access(location, store, step, order);
  clock_read(order, &store->stamp);
  (void)clock_step(); /* what follows is not a part of this step */
}

/* Makes a store. `read`: it is a read-modify-write of that one; else NULL. */
static void write_to(struct location *location, struct store *read,
                     uint64_t value, enum order order)
{
  uint32_t step = clock_step();
  struct store *store = memory_take(sizeof *store);
  unsigned place = location->count;

  *store = (struct store){.value = value};
  if (read != NULL) {
    clock_read(order, &read->stamp);
    clock_write(order, &store->stamp);
    stamp_join(&store->stamp, &read->stamp); /* the release sequence goes on */
    read->is_followed = true;
    place = read->place + 1;
  } else {
    unsigned first = bound(location, order);
    clock_write(order, &store->stamp);
    if (first + 1 < place && now.early != 0 && schedule_once_in(now.early)) {
      place = first + 1 + (unsigned)schedule_below(place - first);
      while (place < location->count && location->order[place - 1]->is_followed)
        place++;
    }
  }
  insert(location, store, place);
  if (store == last_of(location))
    poke(location->at, location->size, value);
  note_access(location, store, step, order);
  (void)clock_step();
}

static void report_read(const struct location *location,
                        const struct store *store)
{
  report_value(store->value, location->count - 1 - store->place);
}

uint64_t history_load(const volatile void *at, unsigned size, enum order order)
{
  struct location *location = location_at(at, size);
  struct store *store = choose(location, bound(location, order), false);

  report_read(location, store);
  read_from(location, store, order);
  return store->value;
}

void history_store(volatile void *at, unsigned size, uint64_t value,
                   enum order order)
{
  report_value(value, 0);
  write_to(location_at(at, size), NULL, value, order);
}

static uint64_t of_size(uint64_t value, unsigned size)
{
  return size == 8 ? value : value & ((UINT64_C(1) << 8 * size) - 1);
}

uint64_t history_change(volatile void *at, unsigned size,
                        uint64_t (*change)(uint64_t before, uint64_t operand),
                        uint64_t operand, enum order order)
{
  struct location *location = location_at(at, size);
  struct store *store = choose(location, bound(location, order), true);

  report_read(location, store);
  write_to(location, store, of_size(change(store->value, operand), size),
           order);
  return store->value;
}

uint64_t history_compare_exchange(volatile void *at, unsigned size,
                                  uint64_t expected, uint64_t desired,
                                  enum order order, enum order failure)
{
  struct location *location = location_at(at, size);
  struct store *store = choose(location, bound(location, order), false);

  /* What is followed by another's change cannot be followed by this one: then
   * the value of the last store decides. */
  if (store->value == expected && store->is_followed)
    store = last_of(location);
  report_read(location, store);
  if (store->value == expected)
    write_to(location, store, desired, order);
  else
    read_from(location, store, failure);
  return store->value;
}

uint32_t history_load_seeing(const volatile void *at, const struct clock *also)
{
  struct location *location = location_at(at, sizeof(uint32_t));
  unsigned first =
      larger(bound(location, ORDER_RELAXED), latest_in(location, also));
  struct store *store = choose(location, first, false);

  report_read(location, store);
  read_from(location, store, ORDER_RELAXED);
  return (uint32_t)store->value;
}

/* -------------------------------------------------------------------------
 * Plain accesses to what is atomic elsewhere
 * ------------------------------------------------------------------------- */

void history_plain_write(const volatile void *at, size_t size)
{
  uintptr_t from = (uintptr_t)at, to = from + size;

  for (uintptr_t word = from & ~(uintptr_t)7; word < to; word += 8) {
    struct location *location = shadow_locations_known(word);
    /* Others may look at it as at an atomic, as readers do at a user's value:
     * what was there before is kept, and what the store tells them. */
    if (location == NULL && size <= PLAIN_MAX && !fiber_has_on_stack(at))
      location = location_at((volatile void *)word, 8);
    for (; location != NULL; location = location->next) {
      if (overlaps(location, from, to) && now.written_count < PENDING_MAX)
        now.written[now.written_count++] = location;
    }
  }
}

void history_lend(const volatile void *at, size_t size)
{
  for (uintptr_t word = (uintptr_t)at; size >= 8; word += 8, size -= 8) {
    struct location *location = shadow_locations_known(word);
    while (location != NULL &&
           ((uintptr_t)location->at != word || location->size != 8))
      location = location->next;
    if (location == NULL)
      continue; /* it was never stored to in this run */
    now.lent[now.lent_count].at = (volatile void *)word;
    now.lent[now.lent_count++].value = peek((volatile void *)word, 8);
    poke((volatile void *)word, 8,
         history_load((volatile void *)word, 8, ORDER_RELAXED));
  }
}

void history_settle(void)
{
  while (now.lent_count > 0) {
    now.lent_count--;
    poke(now.lent[now.lent_count].at, 8, now.lent[now.lent_count].value);
  }
  for (unsigned i = 0; i < now.written_count; i++)
    notice(now.written[i], true);
  now.written_count = 0;
}

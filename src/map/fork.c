/*
 * A map in a child of fork.
 *
 * The child has one thread, and memory as it was at one moment. What the other
 * threads were about to change is half done there, and nobody ends it. So the
 * thread that forks has the whole map in its hands meanwhile: all its shards to
 * write, from cmap_fork_begin to cmap_fork_end, and the mutexes of the map and
 * of the process, those that are locked for moments only, from the handler
 * that fork calls before to those that it calls after.
 *
 * In the child, the handler makes of this what it is worth there: nobody else
 * waits for these locks, and nobody sleeps. cmap_fork_end is the same in both.
 *
 * LOCK ORDER: the handler before fork takes the mutexes of number 3 and 4 map
 * by map, then both of number 5. Nobody waits for one of them while he has
 * another of these maps, whose shards are locked.
 */
#include "base/system.h"
#include "map/all.h"
#include "map/held.h"
#include "table/seed.h"

static bool watches; /* written when the library is loaded */

/* Is it the hold of a map that is being forked? Its record is in the list of
 * guards, so that several may end in any order. */
static bool is_fork(const struct cmap__hold *hold)
{
  return hold->lock == NULL &&
         ((const struct cmap__record *)hold)->ended == cmap__all_abandon;
}

/* The next one of the calling thread's, from `hold` on. */
static struct cmap__held *next_fork(struct cmap__hold *hold)
{
  while (hold != NULL && !is_fork(hold))
    hold = hold->outer;
  return (struct cmap__held *)hold;
}

static struct cmap__held *first_fork(void)
{
  return next_fork(cmap__self.guards);
}

static void before(void)
{
  struct cmap__held *held = first_fork();

  for (; held != NULL; held = next_fork(held->record.hold.outer))
    cmap__table_stop(&held->map->table);
  cmap__deadlock_stop();
  cmap__records_stop();
}

static void after(bool alone)
{
  struct cmap__held *held = first_fork();

  if (alone) {
    cmap__park_alone();
    cmap__seats_alone();
  }
  cmap__records_go_on();
  cmap__deadlock_go_on(alone);
  for (; held != NULL; held = next_fork(held->record.hold.outer))
    cmap__table_go_on(&held->map->table, alone);
}

static void in_parent(void)
{
  after(false);
}

static void in_child(void)
{
  after(true);
  cmap__seed_forget();
}

void cmap__fork_watch(void)
{
  watches = cmap__at_fork(before, in_parent, in_child);
}

enum cmap_status cmap_fork_begin(struct cmap *map, const struct cmap_how *how)
{
  struct cmap__patience patience;
  const uint64_t *unused;
  struct cmap__held *held;
  struct cmap__hold *hold;
  enum cmap_status status;

  if (CMAP__MISSING(map) || !cmap__how_read(how, &patience, &unused))
    return CMAP_EINVAL;
  held = watches ? cmap__held_take() : NULL;
  if (held == NULL)
    return CMAP_ENOMEM;
  patience.grouped = true; /* it meets what the thread holds */
  status = cmap__all_take(map, &patience);
  if (status != CMAP_OK) {
    cmap__held_give(held);
    return status;
  }
  cmap__held_clear(held);
  held->map = map;
  held->record.ended = cmap__all_abandon;
  hold = &held->record.hold;
  hold->object = &map->table;
  hold->first = 0;
  hold->last = UINT64_MAX;
  hold->mode = CMAP__WRITE;
  hold->lock = NULL;
  cmap__guard_link(hold);
  return CMAP_OK;
}

enum cmap_status cmap_fork_end(struct cmap *map)
{
  struct cmap__held *held = first_fork();

  while (held != NULL && held->map != map)
    held = next_fork(held->record.hold.outer);
  if (CMAP__WRONG(
          held == NULL,
          "map is NULL, or not locked by cmap_fork_begin of this thread"))
    return CMAP_EINVAL;
  cmap__guard_unlink(&held->record.hold);
  cmap__held_give(held);
  cmap__all_give(map);
  return CMAP_OK;
}

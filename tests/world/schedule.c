#include "schedule.h"

#include <stdio.h>

#include "fiber.h"
#include "report.h"
#include "world.h"

/* After so many steps a run is taken for one without end. */
#define STEPS_MAX 400000

/* After so many in a row a thread lets others run. */
#define STEPS_IN_A_ROW 3000

#define STEP_NS 40

enum state { RUNNABLE, WAITING, ENDED };

struct thread {
  enum state state;
  const void *object; /* waited for */
  uint32_t classes;
  uint64_t deadline;
  bool timed_out;
  int priority; /* PCT: the higher the sooner */
};

static struct {
  uint64_t random; /* the state of splitmix64 */
  unsigned count;
  struct thread threads[WORLD_THREADS];
  void (*act)(unsigned);
  uint64_t steps;
  uint64_t row; /* steps since another thread ran */
  uint64_t now;
  unsigned stay;         /* random: once in so many another one; 0: PCT */
  unsigned interrupt;    /* a search: so often at most */
  unsigned interrupted;  /* so often in this run */
  uint64_t changes[3];   /* PCT: steps at which priorities change */
  unsigned change_count; /* of these */
  int lowest;            /* priority given so far */
  unsigned early;        /* once in so many points a deadline is over; or 0 */
  unsigned leaps;        /* the same: time leaps */
  char way[32];
} now;

uint64_t schedule_random(void)
{
  uint64_t z = now.random += UINT64_C(0x9e3779b97f4a7c15);

  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return z ^ (z >> 31);
}

static void draw_way(void)
{
  static const unsigned odds[] = {0, 0, 0, 2, 4, 12, 40};

  if (search_on) {
    now.stay = 1;
    now.change_count = now.early = now.leaps = 0;
    (void)snprintf(now.way, sizeof now.way, "search, %u", now.interrupt);
    return;
  }
  now.stay = odds[schedule_below(sizeof odds / sizeof *odds)];
  now.change_count = now.stay == 0 ? 1 + (unsigned)schedule_below(3) : 0;
  if (now.stay == 0)
    (void)snprintf(now.way, sizeof now.way, "PCT %u", now.change_count);
  else
    (void)snprintf(now.way, sizeof now.way, "random 1/%u", now.stay);
  /* The length of a run is not known beforehand. */
  for (unsigned i = 0; i < now.change_count; i++)
    now.changes[i] = 1 + schedule_below(UINT64_C(16) << schedule_below(7));
  now.early = schedule_once_in(2) ? 0 : 100;
  now.leaps = schedule_once_in(2) ? 0 : 50;
}

static void act(void)
{
  unsigned self = fiber_self();

  now.act(self);
  now.threads[self].state = ENDED;
  schedule_point();
}

static void expire(struct thread *thread)
{
  if (now.now < thread->deadline)
    now.now = thread->deadline;
  thread->state = RUNNABLE;
  thread->timed_out = true;
}

/* The one whose deadline comes first, or NULL. */
static struct thread *first_deadline(void)
{
  struct thread *first = NULL;

  for (unsigned i = 0; i < now.count; i++) {
    struct thread *thread = &now.threads[i];
    if (thread->state == WAITING && thread->deadline != SCHEDULE_NO_DEADLINE &&
        (first == NULL || thread->deadline < first->deadline))
      first = thread;
  }
  return first;
}

static unsigned runnable(unsigned *which)
{
  unsigned n = 0;

  for (unsigned i = 0; i < now.count; i++) {
    if (now.threads[i].state == RUNNABLE)
      which[n++] = i;
  }
  return n;
}

static bool all_have_ended(void)
{
  for (unsigned i = 0; i < now.count; i++) {
    if (now.threads[i].state != ENDED)
      return false;
  }
  return true;
}

static unsigned highest(const unsigned *which, unsigned n)
{
  unsigned best = which[0];

  for (unsigned i = 1; i < n; i++) {
    if (now.threads[which[i]].priority > now.threads[best].priority)
      best = which[i];
  }
  return best;
}

/* Who runs next; FIBER_MAIN: nobody. `yields`: another than who runs, if there
 * is one. */
static unsigned choose(bool yields)
{
  unsigned self = fiber_self();
  unsigned which[WORLD_THREADS], n = runnable(which);
  struct thread *first;
  bool goes_on =
      !yields && self != FIBER_MAIN && now.threads[self].state == RUNNABLE;

  if (now.early != 0 && schedule_once_in(now.early) &&
      (first = first_deadline()) != NULL) {
    expire(first);
    n = runnable(which);
  }
  if (n == 0 && all_have_ended())
    return FIBER_MAIN;
  if (n == 0) {
    first = first_deadline();
    if (first == NULL)
      world_failed(__FILE__, __LINE__, "all threads wait for each other");
    expire(first);
    n = runnable(which);
  }
  if (now.stay == 0)
    return highest(which, n);
  if (goes_on && ((search_on && now.interrupted == now.interrupt) ||
                  !schedule_once_in(now.stay)))
    return self;
  if (yields && n > 1) {
    unsigned other = which[schedule_below(n - 1)];
    return other == self ? which[n - 1] : other;
  }
  if (search_on && now.interrupt == 0)
    return which[0];
  n = which[schedule_below(n)];
  now.interrupted += goes_on && n != self;
  return n;
}

void schedule_interrupt(unsigned at_most)
{
  now.interrupt = at_most;
}

static void fall_behind(unsigned thread)
{
  now.threads[thread].priority = --now.lowest;
}

static void go_on(bool yields)
{
  unsigned self = fiber_self();
  unsigned next = choose(yields);

  if (next == self)
    return;
  now.row = 0;
  fiber_switch(next);
}

void schedule_point(void)
{
  unsigned self = fiber_self();
  bool yields = false;

  now.now += STEP_NS;
  if (++now.steps > STEPS_MAX)
    world_failed(__FILE__, __LINE__, "the run does not end");
  if (++now.row > STEPS_IN_A_ROW) {
    now.row = 0;
    fall_behind(self);
    yields = true;
  }
  for (unsigned i = 0; i < now.change_count; i++) {
    if (now.changes[i] == now.steps)
      fall_behind(self);
  }
  go_on(yields);
}

void schedule_yield(void)
{
  now.now += STEP_NS;
  fall_behind(fiber_self());
  if (++now.steps > STEPS_MAX)
    world_failed(__FILE__, __LINE__, "the run does not end");
  go_on(true);
}

bool schedule_wait(const void *object, uint32_t classes, uint64_t deadline)
{
  struct thread *self = &now.threads[fiber_self()];

  self->state = WAITING;
  self->object = object;
  self->classes = classes;
  self->deadline = deadline;
  self->timed_out = false;
  go_on(false);
  return !self->timed_out;
}

unsigned schedule_wake(const void *object, uint32_t classes, unsigned n)
{
  unsigned which[WORLD_THREADS], waiting = 0, woken = 0;

  for (unsigned i = 0; i < now.count; i++) {
    const struct thread *thread = &now.threads[i];
    if (thread->state == WAITING && thread->object == object &&
        (thread->classes & classes) != 0)
      which[waiting++] = i;
  }
  for (; woken < n && waiting > 0; woken++) {
    uint64_t i = n - woken < waiting ? schedule_below(waiting) : 0;
    now.threads[which[i]].state = RUNNABLE;
    which[i] = which[--waiting];
  }
  return woken;
}

uint64_t schedule_now(void)
{
  now.now += STEP_NS;
  if (now.leaps != 0 && schedule_once_in(now.leaps))
    now.now += 500000 + schedule_below(3000000);
  return now.now;
}

uint64_t schedule_steps(void)
{
  return now.steps;
}

unsigned schedule_threads(void)
{
  return now.count;
}

const char *schedule_way(void)
{
  return now.way;
}

void schedule_begin(uint64_t seed)
{
  now.random = seed;
  draw_way();
}

void schedule_run(unsigned threads, void (*to_act)(unsigned))
{
  now.count = threads;
  now.act = to_act;
  now.steps = now.row = 0;
  now.interrupted = 0;
  now.now = UINT64_C(1000000000000);
  now.lowest = 0;
  for (unsigned i = 0; i < threads; i++) {
    now.threads[i] = (struct thread){
        .state = RUNNABLE, .priority = 1 + (int)(schedule_random() % 1000000)};
    fiber_begin(i, act);
  }
  go_on(false);
}

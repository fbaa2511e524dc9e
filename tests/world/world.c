#include "world.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "fiber.h"
#include "history.h"
#include "kernel.h"
#include "memory.h"
#include "random.h"
#include "recording.h"
#include "report.h"
#include "schedule.h"
#include "settings.h"
#include "shadow.h"
#include "sites.h"

bool world_recording;
struct hidden world_hidden;

static const struct scenario *scenario;

void world_enter(const char *what, const volatile void *at, int order,
                 uintptr_t site)
{
  world_recording = false;
  history_settle();
  schedule_point();
  report_step(what, at, order, site);
}

static void act(unsigned thread)
{
  world_recording = true;
  scenario->act(thread);
  kernel_thread_ends();
  world_recording = false;
  history_settle();
}

static void play(uint64_t run)
{
  uint64_t seed = random_mix(test_seed() + run * UINT64_C(0x9e3779b97f4a7c15));

  if (search_on)
    seed = 1; /* all runs are alike but for their choices */
  report_begin(scenario->name, run);
  schedule_begin(seed);
  kernel_begin(seed);
  if (scenario->begin != NULL)
    scenario->begin();
  memory_begin();
  clock_begin();
  shadow_begin();
  history_begin();
  schedule_run(scenario->threads, act);
  kernel_end();
  if (scenario->end != NULL)
    scenario->end();
  kernel_give_back();
}

static void report_played(uint64_t runs, uint64_t steps, uint64_t began)
{
  fprintf(stderr, "%s: %" PRIu64 " schedules, %" PRIu64 " steps each, %.1f s\n",
          scenario->name, runs, steps / runs,
          (double)(test_now() - began) / 1e9);
}

void world_play(const struct scenario *to_play, uint64_t runs)
{
  const char *one = getenv("CMAP_WORLD_RUN");
  uint64_t began = test_now(), steps = 0, first = 0;

  sites_begin();
  if (runs == 0) /* searches only */
    return;
  if (one != NULL) {
    first = strtoull(one, NULL, 0);
    runs = first + 1;
  }
  scenario = to_play;
  for (uint64_t run = first; run < runs; run++) {
    play(run);
    steps += schedule_steps();
  }
  report_played(runs - first, steps, began);
}

void world_search(const struct scenario *to_play, unsigned interruptions)
{
  uint64_t began = test_now(), steps = 0, run = 0;

  sites_begin();
  scenario = to_play;
  schedule_interrupt(interruptions);
  search_begin();
  do {
    play(run++);
    steps += schedule_steps();
  } while (search_next());
  report_played(run, steps, began);
}

bool world_search_fails(const struct scenario *to_play, unsigned interruptions)
{
  int status;
  pid_t child = fork();

  if (child == 0) {
    setenv("CMAP_WORLD_QUIET", "1", 1);
    close(STDERR_FILENO);
    world_search(to_play, interruptions);
    _exit(0);
  }
  if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status))
    abort();
  return WEXITSTATUS(status) != 0;
}

uint64_t world_runs(void)
{
  const char *text = getenv("CMAP_WORLD_RUNS");

  /* The variant clang, in which this is, does a quarter of the work. */
  return text != NULL ? strtoull(text, NULL, 0) : test_scale(400000);
}

void world_hide(const void *at, size_t size)
{
  world_hidden.at = (uintptr_t)at;
  world_hidden.size = size;
}

uint64_t world_choose(uint64_t n)
{
  bool recording = world_recording;
  uint64_t chosen;

  world_recording = false;
  chosen = schedule_below(n);
  world_recording = recording;
  return chosen;
}

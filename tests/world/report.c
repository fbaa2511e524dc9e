#include "report.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "fiber.h"
#include "recording.h"
#include "schedule.h"
#include "settings.h"
#include "world.h"

/* A power of two. */
enum { STEPS = 4096, PRINTED = 120 };

struct step {
  const char *what;
  uintptr_t at;
  uint64_t value;
  uint32_t site;
  uint32_t later;
  int8_t order;
  uint8_t thread;
};

static struct {
  const char *scenario;
  uint64_t run;
  uint64_t count;
  struct step steps[STEPS];
} now;

void report_begin(const char *scenario, uint64_t run)
{
  now.scenario = scenario;
  now.run = run;
  now.count = 0;
}

void report_step(const char *what, const volatile void *at, int order,
                 uintptr_t site)
{
  now.steps[now.count++ % STEPS] =
      (struct step){.what = what,
                    .at = (uintptr_t)at,
                    .site = (uint32_t)(site - report_base()),
                    .later = UINT32_MAX,
                    .order = (int8_t)order,
                    .thread = (uint8_t)fiber_self()};
}

void report_value(uint64_t value, unsigned later)
{
  struct step *step = &now.steps[(now.count - 1) % STEPS];

  step->value = value;
  step->later = later;
}

/* Prints file:line of offsets, of the innermost place outside base/atomics.h,
 * one a line, into `lines`. */
static void find_lines(const uint32_t *sites, unsigned n, char (*lines)[64])
{
  static char command[64 * (PRINTED + 4)];
  char line[512];
  int length = snprintf(command, sizeof command,
                        "addr2line -a -i -s -e /proc/%d/exe", (int)getpid());
  FILE *pipe;
  unsigned at = 0;

  /* A return address belongs to the line of the call before it. */
  for (unsigned i = 0; i < n; i++) {
    lines[i][0] = 0;
    length += snprintf(command + length, sizeof command - (size_t)length,
                       " %#x", sites[i] - 1);
  }
  pipe = popen(command, "r");
  if (pipe == NULL)
    return;
  while (fgets(line, sizeof line, pipe) != NULL) {
    if (strncmp(line, "0x", 2) == 0)
      at++;
    else if (at > 0 && at <= n && lines[at - 1][0] == 0 &&
             strncmp(line, "atomics.h", 9) != 0)
      (void)snprintf(lines[at - 1], 64, "%.*s", (int)strcspn(line, " \n"),
                     line);
  }
  (void)pclose(pipe);
}

static struct {
  const char *what;
  uint32_t site;
} more[2];
static unsigned more_count;

void report_site(const char *what, uint32_t offset)
{
  if (more_count == sizeof more / sizeof *more)
    return;
  more[more_count].what = what;
  more[more_count++].site = offset;
}

static void print_step(const struct step *step, const char *line)
{
  static const char *const orders[] = {"relaxed", "consume", "acquire",
                                       "release", "acq_rel", "seq_cst"};

  fprintf(stderr, "  %*s%u %s %s", 2 * step->thread, "", step->thread,
          step->what, step->order < 0 ? "" : orders[step->order]);
  if (step->at != 0)
    fprintf(stderr, " %#" PRIxPTR, step->at);
  if (step->later != UINT32_MAX)
    fprintf(stderr, " = %#" PRIx64, step->value);
  if (step->later != UINT32_MAX && step->later > 0)
    fprintf(stderr, " (%u later)", step->later);
  fprintf(stderr, "  %s\n", line);
}

_Noreturn void world_failed(const char *file, int line, const char *what)
{
  static char lines[PRINTED + 2][64];
  static uint32_t sites[PRINTED + 2];
  unsigned n = now.count < PRINTED ? (unsigned)now.count : PRINTED;
  uint64_t first = now.count - n;

  world_recording = false;
  fprintf(stderr, "%s:%d: thread %u: %s\n", file, line, fiber_self(), what);
  if (getenv("CMAP_WORLD_QUIET") == NULL) {
    for (unsigned i = 0; i < n; i++)
      sites[i] = now.steps[(first + i) % STEPS].site;
    for (unsigned i = 0; i < more_count; i++)
      sites[n + i] = more[i].site;
    find_lines(sites, n + more_count, lines);
    for (unsigned i = 0; i < n; i++)
      print_step(&now.steps[(first + i) % STEPS], lines[i]);
    for (unsigned i = 0; i < more_count; i++)
      fprintf(stderr, "  %s: %s\n", more[i].what, lines[n + i]);
  }
  fprintf(stderr,
          "%s, run %" PRIu64 " (%s): CMAP_TEST_SEED=%" PRIu64
          " CMAP_WORLD_RUN=%" PRIu64 "\n",
          now.scenario, now.run, schedule_way(), test_seed(), now.run);
  fflush(NULL);
  _exit(1);
}

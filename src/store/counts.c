/*
 * Which thread counts where.
 */
#include "store/counts.h"

#include <pthread.h>
#include <stdbool.h>

#include "sync/hold.h"

_Thread_local unsigned cmap__count_line
    __attribute__((tls_model("initial-exec")));

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static bool has_key;          /* written once */
static _Atomic uint64_t used; /* atomic: a bit for each line but the last */

/* The last line is nobody's own. */
#define ALL_USED ((UINT64_C(1) << (CMAP__COUNT_LINES - 1)) - 1)

/* A thread ends: another may have its line. */
static void give_line(void *line)
{
  unsigned number = (unsigned)(uintptr_t)line;

  /* What is counted later goes to the shared line: a line taken now would be
   * given back when ThreadSanitizer has ended the thread already. */
  cmap__count_line = CMAP__COUNT_LINES;
  /* Release, and acquire in take_line: the next one adds to our counts. */
  cmap__and_release(&used, ~(UINT64_C(1) << (number - 1)));
}

static void make_key(void)
{
  has_key = pthread_key_create(&key, give_line) == 0;
}

/* A free line's number; 0 if there is none. */
static unsigned take_line(void)
{
  uint64_t word = cmap__load_relaxed(&used);

  /* Ends: a failure means that another thread got a line, or gave it back. */
  while (word != ALL_USED) {
    unsigned free = (unsigned)__builtin_ctzll(~word);
    if (cmap__cas_weak_acquire(&used, &word, word | UINT64_C(1) << free))
      return free + 1;
  }
  return 0;
}

CMAP__NOINLINE unsigned cmap__count_line_find(void)
{
  unsigned line = 0;

  /* No new destructor at so late a time: ThreadSanitizer has ended the thread
   * before it would run. */
  if (cmap__self.ends)
    return CMAP__COUNT_LINES;
  if (pthread_once(&once, make_key) == 0 && has_key)
    line = take_line();
  if (line != 0 && pthread_setspecific(key, (void *)(uintptr_t)line) != 0) {
    give_line((void *)(uintptr_t)line);
    line = 0;
  }
  cmap__count_line = line == 0 ? CMAP__COUNT_LINES : line;
  return cmap__count_line;
}

uint64_t cmap__counts_sum(const struct cmap__counts *counts,
                          enum cmap__count what)
{
  uint64_t sum = 0;

  for (unsigned i = 0; i < CMAP__COUNT_LINES; i++)
    sum += cmap__load_acquire(&counts->lines[i].counts[what]); /* [N3] */
  return sum;
}

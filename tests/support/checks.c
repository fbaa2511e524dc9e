#include "checks.h"

#include <stdatomic.h>
#include <stdio.h>

/* Failures beyond these are counted, not printed. */
#define PRINTED_FAILURES 5

static atomic_uint failures;
static const char *first_file; /* written by the first to fail, read after */
static int first_line;         /* all threads were joined */
static _Atomic(const char *) about;

void checks_about(const char *what)
{
  atomic_store_explicit(&about, what, memory_order_relaxed);
}

static void record(const char *file, int line, const char *what,
                   const char *got, const char *expected)
{
  unsigned before = atomic_fetch_add(&failures, 1);
  const char *where = atomic_load_explicit(&about, memory_order_relaxed);

  if (before == 0) {
    first_file = file;
    first_line = line;
  }
  if (before < PRINTED_FAILURES) {
    fprintf(stderr, "%s:%d: %s%s%s%s%s%s%s\n", file, line, what,
            got ? " gave " : "", got ? got : "", got ? ", expected " : "",
            got ? expected : "", where ? " - " : "", where ? where : "");
  }
}

void check_failed(const char *file, int line, const char *what)
{
  record(file, line, what, NULL, NULL);
}

enum cmap_status check_status(const char *file, int line, const char *what,
                              enum cmap_status got, enum cmap_status expected)
{
  if (got != expected) {
    record(file, line, what, cmap_status_name(got), cmap_status_name(expected));
  }
  return got;
}

void assert_status_at(const char *file, int line, const char *what,
                      enum cmap_status got, enum cmap_status expected)
{
  if (got == expected) {
    return;
  }
  print_error("%s gave %s, expected %s\n", what, cmap_status_name(got),
              cmap_status_name(expected));
  _fail(file, line);
}

bool checks_failed(void)
{
  return atomic_load_explicit(&failures, memory_order_relaxed) != 0;
}

void checks_assert(void)
{
  unsigned count = atomic_exchange(&failures, 0);

  checks_about(NULL);
  if (count != 0) {
    print_error("%u checks failed\n", count);
    _fail(first_file, first_line);
  }
}

/*
 * check.h: what each tier checks, and what a failure does.
 *
 * The macros look at CMAP_CHECK where they are used, so that this file sets
 * it anew for each tier. What check.c was built with is kept aside first.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/check.h"

enum { BUILD_CHECK = CMAP_CHECK };

static struct {
  unsigned calls;
  const char *file;
  int line;
  const char *text;
} failure;

static void record_failure(const char *file, int line, const char *text)
{
  failure.calls++;
  failure.file = file;
  failure.line = line;
  failure.text = text;
}

static int record_failures(void **state)
{
  (void)state;
  memset(&failure, 0, sizeof failure);
  return cmap__check_set_handler(record_failure) == NULL ? 0 : -1;
}

static int restore_handler(void **state)
{
  (void)state;
  return cmap__check_set_handler(NULL) == record_failure ? 0 : -1;
}

static unsigned evaluations;

static int evaluated(int result)
{
  evaluations++;
  return result;
}

#undef CMAP_CHECK
#define CMAP_CHECK 0

static void tier_0_evaluates_nothing(void **state)
{
  (void)state;
  evaluations = 0;
  cmap__assert(evaluated(0));
  cmap__assert_valid(evaluated(0));
  assert_int_equal(evaluations, 0);
  assert_int_equal(failure.calls, 0);
}

#undef CMAP_CHECK
#define CMAP_CHECK 1

static void tier_1_checks_what_is_cheap(void **state)
{
  (void)state;
  evaluations = 0;
  cmap__assert(evaluated(1));
  cmap__assert_valid(evaluated(0));
  assert_int_equal(evaluations, 1);
  assert_int_equal(failure.calls, 0);

  cmap__assert(evaluated(0));
  assert_int_equal(evaluations, 2);
  assert_int_equal(failure.calls, 1);
}

/* A failure names its place, and the program goes on after the handler. */
static void failures_name_their_place(void **state)
{
  int line;

  (void)state;
  line = __LINE__ + 1;
  cmap__assert(line < 0);
  assert_int_equal(failure.calls, 1);
  assert_int_equal(failure.line, line);
  assert_string_equal(failure.file, __FILE__);
  assert_string_equal(failure.text, "line < 0");
}

/* The macro is one statement: the else belongs to the outer if. */
static void assertions_are_statements(void **state)
{
  bool other = false;

  (void)state;
  if (evaluated(0))
    cmap__assert(evaluated(0));
  else
    other = true;
  assert_true(other);
  assert_int_equal(failure.calls, 0);
}

#undef CMAP_CHECK
#define CMAP_CHECK 2

static void tier_2_checks_everything(void **state)
{
  (void)state;
  evaluations = 0;
  cmap__assert(evaluated(1));
  cmap__assert_valid(evaluated(1));
  assert_int_equal(evaluations, 2);
  assert_int_equal(failure.calls, 0);

  cmap__assert(evaluated(0));
  cmap__assert_valid(evaluated(0));
  assert_int_equal(evaluations, 4);
  assert_int_equal(failure.calls, 2);
}

/* -------------------------------------------------------------------------
 * The default handler, in a process of its own
 * ------------------------------------------------------------------------- */

static void fail_in_child(int stderr_to, const char *text)
{
  const struct rlimit no_core = {0, 0};

  (void)setrlimit(RLIMIT_CORE, &no_core);
  (void)dup2(stderr_to, STDERR_FILENO);
  cmap__check_failed("some_file.c", 12, text);
  _exit(0);
}

/* Runs the default handler; returns what it wrote and how it ended. */
static int default_failure(const char *text, char *output, size_t size)
{
  int ends[2];
  int status;
  size_t used = 0;
  ssize_t got;

  assert_int_equal(pipe(ends), 0);
  pid_t child = fork();

  assert_true(child >= 0);
  if (child == 0)
    fail_in_child(ends[1], text);
  close(ends[1]);
  while (used < size - 1 &&
         (got = read(ends[0], output + used, size - 1 - used)) > 0)
    used += (size_t)got;
  output[used] = '\0';
  close(ends[0]);
  assert_int_equal(waitpid(child, &status, 0), child);
  return status;
}

static void default_writes_a_line_and_aborts(void **state)
{
  char output[1024];
  int status = default_failure("a == b", output, sizeof output);

  (void)state;
  if (BUILD_CHECK >= 1) {
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    assert_string_equal(output,
                        "libcmap: some_file.c:12: assertion failed: a == b\n");
  } else {
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_string_equal(output, "");
  }
}

/* A long condition is cut off, and its line is still a line. */
static void default_cuts_long_texts(void **state)
{
  char text[2000];
  char output[4000];

  (void)state;
  memset(text, 'x', sizeof text - 1);
  text[sizeof text - 1] = '\0';
  (void)default_failure(text, output, sizeof output);
  if (BUILD_CHECK >= 1) {
    size_t size = strlen(output);

    assert_true(size > 400 && size < 600);
    assert_int_equal(output[size - 1], '\n');
    assert_int_equal(output[size - 2], 'x');
    assert_ptr_equal(strchr(output, '\n'), output + size - 1);
  } else {
    assert_string_equal(output, "");
  }
}

#define recording_test(test)                                                   \
  cmocka_unit_test_setup_teardown(test, record_failures, restore_handler)

int main(void)
{
  const struct CMUnitTest tests[] = {
      recording_test(tier_0_evaluates_nothing),
      recording_test(tier_1_checks_what_is_cheap),
      recording_test(failures_name_their_place),
      recording_test(assertions_are_statements),
      recording_test(tier_2_checks_everything),
      cmocka_unit_test(default_writes_a_line_and_aborts),
      cmocka_unit_test(default_cuts_long_texts),
  };

  return cmocka_run_group_tests_name("check", tests, NULL, NULL);
}

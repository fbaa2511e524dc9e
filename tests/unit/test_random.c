/*
 * base/random: the bytes are complete whatever the system gives at a time, and
 * come from the device where getrandom is refused.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/random.h"

/*
 * Stands in for the system's getrandom in this program. While there is a
 * script it gives consecutive bytes: as many as the next step says, or all
 * after the last step (0); a negative step is an errno.
 */
static const int *script;

ssize_t getrandom(void *buffer, size_t size, unsigned flags)
{
  static unsigned char next;
  size_t given = size;

  if (script == NULL)
    return syscall(SYS_getrandom, buffer, size, flags);

  if (*script != 0) {
    int step = *script++;

    if (step < 0) {
      errno = -step;
      return -1;
    }
    if ((size_t)step < size)
      given = (size_t)step;
  }
  for (size_t i = 0; i < given; i++)
    ((unsigned char *)buffer)[i] = ++next;
  return (ssize_t)given;
}

static void bytes_differ_each_time(void **state)
{
  uint64_t a[2], b[2];

  (void)state;
  assert_true(cmap__random_bytes(a, sizeof a));
  assert_true(cmap__random_bytes(b, sizeof b));
  assert_int_not_equal(a[0], b[0]);
  assert_int_not_equal(a[1], b[1]);
}

static void bytes_are_complete(void **state)
{
  static const int pieces[] = {5, -EINTR, 1, -EINTR, -EINTR, 9, 0};
  unsigned char bytes[16];

  (void)state;
  script = pieces;
  assert_true(cmap__random_bytes(bytes, sizeof bytes));
  assert_int_equal(*script, 0);
  script = NULL;

  /* The pieces follow each other: 15 bytes from the script, 1 after it. */
  for (size_t i = 1; i < sizeof bytes; i++)
    assert_int_equal(bytes[i], (unsigned char)(bytes[i - 1] + 1));
}

/* Refused at once, and after a part; without and with the device. */
static void the_device_stands_in(void **state)
{
  static const int at_once[] = {-ENOSYS, 0};
  static const int midway[] = {8, -EPERM, 0};
  static const int *const scripts[] = {at_once, midway};
  const unsigned char none[64] = {0};
  struct rlimit limit, no_files;

  (void)state;
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
  no_files = limit;
  no_files.rlim_cur = 0;
  for (size_t i = 0; i < 2; i++) {
    unsigned char bytes[sizeof none] = {0};

    assert_int_equal(setrlimit(RLIMIT_NOFILE, &no_files), 0);
    script = scripts[i];
    assert_false(cmap__random_bytes(bytes, sizeof bytes));
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);

    memset(bytes, 0, sizeof bytes);
    script = scripts[i];
    assert_true(cmap__random_bytes(bytes, sizeof bytes));
    assert_int_equal(*script, 0);
    assert_memory_not_equal(bytes, none, sizeof bytes / 2);
    assert_memory_not_equal(bytes + sizeof bytes / 2, none, sizeof bytes / 2);
  }
  script = NULL;
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(bytes_differ_each_time),
      cmocka_unit_test(bytes_are_complete),
      cmocka_unit_test(the_device_stands_in),
  };

  return cmocka_run_group_tests_name("random", tests, NULL, NULL);
}

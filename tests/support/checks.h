/*
 * Checks that may be made on any thread and inside callbacks.
 *
 * cmocka's assertions leave by longjmp, which is right on the main thread
 * outside callbacks only: elsewhere they end the process or leave a lock
 * behind. CHECK records the first failure instead, and checks_assert, on
 * the main thread after the other threads were joined, fails the test.
 *
 * Concurrency: everything but checks_assert may be called on any thread. A
 * check that holds touches no shared memory, so that it orders nothing which
 * ThreadSanitizer should see unordered.
 */
#ifndef CMAP_TEST_CHECKS_H
#define CMAP_TEST_CHECKS_H

/* cmocka.h wants these four before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>

#include <cmap.h>

/* Records a failure unless condition holds. */
#define CHECK(condition)                                                       \
  ((condition) ? (void)0 : check_failed(__FILE__, __LINE__, #condition))

/* Records a failure: what the text says must never come about. */
#define CHECK_NEVER(text) check_failed(__FILE__, __LINE__, text)

/* Records a failure unless call returns the expected status; gives it. */
#define CHECK_STATUS(call, expected)                                           \
  check_status(__FILE__, __LINE__, #call, (call), (expected))

#define CHECK_OK(call) CHECK_STATUS(call, CMAP_OK)

/* The same at once, for the main thread outside callbacks. */
#define assert_status(call, expected)                                          \
  assert_status_at(__FILE__, __LINE__, #call, (call), (expected))

#define assert_ok(call) assert_status(call, CMAP_OK)

void check_failed(const char *file, int line, const char *what);
enum cmap_status check_status(const char *file, int line, const char *what,
                              enum cmap_status got, enum cmap_status expected);
void assert_status_at(const char *file, int line, const char *what,
                      enum cmap_status got, enum cmap_status expected);

/* Has any check failed since the last checks_assert? */
bool checks_failed(void);

/* Names what the checks are about, in later failures: a static string. */
void checks_about(const char *about);

/* Fails the running test if a check has failed, and forgets the failures. */
void checks_assert(void);

/* The statuses of callbacks in tests. */
enum { USER_STATUS = 7, OTHER_USER_STATUS = 4711 };

/* What an event is set to before a call that must not touch it. */
#define NO_EVENT ((enum cmap_event)99)

#endif

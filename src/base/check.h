/*
 * Assertions, in two tiers that CMAP_CHECK chooses when the library is built:
 *
 *   0  none: a release build never aborts and never prints
 *   1  cmap__assert: cheap conditions, a few instructions each
 *   2  also cmap__assert_valid: conditions that walk a whole structure, such
 *      as shard_is_valid()
 *
 * The condition is compiled in every build, so that it cannot rot, and is
 * evaluated only in builds that check it: it must have no side effects. An
 * assertion is about the library's own mistakes; a caller's mistakes that can
 * be seen get a status code in every build.
 *
 * Neighbours: check.c has the reaction to a failure, which tests replace.
 */
#ifndef CMAP__BASE_CHECK_H
#define CMAP__BASE_CHECK_H

#include <stdbool.h>
#include <stddef.h>

#include "base/compiler.h"

#ifndef CMAP_CHECK
#  define CMAP_CHECK 0
#endif

#define cmap__assert(condition)                                                \
  do {                                                                         \
    if (CMAP_CHECK >= 1 && cmap__unlikely(!(condition)))                       \
      cmap__check_failed(__FILE__, __LINE__, #condition);                      \
  } while (0)

#define cmap__assert_valid(condition)                                          \
  do {                                                                         \
    if (CMAP_CHECK >= 2 && cmap__unlikely(!(condition)))                       \
      cmap__check_failed(__FILE__, __LINE__, #condition);                      \
  } while (0)

/*
 * A caller's mistake, by which a call comes to CMAP_EINVAL: the condition, and
 * from CMAP_CHECK 1 on the sentence for cmap_last_error, a literal.
 */
#define CMAP__WRONG(condition, sentence)                                       \
  (cmap__unlikely(condition) && cmap__blame(sentence))
#define CMAP__MISSING(argument)                                                \
  CMAP__WRONG((argument) == NULL, #argument " is NULL")

void cmap__note_error(const char *sentence);

/* True. */
static inline bool cmap__blame(const char *sentence)
{
  if (CMAP_CHECK >= 1)
    cmap__note_error(sentence);
  return true;
}

/* What is done about a failed condition; `text` is its source. */
typedef void cmap__check_handler(const char *file, int line, const char *text);

/*
 * Calls the handler. The default handler writes one line to standard error and
 * aborts, but does nothing if check.c was built with CMAP_CHECK 0. When the
 * handler returns, the program goes on after the assertion.
 */
CMAP__COLD void cmap__check_failed(const char *file, int line,
                                   const char *text);

/*
 * For tests: replaces the handler and returns the former one; NULL stands for
 * the default. Any thread may call the handler, two at once too.
 */
cmap__check_handler *cmap__check_set_handler(cmap__check_handler *handler);

#endif

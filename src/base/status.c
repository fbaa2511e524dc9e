/*
 * The names and texts of the status codes, from the one list in cmap.h.
 *
 * A switch and not a table by value: the compiler then reports two codes of
 * the same value, and codes may have gaps.
 */
#include "cmap.h"

#include "base/check.h"

/* What is not in the list: the user's own codes are above 0. */
static const char *unlisted(enum cmap_status status)
{
  return (int)status > 0 ? "user status" : "unknown status";
}

const char *cmap_status_name(enum cmap_status status)
{
  switch ((int)status) {
#define STATUS_NAME(name, value, text)                                         \
  case value:                                                                  \
    return #name;
    CMAP_STATUS_MAP(STATUS_NAME)
#undef STATUS_NAME
  default:
    return unlisted(status);
  }
}

const char *cmap_status_text(enum cmap_status status)
{
  switch ((int)status) {
#define STATUS_TEXT(name, value, text)                                         \
  case value:                                                                  \
    return text;
    CMAP_STATUS_MAP(STATUS_TEXT)
#undef STATUS_TEXT
  default:
    return unlisted(status);
  }
}

unsigned cmap_version(void)
{
  return CMAP_VERSION;
}

#if CMAP_CHECK >= 1
/* Of the thread: a literal, or NULL. */
static _Thread_local const char *last_error;

void cmap__note_error(const char *sentence)
{
  last_error = sentence;
}

const char *cmap_last_error(void)
{
  return last_error == NULL ? "no argument was wrong" : last_error;
}
#else
void cmap__note_error(const char *sentence)
{
  (void)sentence;
}

const char *cmap_last_error(void)
{
  return "this library is built without -DCMAP_CHECK=1";
}
#endif

/*
 * The names and texts of the status codes, from the one list in cmap.h.
 *
 * A switch and not a table by value: the compiler then reports two codes of
 * the same value, and codes may have gaps.
 */
#include "cmap.h"

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

/*
 * status.c: every status of cmap.h has a name and a text.
 */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cmap.h"

static const struct {
  enum cmap_status status;
  int value;
  const char *name;
  const char *text;
} listed[] = {
#define LISTED(name, value, text) {name, value, #name, text},
    CMAP_STATUS_MAP(LISTED)
#undef LISTED
};

enum { LISTED_COUNT = sizeof listed / sizeof *listed };

static void listed_statuses_have_name_and_text(void **state)
{
  (void)state;
  for (size_t i = 0; i < LISTED_COUNT; i++) {
    assert_int_equal(listed[i].status, listed[i].value);
    assert_string_equal(cmap_status_name(listed[i].status), listed[i].name);
    assert_string_equal(cmap_status_text(listed[i].status), listed[i].text);
  }

  /* Two by hand, in case that the list is wrong at both ends. */
  assert_string_equal(cmap_status_name(CMAP_OK), "CMAP_OK");
  assert_string_equal(cmap_status_name(CMAP_NOT_FOUND), "CMAP_NOT_FOUND");
  assert_int_equal(CMAP_OK, 0);
  assert_string_equal(cmap_status_text(CMAP_NOT_FOUND), "the key is absent");
}

/* The library's codes are negative but for CMAP_OK, and all are different. */
static void listed_statuses_are_distinct(void **state)
{
  (void)state;
  for (size_t i = 0; i < LISTED_COUNT; i++) {
    assert_true(i == 0 ? listed[i].value == 0 : listed[i].value < 0);
    assert_true(strlen(listed[i].text) > 0);
    for (size_t j = 0; j < i; j++) {
      assert_int_not_equal(listed[i].value, listed[j].value);
      assert_string_not_equal(listed[i].name, listed[j].name);
      assert_string_not_equal(listed[i].text, listed[j].text);
    }
  }
}

static void other_values_are_named_too(void **state)
{
  static const int user[] = {1, 2, 4711, INT_MAX};
  static const int unknown[] = {-4711, INT_MIN + 1, INT_MIN};

  (void)state;
  for (size_t i = 0; i < sizeof user / sizeof *user; i++) {
    enum cmap_status status = (enum cmap_status)user[i];

    assert_string_equal(cmap_status_name(status), "user status");
    assert_string_equal(cmap_status_text(status), "user status");
  }
  for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
    enum cmap_status status = (enum cmap_status)unknown[i];

    assert_string_equal(cmap_status_name(status), "unknown status");
    assert_string_equal(cmap_status_text(status), "unknown status");
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(listed_statuses_have_name_and_text),
      cmocka_unit_test(listed_statuses_are_distinct),
      cmocka_unit_test(other_values_are_named_too),
  };

  return cmocka_run_group_tests_name("status", tests, NULL, NULL);
}

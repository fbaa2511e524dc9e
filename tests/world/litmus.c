#include "litmus.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "world.h"

_Atomic int x, y, z;
int r[4];
memory_order o1, o2;
void (*between)(void);

/* Digits 0, 1, 2; at most four of them. */
enum { OUTCOMES = 81, RUNS = 6000 };

/* Of the search of each: with one, not all outcomes are met. */
enum { INTERRUPTIONS = 2 };

static struct {
  const struct litmus *test;
  uint64_t met[OUTCOMES];
} now;

static void none(void)
{
}

static void begin(void)
{
  x = y = z = 0;
  memset(r, 0, sizeof r);
}

static void end(void)
{
  const int ends[] = {x, y, z};
  unsigned outcome = 0;

  for (unsigned i = 0; i < now.test->digits; i++)
    outcome = 3 * outcome + (unsigned)r[i];
  for (unsigned i = 0; i < now.test->ends; i++)
    outcome = 3 * outcome + (unsigned)ends[i];
  now.met[outcome]++;
}

static const char *text_of(unsigned outcome)
{
  static char text[5];
  unsigned n = now.test->digits + now.test->ends;

  text[n] = 0;
  for (unsigned i = n; i-- > 0; outcome /= 3)
    text[i] = (char)('0' + outcome % 3);
  return text;
}

static bool is_expected(const char *expected, unsigned outcome)
{
  const char *text = text_of(outcome);

  if (expected[0] == '!')
    return strchr(text, '2') == NULL && strstr(expected, text) == NULL;
  return strstr(expected, text) != NULL;
}

/* Outcomes that were met and should not be, and the other way round. */
static unsigned wrong_outcomes(const char *name, const char *expected)
{
  unsigned outcomes = 1, wrong = 0;

  for (unsigned i = 0; i < now.test->digits + now.test->ends; i++)
    outcomes *= 3;
  for (unsigned i = 0; i < outcomes; i++) {
    if ((now.met[i] > 0) != is_expected(expected, i)) {
      print_error("%s: %s was met %lu times\n", name, text_of(i),
                  (unsigned long)now.met[i]);
      wrong++;
    }
  }
  memset(now.met, 0, sizeof now.met);
  return wrong;
}

void litmus(const struct litmus *test, memory_order first, memory_order second,
            void (*fence)(void), const char *expected)
{
  static char name[80];
  struct scenario scenario = {.name = name,
                              .threads = test->threads,
                              .begin = begin,
                              .act = test->act,
                              .end = end};
  unsigned wrong;

  (void)snprintf(name, sizeof name, "%s %d %d%s", test->name, first, second,
                 fence == NULL ? "" : " with fences");
  o1 = first;
  o2 = second;
  between = fence == NULL ? none : fence;
  now.test = test;
  world_play(&scenario, RUNS * test->threads);
  wrong = wrong_outcomes(name, expected);
  world_search(&scenario, INTERRUPTIONS);
  wrong += wrong_outcomes(name, expected);
  assert_int_equal(wrong, 0);
}

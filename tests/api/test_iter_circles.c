/* Threads that wait for what iterators hold, in a circle. */
#include "asleep.h"
#include "numbers.h"
#include "step.h"
#include "threads.h"

#include <string.h>

static uint64_t number_at(const void *at)
{
  uint64_t number;

  memcpy(&number, at, sizeof number);
  return number;
}

/* An iterator at the entry of a key. */
static struct cmap_iter iter_at(struct cmap *map, enum cmap_mode mode,
                                uint64_t id)
{
  struct cmap_iter iter = CMAP_INIT;

  CHECK_OK(cmap_iter_begin(map, mode, 0, 1, &iter));
  do {
    CHECK_OK(cmap_iter_next(&iter, NULL));
  } while (iter.key.data != NULL && number_at(iter.key.data) != id);
  return iter;
}

/* Each of two maps has one entry, 7. */
struct circle {
  struct cmap *maps[2];
  struct asleep sleeper;
  struct step step;
  bool walks; /* what waits is a step of an iterator, or an insert */
};

/* Holds map 0, and wants map 1. */
static void hold_and_want(unsigned index, void *ctx)
{
  struct circle *circle = ctx;
  struct cmap_iter first = iter_at(circle->maps[0], CMAP_WRITE, 7);
  struct cmap_iter second = CMAP_INIT;
  uint64_t id = 7, value = 8;

  (void)index;
  CHECK_OK(cmap_iter_begin(circle->maps[1], CMAP_READ, 0, 1, &second));
  asleep_here(&circle->sleeper);
  step_done(&circle->step, 1);
  if (circle->walks)
    CHECK_OK(cmap_iter_next(&second, NULL));
  else
    CHECK_OK(cmap_insert(circle->maps[1], cmap_key_u64(&id), &value, NULL, NULL,
                         NULL));
  cmap_iter_release(&second);
  cmap_iter_release(&first);
}

/* Who closes the circle is refused, and the other one goes on. */
static void circles_are_refused(void **state)
{
  (void)state;
  for (int way = 0; way < 4; way++) {
    struct circle circle = {.walks = way & 1};
    struct cmap_iter iter, other = CMAP_INIT;
    struct thread thread;
    uint64_t id = 7, value = 8;
    for (int i = 0; i < 2; i++) {
      circle.maps[i] = numbers_open();
      numbers_put(circle.maps[i], 7, 8);
    }
    asleep_begin(&circle.sleeper);
    step_begin(&circle.step);
    iter = iter_at(circle.maps[1], CMAP_WRITE, 7);
    CHECK_OK(cmap_iter_begin(circle.maps[0], CMAP_WRITE, 0, 1, &other));
    thread_start(&thread, hold_and_want, 0, &circle);
    step_wait(&circle.step, 1);
    asleep_wait(&circle.sleeper);
    if (way & 2)
      CHECK_STATUS(cmap_iter_next(&other, NULL), CMAP_EDEADLK);
    else
      CHECK_STATUS(cmap_insert(circle.maps[0], cmap_key_u64(&id), &value, NULL,
                               NULL, NULL),
                   CMAP_EDEADLK);
    CHECK(other.value == NULL && number_at(iter.value) == 8);
    cmap_iter_release(&iter);
    CHECK_OK(cmap_iter_next(&other, NULL)); /* when the thread is done */
    cmap_iter_release(&other);
    thread_join(&thread);
    step_end(&circle.step);
    cmap_destroy(circle.maps[0]);
    cmap_destroy(circle.maps[1]);
  }
  checks_assert();
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(circles_are_refused),
  };

  return cmocka_run_group_tests_name("iter_circles", tests, NULL, NULL);
}

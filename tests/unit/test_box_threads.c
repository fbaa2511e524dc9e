/*
 * Boxes whose pages go back to the system, and threads that take and give each
 * other's boxes.
 */
#include <string.h>

#include "base/alloc.h"
#include "box_held.h"
#include "checks.h"
#include "counting_alloc.h"
#include "settings.h"
#include "threads.h"

static size_t count_zero(const struct box_held *all, size_t n)
{
  size_t zero = 0;

  for (size_t i = 0; i < n; i++) {
    const volatile unsigned char *bytes = all[i].box.data;
    bool is_zero = true;
    for (size_t k = 0; k < all[i].size; k++)
      is_zero &= bytes[k] == 0;
    zero += is_zero;
  }
  return zero;
}

static void pages_go_back(void **state)
{
  enum { MOST = 4000 };
  static struct box_held all[MOST], was[MOST];
  struct cmap_allocator allocator = cmap__allocator_default;
  struct cmap__boxes boxes;
  size_t n = 500 + test_scale(3500), bytes, unused, most = 0, step;

  (void)state;
  cmap__boxes_init(&boxes, &allocator, false);
  for (size_t round = 0; round < 6; round++) {
    for (size_t i = 0; i < n; i++)
      assert_true(
          box_held_take(&boxes, 300 + round * 60 + i % 100 * 8, 8, i, &all[i]));
    cmap__boxes_bytes(&boxes, &bytes, &unused);
    assert_true(bytes >= n * 300);
    most = bytes > most ? bytes : most;
    memcpy(was, all, sizeof was);
    /* Half of them stay, and keep what is in them. */
    for (size_t i = 0; i < n; i += 2)
      box_held_give(&boxes, &all[i]);
    cmap__boxes_trim(&boxes);
    while (cmap__boxes_release(&boxes) > 0)
      continue;
    for (size_t i = 1; i < n; i += 2)
      assert_true(box_held_is_whole(&all[i]));
    for (size_t i = 1; i < n; i += 2)
      box_held_give(&boxes, &all[i]);
    cmap__boxes_trim(&boxes);
    while ((step = cmap__boxes_release(&boxes)) > 0)
      assert_true(step <= 64 * 1024 + ((size_t)1 << CMAP__SLAB_LOG2_MOST));
    assert_int_equal(cmap__boxes_idle(&boxes), 0);
    assert_int_equal(cmap__boxes_used(&boxes), 0);
    assert_null(cmap__boxes_broken(&boxes));
    cmap__boxes_bytes(&boxes, &bytes, &unused);
    assert_true(bytes <= most / 10 + 64 * 1024);
    assert_true(count_zero(was, n) >= n - n / 5);
  }
  cmap__boxes_destroy(&boxes);
  checks_assert();
}

enum { THREADS = 4, PLACES = 64 };

struct stage {
  struct cmap__boxes *boxes;
  size_t rounds;
  struct place {
    pthread_mutex_t mutex;
    struct box_held held; /* no data: none */
  } places[PLACES];
};

/* Puts a box, or none, into a place, and gives what was there. */
static struct box_held exchange(struct place *place, struct box_held held)
{
  struct box_held old;

  pthread_mutex_lock(&place->mutex);
  old = place->held;
  place->held = held;
  pthread_mutex_unlock(&place->mutex);
  return old;
}

static void pass_boxes_on(unsigned index, void *ctx)
{
  struct stage *stage = ctx;
  struct random random;
  struct box_held held;

  random_begin(&random, index);
  for (size_t i = 0; i < stage->rounds; i++) {
    struct place *place = &stage->places[random_below(&random, PLACES)];
    memset(&held, 0, sizeof held);
    if (!random_once_in(&random, 4))
      CHECK(box_held_take(stage->boxes, box_held_size(&random) / 4 + 1,
                          box_held_align(&random), i * THREADS + index, &held));
    held = exchange(place, held);
    if (held.box.data != NULL)
      box_held_give(stage->boxes, &held);
    if (random_once_in(&random, 1000))
      cmap__boxes_trim(stage->boxes);
    if (random_once_in(&random, 1000))
      (void)cmap__boxes_release(stage->boxes);
    if (random_once_in(&random, 1000))
      CHECK(cmap__boxes_broken(stage->boxes) == NULL);
  }
}

static void threads_give_each_others_boxes(void **state)
{
  static struct stage stage;
  struct cmap_allocator own = cmap__allocator_default, allocator;
  struct cmap__boxes with_pages, counted;
  struct counting_alloc alloc;

  (void)state;
  counting_alloc_begin(&alloc);
  allocator = counting_alloc_hook(&alloc);
  cmap__boxes_init(&counted, &allocator, false);
  cmap__boxes_init(&with_pages, &own, false);
  stage.rounds = test_scale(60000);
  for (int k = 0; k < 2; k++) {
    stage.boxes = k == 0 ? &counted : &with_pages;
    for (size_t i = 0; i < PLACES; i++)
      pthread_mutex_init(&stage.places[i].mutex, NULL);
    threads_run(THREADS, pass_boxes_on, &stage);
    for (size_t i = 0; i < PLACES; i++) {
      if (stage.places[i].held.box.data != NULL)
        box_held_give(stage.boxes, &stage.places[i].held);
      pthread_mutex_destroy(&stage.places[i].mutex);
    }
    assert_int_equal(cmap__boxes_used(stage.boxes), 0);
    assert_null(cmap__boxes_broken(stage.boxes));
    cmap__boxes_trim(stage.boxes);
    if (k == 1) {
      /* Nothing is stuck in the heap of a thread that has ended. */
      size_t before, bytes, unused;
      cmap__boxes_bytes(stage.boxes, &before, &unused);
      while (cmap__boxes_release(stage.boxes) > 0)
        continue;
      cmap__boxes_bytes(stage.boxes, &bytes, &unused);
      assert_true(bytes <= before / 8 + 64 * 1024);
    }
  }
  cmap__boxes_destroy(&with_pages);
  cmap__boxes_destroy(&counted);
  assert_true(counting_alloc_is_empty(&alloc));
  checks_assert();
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(pages_go_back),
      cmocka_unit_test(threads_give_each_others_boxes),
  };

  return cmocka_run_group_tests_name("box_threads", tests, NULL, NULL);
}

/*
 * Boxes (table/box.h): what is taken is whole and apart from all else, comes
 * back, and is used again; without memory nothing is lost.
 */
#include <string.h>

#include "base/alloc.h"
#include "box_held.h"
#include "counting_alloc.h"
#include "settings.h"
#include "threads.h"

struct fixture {
  struct counting_alloc alloc;
  struct cmap_allocator allocator;
  struct cmap__boxes boxes;
  struct random random;
};

static void begin(struct fixture *f)
{
  counting_alloc_begin(&f->alloc);
  f->allocator = counting_alloc_hook(&f->alloc);
  cmap__boxes_init(&f->boxes, &f->allocator, false);
  random_begin(&f->random, 0);
}

static void check_counts(struct fixture *f, size_t used)
{
  size_t bytes, unused;

  assert_int_equal(cmap__boxes_used(&f->boxes), used);
  assert_null(cmap__boxes_broken(&f->boxes));
  cmap__boxes_bytes(&f->boxes, &bytes, &unused);
  assert_true(unused <= bytes);
}

static void end(struct fixture *f)
{
  check_counts(f, 0);
  cmap__boxes_destroy(&f->boxes);
  assert_true(counting_alloc_is_empty(&f->alloc));
  checks_assert();
}

static void must_take(struct fixture *f, size_t size, size_t align,
                      uint64_t seed, struct box_held *held)
{
  assert_true(box_held_take(&f->boxes, size, align, seed, held));
}

static size_t bytes_of(struct fixture *f)
{
  size_t bytes, unused;

  cmap__boxes_bytes(&f->boxes, &bytes, &unused);
  return bytes;
}

/* -------------------------------------------------------------------------
 * Classes
 * ------------------------------------------------------------------------- */

static void classes_waste_little(void **state)
{
  struct cmap__box box;
  struct fixture f;

  (void)state;
  begin(&f);
  for (size_t size = 1; size <= CMAP__BOX_MOST; size++)
    for (size_t align = 1; align <= 64; align *= 2) {
      size_t bytes;
      size_t least = (size + align - 1) & ~(align - 1);
      assert_true(cmap__box_take(&f.boxes, size, align, &box));
      bytes = box.slab->box;
      cmap__box_give(&f.boxes, &box, size, align);
      assert_true(bytes >= size && bytes % 8 == 0 && bytes % align == 0);
      if (least <= 256)
        assert_true(bytes < least + 16);
      else
        assert_true(bytes - least <= least / 16);
      if (size > 1)
        assert_true(cmap__box_class(size) >= cmap__box_class(size - 1));
    }
  end(&f);
}

/* Each size lives once with each alignment, beside all the others. */
static void boxes_are_aligned_and_apart(void **state)
{
  enum { MOST = 8192 };
  static struct box_held all[MOST + 1];
  struct fixture f;
  size_t step = 1 + 100 / test_scale(100) / 4, n;

  (void)state;
  begin(&f);
  for (size_t align = 8; align <= 64; align *= 2) {
    n = 0;
    for (size_t size = 1; size <= MOST; size += step)
      must_take(&f, size, align, size * 64 + align, &all[n++]);
    check_counts(&f, n);
    /* What overlaps is not as it was filled. */
    for (size_t i = n; i-- > 0;)
      box_held_give(&f.boxes, &all[i]);
    check_counts(&f, 0);
  }
  end(&f);
}

/* -------------------------------------------------------------------------
 * Taking and giving
 * ------------------------------------------------------------------------- */

static void boxes_come_and_go(void **state)
{
  enum { MOST = 600 };
  static struct box_held all[MOST];
  struct fixture f;
  size_t rounds = test_scale(60), used = 0;

  (void)state;
  begin(&f);
  memset(all, 0, sizeof all);
  for (size_t round = 0; round < rounds; round++) {
    /* Now mostly taken, now mostly given. */
    bool takes = round % 4 < 2;
    for (size_t i = 0; i < 2 * MOST; i++) {
      struct box_held *held = &all[random_below(&f.random, MOST)];
      if (held->box.data != NULL && (!takes || random_once_in(&f.random, 4))) {
        used -= held->box.slab != NULL;
        box_held_give(&f.boxes, held);
      } else if (held->box.data == NULL &&
                 (takes || random_once_in(&f.random, 4))) {
        must_take(&f, box_held_size(&f.random), box_held_align(&f.random), i,
                  held);
        used += held->box.slab != NULL;
      }
    }
    check_counts(&f, used);
    if (random_once_in(&f.random, 4))
      cmap__boxes_trim(&f.boxes);
    check_counts(&f, used);
  }
  for (size_t i = 0; i < MOST; i++)
    if (all[i].box.data != NULL)
      box_held_give(&f.boxes, &all[i]);
  end(&f);
}

static void large_boxes_are_balanced(void **state)
{
  struct box_held held[20];
  struct fixture f;

  (void)state;
  begin(&f);
  for (int round = 0; round < 3; round++) {
    for (size_t i = 0; i < 20; i++)
      must_take(&f, CMAP__BOX_MOST + 1 + 1000 * i, (size_t)8 << i % 4, i,
                &held[i]);
    assert_int_equal(bytes_of(&f), counting_alloc_live_bytes(&f.alloc));
    check_counts(&f, 0);
    for (size_t i = 0; i < 20; i++)
      box_held_give(&f.boxes, &held[i]);
    assert_int_equal(bytes_of(&f), 0);
    assert_true(counting_alloc_is_empty(&f.alloc));
    counting_alloc_fail_from(&f.alloc, 1);
    assert_false(box_held_take(&f.boxes, CMAP__BOX_MOST + 1, 8, 1, &held[0]));
    assert_int_equal(bytes_of(&f), 0);
    counting_alloc_fail_none(&f.alloc);
  }
  end(&f);
}

/* Takes boxes of `size` bytes, so many that they are `sum`, and gives them. */
static void take_and_give(struct fixture *f, size_t size, size_t sum)
{
  static struct box_held all[4000];
  size_t n = sum / size;

  assert_true(n <= 4000);
  for (size_t i = 0; i < n; i++)
    must_take(f, size, 8, i, &all[i]);
  check_counts(f, n);
  for (size_t i = 0; i < n; i++)
    box_held_give(&f->boxes, &all[i]);
  check_counts(f, 0);
}

/* What one class has emptied is the next one's. */
static void emptied_slabs_are_used_again(void **state)
{
  enum { SUM = 400 * 1000, ROUNDS = 10 };
  struct fixture f;
  size_t first;

  (void)state;
  begin(&f);
  /* Other sizes, whose slabs have the same: nothing is missing but spares. */
  take_and_give(&f, 256, SUM);
  cmap__boxes_trim(&f.boxes);
  take_and_give(&f, 256, SUM);
  first = bytes_of(&f);
  for (size_t size = 136; size < 256; size += 8) {
    take_and_give(&f, size, SUM);
    cmap__boxes_trim(&f.boxes);
    assert_true(bytes_of(&f) <= first + first / 4);
  }
  end(&f);
  /* All sizes, again and again: after some rounds none needs more. What is
     spare of one size does not wait for it while others want memory. */
  begin(&f);
  for (int round = 0; round < ROUNDS; round++) {
    for (size_t size = 50; size <= 4000; size += 150)
      take_and_give(&f, size, SUM / 2);
    if (round == ROUNDS / 2)
      first = bytes_of(&f);
    assert_true(bytes_of(&f) <= 5 * (SUM / 2));
    assert_true(round < ROUNDS / 2 || bytes_of(&f) == first);
  }
  end(&f);
}

/* -------------------------------------------------------------------------
 * Without memory
 * ------------------------------------------------------------------------- */

enum { REFUSED = 4000 };
static struct box_held refused[REFUSED];

static void give_all(unsigned n, void *ctx)
{
  struct fixture *f = ctx;

  for (unsigned i = 0; i < n; i++)
    box_held_give(&f->boxes, &refused[i]);
}

/* As many as there is memory for, beyond the first `n`; gives how many. */
static unsigned take_all(struct fixture *f, size_t size, unsigned n)
{
  while (n < REFUSED && box_held_take(&f->boxes, size, 8, n, &refused[n]))
    n++;
  check_counts(f, n);
  return n;
}

static void nothing_is_lost_without_memory(void **state)
{
  static const size_t sizes[] = {1, 40, 300, 5000, CMAP__BOX_MOST, 64};
  struct thread thread;
  struct fixture f;

  (void)state;
  for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
    unsigned n = 0, again;
    begin(&f);
    /* Each request is refused once, and the next try comes through. */
    for (size_t nth = 1; n < 200;) {
      bool taken;
      counting_alloc_fail_nth(&f.alloc, nth);
      taken = box_held_take(&f.boxes, sizes[s], 8, n, &refused[n]);
      n += taken;
      check_counts(&f, n);
      assert_true(taken || counting_alloc_failures(&f.alloc) > 0);
      nth = counting_alloc_failures(&f.alloc) > 0 ? nth + 1 : 1;
    }
    counting_alloc_fail_from(&f.alloc, 1);
    n = take_all(&f, sizes[s], n);
    /* Giving needs no memory, not even a thread that has no heap yet. */
    if (s % 2 == 0) {
      thread_start(&thread, give_all, n, &f);
      thread_join(&thread);
    } else {
      give_all(n, &f);
    }
    checks_assert();
    check_counts(&f, 0);
    /* Slabs may be parted otherwise now. */
    again = take_all(&f, sizes[s], 0);
    assert_true(again >= n - n / 8);
    give_all(again, &f);
    counting_alloc_fail_none(&f.alloc);
    end(&f);
  }
}

/* The memory of one size is another's when there is no more. */
static void slabs_of_other_sizes_help(void **state)
{
  struct fixture f;
  unsigned n = 0, m;

  (void)state;
  begin(&f);
  for (; n < 500; n++)
    must_take(&f, 2000, 8, n, &refused[n]);
  give_all(n, &f);
  cmap__boxes_trim(&f.boxes);
  must_take(&f, 8, 8, 0, &refused[0]); /* lists for its class */
  box_held_give(&f.boxes, &refused[0]);
  counting_alloc_fail_from(&f.alloc, 1);
  m = take_all(&f, 100, 0);
  assert_true(m >= 1000);
  give_all(m, &f);
  end(&f);
}

/* With boxes in use, but no large ones: those are their entries'. */
static void destroy_frees_boxes_in_use(void **state)
{
  struct box_held held;
  struct fixture f;

  (void)state;
  begin(&f);
  for (size_t size = 1; size <= CMAP__BOX_MOST; size += 77)
    must_take(&f, size, 8, size, &held);
  cmap__boxes_destroy(&f.boxes);
  assert_true(counting_alloc_is_empty(&f.alloc));
  begin(&f); /* nothing is made before the first box */
  assert_int_equal(bytes_of(&f), 0);
  cmap__boxes_trim(&f.boxes);
  assert_int_equal(cmap__boxes_release(&f.boxes), 0);
  end(&f);
}

/* Heaps that another thread makes while this one forks, and has locked: in the
 * child nobody unlocks them. */
static void heaps_made_while_forking(void **state)
{
  struct box_held held;
  struct cmap__box_heaps *lost;
  struct fixture f;

  (void)state;
  begin(&f);
  cmap__boxes_stop(&f.boxes);
  must_take(&f, 100, 8, 1, &held);
  lost = cmap__load_acquire(&f.boxes.heaps);
  for (unsigned i = 0; i < CMAP__BOX_HEAPS; i++) {
    struct cmap__box_heap *heap = cmap__load_acquire(&lost->heaps[i]);
    if (heap != NULL)
      pthread_mutex_lock(&heap->mutex);
  }
  cmap__boxes_go_on(&f.boxes, true);
  must_take(&f, 100, 8, 2, &held);
  box_held_give(&f.boxes, &held);
  check_counts(&f, 0);
  cmap__boxes_destroy(&f.boxes);
  /* The child's loss is the test's to free. */
  for (unsigned i = 0; i < CMAP__BOX_HEAPS; i++) {
    struct cmap__box_heap *heap = cmap__load_acquire(&lost->heaps[i]);
    if (heap != NULL)
      pthread_mutex_unlock(&heap->mutex);
  }
  cmap__store_relaxed(&f.boxes.heaps, lost);
  cmap__boxes_destroy(&f.boxes);
  assert_true(counting_alloc_is_empty(&f.alloc));
  checks_assert();
}

static void boxes_around_fork(void **state)
{
  struct box_held held[2];
  struct fixture f;

  (void)state;
  begin(&f);
  must_take(&f, 100, 8, 1, &held[0]);
  for (int alone = 0; alone < 2; alone++) {
    cmap__boxes_stop(&f.boxes);
    cmap__boxes_go_on(&f.boxes, alone);
    must_take(&f, 200, 8, 2, &held[1]);
    box_held_give(&f.boxes, &held[1]);
  }
  box_held_give(&f.boxes, &held[0]);
  end(&f);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(classes_waste_little),
      cmocka_unit_test(boxes_are_aligned_and_apart),
      cmocka_unit_test(boxes_come_and_go),
      cmocka_unit_test(large_boxes_are_balanced),
      cmocka_unit_test(emptied_slabs_are_used_again),
      cmocka_unit_test(nothing_is_lost_without_memory),
      cmocka_unit_test(slabs_of_other_sizes_help),
      cmocka_unit_test(destroy_frees_boxes_in_use),
      cmocka_unit_test(heaps_made_while_forking),
      cmocka_unit_test(boxes_around_fork),
  };

  return cmocka_run_group_tests_name("box", tests, NULL, NULL);
}

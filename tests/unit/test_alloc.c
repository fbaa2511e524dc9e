/*
 * alloc.h: the default allocator, what an allocator is never asked for, and
 * size arithmetic.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/check.h"

/* A sanitizer's malloc is to say NULL like any other, not to end the test. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
  return "allocator_may_return_null=1";
}

const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
  return "allocator_may_return_null=1";
}

static bool is_filled(const unsigned char *memory, size_t size, int byte)
{
  for (size_t i = 0; i < size; i++) {
    if (memory[i] != byte)
      return false;
  }
  return true;
}

static void default_memory_is_aligned_and_ours(void **state)
{
  static const size_t sizes[] = {1, 3, 8, 17, 64, 100, 4096, 5000, 100000};
  enum { SIZES = sizeof sizes / sizeof *sizes };
  const struct cmap_allocator *allocator = &cmap__allocator_default;
  unsigned char *blocks[SIZES];

  (void)state;
  for (size_t align = 1; align <= 65536; align *= 2) {
    for (size_t i = 0; i < SIZES; i++) {
      blocks[i] = cmap__alloc(allocator, sizes[i], align);
      assert_non_null(blocks[i]);
      assert_int_equal((uintptr_t)blocks[i] & (align - 1), 0);
      memset(blocks[i], (int)i, sizes[i]);
    }
    for (size_t i = 0; i < SIZES; i++) {
      assert_true(is_filled(blocks[i], sizes[i], (int)i));
      cmap__free(allocator, blocks[i], sizes[i], align);
    }
  }
}

/* Many small blocks: malloc may place 8 bytes between multiples of 16. */
static void default_small_blocks_are_aligned(void **state)
{
  enum { BLOCKS = 64 };
  const struct cmap_allocator *allocator = &cmap__allocator_default;
  void *blocks[BLOCKS];

  (void)state;
  for (size_t align = 1; align <= 64; align *= 2) {
    for (size_t i = 0; i < BLOCKS; i++) {
      blocks[i] = cmap__alloc(allocator, 1, align);
      assert_non_null(blocks[i]);
      assert_int_equal((uintptr_t)blocks[i] & (align - 1), 0);
    }
    for (size_t i = 0; i < BLOCKS; i++)
      cmap__free(allocator, blocks[i], 1, align);
  }
}

/* What no allocator has: also a process of 32 bits with 4 GiB for itself. */
#define TOO_LARGE (SIZE_MAX / 4 * 3)

/* What the system cannot have is NULL, with basic and with large alignment. */
static void default_refuses_what_is_too_large(void **state)
{
  const struct cmap_allocator *allocator = &cmap__allocator_default;

  (void)state;
  assert_null(cmap__alloc(allocator, TOO_LARGE, 1));
  assert_null(cmap__alloc(allocator, TOO_LARGE, 64));
  assert_null(cmap__alloc_zeroed(allocator, TOO_LARGE, 4096));
}

/* An allocator with one block that records what it is asked for. */
struct recorder {
  unsigned allocs, frees; /* calls */
  size_t size, align;     /* of the last call */
  void *freed;            /* of the last free */
  void *answer;           /* what alloc returns */
};

static void *recorder_alloc(size_t size, size_t align, void *ctx)
{
  struct recorder *recorder = ctx;

  recorder->allocs++;
  recorder->size = size;
  recorder->align = align;
  return recorder->answer;
}

static void recorder_free(void *memory, size_t size, size_t align, void *ctx)
{
  struct recorder *recorder = ctx;

  recorder->frees++;
  recorder->freed = memory;
  recorder->size = size;
  recorder->align = align;
}

static struct cmap_allocator recorder_hook(struct recorder *recorder)
{
  return (struct cmap_allocator){recorder_alloc, recorder_free, recorder};
}

static void calls_reach_the_allocator(void **state)
{
  _Alignas(64) unsigned char block[64];
  struct recorder recorder = {.answer = block};
  struct cmap_allocator hook = recorder_hook(&recorder);

  (void)state;
  memset(block, 0xaa, sizeof block);
  assert_ptr_equal(cmap__alloc(&hook, 40, 32), block);
  assert_int_equal(recorder.allocs, 1);
  assert_int_equal(recorder.size, 40);
  assert_int_equal(recorder.align, 32);
  assert_true(is_filled(block, sizeof block, 0xaa));

  /* The size asked for is zeroed, and nothing behind it. */
  assert_ptr_equal(cmap__alloc_zeroed(&hook, 41, 16), block);
  assert_int_equal(recorder.allocs, 2);
  assert_int_equal(recorder.size, 41);
  assert_int_equal(recorder.align, 16);
  assert_true(is_filled(block, 41, 0));
  assert_true(is_filled(block + 41, sizeof block - 41, 0xaa));

  cmap__free(&hook, block, 41, 16);
  assert_int_equal(recorder.frees, 1);
  assert_ptr_equal(recorder.freed, block);
  assert_int_equal(recorder.size, 41);
  assert_int_equal(recorder.align, 16);

  cmap__free(&hook, NULL, 41, 16);
  assert_int_equal(recorder.frees, 1);
}

static void refusals_are_passed_on(void **state)
{
  struct recorder recorder = {.answer = NULL};
  struct cmap_allocator hook = recorder_hook(&recorder);

  (void)state;
  assert_null(cmap__alloc(&hook, 8, 8));
  assert_null(cmap__alloc_zeroed(&hook, 8, 8));
  assert_int_equal(recorder.allocs, 2);
}

static void impossible_sizes_never_reach_the_allocator(void **state)
{
  unsigned char block[1];
  struct recorder recorder = {.answer = block};
  struct cmap_allocator hook = recorder_hook(&recorder);
  const size_t large = PTRDIFF_MAX;

  (void)state;
  assert_null(cmap__alloc(&hook, 0, 1));
  assert_null(cmap__alloc_zeroed(&hook, 0, 1));
  assert_null(cmap__alloc(&hook, SIZE_MAX, 1));
  assert_null(cmap__alloc(&hook, large + 1, 1));
  assert_null(cmap__alloc(&hook, large, 1));
  assert_null(cmap__alloc(&hook, large - 63, 64));
  assert_null(cmap__alloc_zeroed(&hook, SIZE_MAX, 1));
  assert_null(cmap__alloc(&hook, 1, SIZE_MAX / 2 + 1));
  assert_int_equal(recorder.allocs, 0);

  assert_ptr_equal(cmap__alloc(&hook, large - 1, 1), block);
  assert_int_equal(recorder.allocs, 1);
}

/* -------------------------------------------------------------------------
 * Assertions, where the build has them
 * ------------------------------------------------------------------------- */

static unsigned failed_checks;

static void count_failed_check(const char *file, int line, const char *text)
{
  (void)file;
  (void)line;
  (void)text;
  failed_checks++;
}

static void faults_of_alignment_are_asserted(void **state)
{
  _Alignas(64) unsigned char block[64];
  struct recorder recorder = {.answer = block + 8};
  struct cmap_allocator hook = recorder_hook(&recorder);
  cmap__check_handler *former;

  (void)state;
  if (CMAP_CHECK == 0)
    skip();

  former = cmap__check_set_handler(count_failed_check);
  failed_checks = 0;
  (void)cmap__alloc(&hook, 8, 8);
  unsigned after_good_answer = failed_checks;
  (void)cmap__alloc(&hook, 8, 16);
  unsigned after_bad_answer = failed_checks;
  recorder.answer = block;
  (void)cmap__alloc(&hook, 8, 24);
  unsigned after_bad_align = failed_checks;
  (void)cmap__alloc(&hook, 8, 0);
  unsigned after_no_align = failed_checks;
  cmap__check_set_handler(former);

  assert_int_equal(after_good_answer, 0);
  assert_int_equal(after_bad_answer, 1);
  assert_true(after_bad_align > after_bad_answer);
  assert_true(after_no_align > after_bad_align);
}

/* -------------------------------------------------------------------------
 * Size arithmetic
 * ------------------------------------------------------------------------- */

static void sizes_are_added_and_multiplied(void **state)
{
  size_t out = 77;

  (void)state;
  assert_true(cmap__size_add(3, 4, &out));
  assert_int_equal(out, 7);
  assert_true(cmap__size_add(SIZE_MAX - 1, 1, &out));
  assert_int_equal(out, SIZE_MAX);
  assert_true(cmap__size_mul(3, 4, &out));
  assert_int_equal(out, 12);
  assert_true(cmap__size_mul(0, SIZE_MAX, &out));
  assert_int_equal(out, 0);
  assert_true(cmap__size_mul(SIZE_MAX, 1, &out));
  assert_int_equal(out, SIZE_MAX);
}

static void sizes_that_do_not_fit_are_refused(void **state)
{
  const size_t half = (size_t)1 << (sizeof(size_t) * 4);
  size_t out = 77;

  (void)state;
  assert_false(cmap__size_add(SIZE_MAX, 1, &out));
  assert_false(cmap__size_add(1, SIZE_MAX, &out));
  assert_false(cmap__size_mul(SIZE_MAX, 2, &out));
  assert_false(cmap__size_mul(half, half, &out));
  assert_false(cmap__size_mul(5, SIZE_MAX / 4, &out));
  assert_false(cmap__size_mul(SIZE_MAX / 3 + 1, 3, &out));
  assert_int_equal(out, 77);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(default_memory_is_aligned_and_ours),
      cmocka_unit_test(default_small_blocks_are_aligned),
      cmocka_unit_test(default_refuses_what_is_too_large),
      cmocka_unit_test(calls_reach_the_allocator),
      cmocka_unit_test(refusals_are_passed_on),
      cmocka_unit_test(impossible_sizes_never_reach_the_allocator),
      cmocka_unit_test(faults_of_alignment_are_asserted),
      cmocka_unit_test(sizes_are_added_and_multiplied),
      cmocka_unit_test(sizes_that_do_not_fit_are_refused),
  };

  return cmocka_run_group_tests_name("alloc", tests, NULL, NULL);
}

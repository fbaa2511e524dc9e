/*
 * pages.h: mapping, giving back, and being refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/atomics.h"
#include "base/pages.h"

enum { PAGES = 6 };

static bool is_filled(const unsigned char *memory, size_t size, int byte)
{
  for (size_t i = 0; i < size; i++) {
    if (memory[i] != byte)
      return false;
  }
  return true;
}

static void page_size_is_the_systems(void **state)
{
  (void)state;
  assert_int_equal(cmap__page_size(), sysconf(_SC_PAGESIZE));
  assert_int_equal(cmap__page_size(), sysconf(_SC_PAGESIZE));
}

static void mapped_memory_is_zero_and_ours(void **state)
{
  size_t page = cmap__page_size();
  const size_t sizes[] = {1, page, page + 1, 100 * page};

  (void)state;
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    unsigned char *memory = cmap__pages_map(sizes[i]);

    assert_non_null(memory);
    assert_int_equal((uintptr_t)memory & (page - 1), 0);
    assert_true(is_filled(memory, sizes[i], 0));
    memset(memory, 0xaa, sizes[i]);
    cmap__pages_unmap(memory, sizes[i]);
  }
  cmap__pages_unmap(NULL, page);
}

static void impossible_sizes_are_refused(void **state)
{
  (void)state;
  assert_null(cmap__pages_map(0));
  assert_null(cmap__pages_map(SIZE_MAX));
  assert_null(cmap__pages_map(SIZE_MAX / 2));
}

static void unmapped_memory_is_gone(void **state)
{
  size_t page = cmap__page_size();
  unsigned char *memory = cmap__pages_map(PAGES * page);

  (void)state;
  assert_non_null(memory);
  cmap__pages_unmap(memory, PAGES * page);
  /* What is still mapped would be refused. */
  assert_ptr_equal(mmap(memory, PAGES * page, PROT_NONE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1,
                        0),
                   memory);
  assert_int_equal(munmap(memory, PAGES * page), 0);
}

/*
 * Of pages filled with 0xaa, a piece [from, to) is given back. All whole pages
 * in it are zero then, and nothing else has changed.
 */
static void give_back(size_t from, size_t to)
{
  size_t page = cmap__page_size();
  size_t size = PAGES * page;
  unsigned char *memory = cmap__pages_map(size);

  assert_non_null(memory);
  memset(memory, 0xaa, size);
  assert_true(cmap__pages_release(memory + from, to - from));
  for (size_t i = 0; i < PAGES; i++) {
    bool whole = i * page >= from && (i + 1) * page <= to;

    assert_true(is_filled(memory + i * page, page, whole ? 0 : 0xaa));
  }
  /* The pages are still there to be written. */
  memset(memory, 0x55, size);
  assert_true(is_filled(memory, size, 0x55));
  cmap__pages_unmap(memory, size);
}

static void whole_pages_are_given_back(void **state)
{
  size_t page = cmap__page_size();

  (void)state;
  give_back(0, PAGES * page);
  give_back(page, 3 * page);
  give_back(1, PAGES * page);
  give_back(0, PAGES * page - 1);
  give_back(page - 1, 3 * page + 1);
  give_back(page + 1, 3 * page - 1);
}

static void parts_of_pages_are_left_alone(void **state)
{
  size_t page = cmap__page_size();

  (void)state;
  give_back(0, 0);
  give_back(0, page - 1);
  give_back(1, page);
  give_back(page / 2, page + page / 2);
  give_back(1, 2);
  give_back(page - 1, page - 1);
}

/*
 * Locked memory is not given back, and the caller is told. The system is called
 * directly, because a sanitizer's mlock does nothing.
 */
static void refused_release_keeps_the_contents(void **state)
{
  size_t page = cmap__page_size();
  unsigned char *memory = cmap__pages_map(page);

  (void)state;
  assert_non_null(memory);
  memset(memory, 0xaa, page);
  if (syscall(SYS_mlock, memory, page) != 0) {
    cmap__pages_unmap(memory, page);
    skip();
  }
  assert_false(cmap__pages_release(memory, page));
  assert_true(is_filled(memory, page, 0xaa));
  assert_int_equal(syscall(SYS_munlock, memory, page), 0);
  assert_true(cmap__pages_release(memory, page));
  assert_true(is_filled(memory, page, 0));
  cmap__pages_unmap(memory, page);
}

static void huge_pages_change_no_contents(void **state)
{
  const size_t size = (size_t)8 << 20;
  unsigned char *memory = cmap__pages_map(size);

  (void)state;
  assert_non_null(memory);
  memory[0] = 1;
  cmap__pages_huge(memory, size);
  memory[size - 1] = 2;
  assert_int_equal(memory[0], 1);
  assert_true(is_filled(memory + 1, size - 2, 0));
  assert_true(cmap__pages_release(memory, size));
  assert_true(is_filled(memory, size, 0));
  cmap__pages_unmap(memory, size);
}

static unsigned refusals_left;

static bool refuse_some(void)
{
  if (refusals_left == 0)
    return false;
  refusals_left--;
  return true;
}

static void hook_refuses_memory(void **state)
{
  size_t page = cmap__page_size();

  (void)state;
  refusals_left = 2;
  cmap__store_relaxed(&cmap__pages_fail_hook, refuse_some);
  void *first = cmap__pages_map(page);
  void *second = cmap__pages_map(page);
  void *third = cmap__pages_map(page);

  cmap__store_relaxed(&cmap__pages_fail_hook, NULL);
  assert_null(first);
  assert_null(second);
  assert_non_null(third);
  cmap__pages_unmap(third, page);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(page_size_is_the_systems),
      cmocka_unit_test(mapped_memory_is_zero_and_ours),
      cmocka_unit_test(impossible_sizes_are_refused),
      cmocka_unit_test(unmapped_memory_is_gone),
      cmocka_unit_test(whole_pages_are_given_back),
      cmocka_unit_test(parts_of_pages_are_left_alone),
      cmocka_unit_test(refused_release_keeps_the_contents),
      cmocka_unit_test(huge_pages_change_no_contents),
      cmocka_unit_test(hook_refuses_memory),
  };

  return cmocka_run_group_tests_name("pages", tests, NULL, NULL);
}

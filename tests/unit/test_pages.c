/*
 * pages.h: mapping, giving back, and being refused.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/atomics.h"
#include "base/pages.h"
#include "settings.h"

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

/* Is the page there? */
static bool is_resident(void *page, size_t size)
{
  unsigned char vector = 0;

  assert_int_equal(mincore(page, size, &vector), 0);
  return vector & 1;
}

/* Each page that the memory has a byte of, and no other. */
static void touched_pages_are_there(void **state)
{
  size_t page = cmap__page_size();
  char *memory = cmap__pages_map(PAGES * page);

  (void)state;
  assert_non_null(memory);
  /* A huge page would bring its neighbours; qemu says that it does what it does
   * not. */
  if (madvise(memory, PAGES * page, MADV_NOHUGEPAGE) != 0 || test_emulated())
    skip();
  cmap__pages_touch(memory + page, 0);
  assert_false(is_resident(memory, page));
  assert_false(is_resident(memory + page, page));
  cmap__pages_touch(memory + 2 * page - 1, page + 2); /* of three pages */
  for (size_t i = 0; i < PAGES; i++)
    assert_int_equal(is_resident(memory + i * page, page), i >= 1 && i <= 3);
  assert_true(is_filled((unsigned char *)memory, PAGES * page, 0));
  cmap__pages_unmap(memory, PAGES * page);
}

/* The same, and what is there stays. */
static void populated_pages_are_there(void **state)
{
  size_t page = cmap__page_size();
  char *memory = cmap__pages_map(PAGES * page);
  bool populated;

  (void)state;
  assert_non_null(memory);
  if (madvise(memory, PAGES * page, MADV_NOHUGEPAGE) != 0 || test_emulated())
    skip();
  memory[page + 1] = 'x';
  populated = cmap__pages_populate(memory + 2 * page - 1, page + 2);
  for (size_t i = 0; i < PAGES; i++)
    assert_int_equal(is_resident(memory + i * page, page),
                     i == 1 || (populated && (i == 2 || i == 3)));
  assert_int_equal(memory[page + 1], 'x');
  cmap__pages_unmap(memory, PAGES * page);
  errno = 0;
  assert_false(cmap__pages_populate(memory, page));
  assert_int_equal(errno, 0);
  if (!populated)
    skip(); /* an older kernel */
}

static void impossible_sizes_are_refused(void **state)
{
  (void)state;
  assert_null(cmap__pages_map(0));
  assert_null(cmap__pages_map(SIZE_MAX));
  if (sizeof(size_t) > 4) /* a process of 32 bits may have that much */
    assert_null(cmap__pages_map(SIZE_MAX / 2));
  assert_null(cmap__pages_map_huge(0));
  if (sizeof(size_t) > 4)
    assert_null(cmap__pages_map_huge(SIZE_MAX / 2 + 1));
  assert_null(cmap__pages_map_huge(SIZE_MAX - CMAP__HUGE_PAGE + 1));
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

static void huge_mappings_begin_at_huge_pages(void **state)
{
  const size_t size = CMAP__HUGE_PAGE;

  (void)state;
  for (unsigned i = 0; i < 4; i++) {
    unsigned char *memory = cmap__pages_map_huge(size);
    void *between = cmap__pages_map((i + 1) * cmap__page_size());

    assert_non_null(memory);
    assert_non_null(between);
    assert_int_equal((uintptr_t)memory % CMAP__HUGE_PAGE, 0);
    assert_true(is_filled(memory, size, 0));
    memset(memory, 0xaa, size);
    assert_true(cmap__pages_release(memory, size));
    assert_true(is_filled(memory, size, 0));
    cmap__pages_unmap(memory, size);
    cmap__pages_unmap(between, (i + 1) * cmap__page_size());
  }
}

/* Bytes of address space that are mapped. */
static size_t mapped_bytes(void)
{
  char text[100] = "";
  int file = open("/proc/self/statm", O_RDONLY);

  assert_true(file >= 0);
  assert_true(read(file, text, sizeof text - 1) > 0);
  assert_int_equal(close(file), 0);
  return strtoul(text, NULL, 10) * cmap__page_size();
}

/* What was mapped more, to find the beginning of a huge page, is unmapped; a
 * sanitizer or valgrind may map and unmap something of its own. */
static void huge_mappings_are_no_larger(void **state)
{
  enum { MAPPINGS = 8 };
  const size_t size = 2 * CMAP__HUGE_PAGE;
  const size_t slack = MAPPINGS * CMAP__HUGE_PAGE / 2;
  size_t before = mapped_bytes();
  unsigned char *memory[MAPPINGS];
  size_t between;

  (void)state;
  if (test_emulated())
    skip(); /* statm tells of the emulator */
  for (unsigned i = 0; i < MAPPINGS; i++) {
    memory[i] = cmap__pages_map_huge(size);
    assert_non_null(memory[i]);
  }
  between = mapped_bytes();
  for (unsigned i = 0; i < MAPPINGS; i++)
    cmap__pages_unmap(memory[i], size);
  assert_in_range(between - before, MAPPINGS * size - slack,
                  MAPPINGS * size + slack);
  assert_true(mapped_bytes() < before + slack);
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
  void *second = cmap__pages_map_huge(CMAP__HUGE_PAGE);
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
      cmocka_unit_test(touched_pages_are_there),
      cmocka_unit_test(populated_pages_are_there),
      cmocka_unit_test(impossible_sizes_are_refused),
      cmocka_unit_test(unmapped_memory_is_gone),
      cmocka_unit_test(whole_pages_are_given_back),
      cmocka_unit_test(parts_of_pages_are_left_alone),
      cmocka_unit_test(refused_release_keeps_the_contents),
      cmocka_unit_test(huge_mappings_begin_at_huge_pages),
      cmocka_unit_test(huge_mappings_are_no_larger),
      cmocka_unit_test(hook_refuses_memory),
  };

  return cmocka_run_group_tests_name("pages", tests, NULL, NULL);
}

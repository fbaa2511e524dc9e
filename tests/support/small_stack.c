#include "small_stack.h"

#include "settings.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define STACK         ((size_t)16384)
/* jemalloc alone takes from 7 to 11 KiB of it, from call to call, and more
 * where it gives pages back, which it does by the clock. */
#define JEMALLOC_MORE ((size_t)16384)

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#  define SANITIZED 1
#elif defined(__has_feature)
#  if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#    define SANITIZED 1
#  endif
#endif
#ifndef SANITIZED
#  define SANITIZED 0
#endif

bool small_stack_works(void)
{
  return !SANITIZED && !test_under_valgrind();
}

static char *stack;
static size_t stack_size, guard_size, deepest;

static void stack_begin(void)
{
  long least = sysconf(_SC_THREAD_STACK_MIN);

  stack_size = STACK;
  if (least > 0 && (size_t)least > STACK)
    stack_size = (size_t)least; /* processors with large registers */
  if (dlsym(RTLD_DEFAULT, "mallocx") != NULL)
    stack_size += JEMALLOC_MORE;
  guard_size = (size_t)sysconf(_SC_PAGESIZE);
  stack_size = (stack_size + guard_size - 1) & ~(guard_size - 1);
  stack = mmap(NULL, guard_size + stack_size, PROT_READ | PROT_WRITE,
               MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  assert_true(stack != MAP_FAILED);
  assert_int_equal(mprotect(stack, guard_size, PROT_NONE), 0);
}

static void *enter(void *work)
{
  (*(work_fn **)work)();
  return NULL;
}

void on_small_stack(const char *name, work_fn *work)
{
  pthread_attr_t attr;
  pthread_t thread;
  size_t untouched = 0;

  if (stack == NULL)
    stack_begin();
  memset(stack + guard_size, 0xa5, stack_size);
  assert_int_equal(pthread_attr_init(&attr), 0);
  assert_int_equal(pthread_attr_setstack(&attr, stack + guard_size, stack_size),
                   0);
  assert_int_equal(pthread_create(&thread, &attr, enter, &work), 0);
  assert_int_equal(pthread_join(thread, NULL), 0);
  assert_int_equal(pthread_attr_destroy(&attr), 0);
  checks_assert();
  while (untouched < stack_size && stack[guard_size + untouched] == (char)0xa5)
    untouched++;
  if (stack_size - untouched > deepest) {
    deepest = stack_size - untouched;
    fprintf(stderr, "%s: %zu bytes\n", name, deepest);
  }
}

/* Room for all that a program asks for. */
static _Alignas(64) char room[64 << 20];
static atomic_size_t used;

static void *take(size_t size, size_t align, void *ctx)
{
  size_t at = atomic_fetch_add(&used, size + align);
  char *memory = room + at;

  (void)ctx;
  if (at + size + align > sizeof room)
    return NULL;
  return memory + (-(uintptr_t)memory & (align - 1));
}

static void leave(void *memory, size_t size, size_t align, void *ctx)
{
  (void)memory, (void)size, (void)align, (void)ctx;
}

struct cmap_allocator small_stack_allocator(void)
{
  const struct cmap_allocator allocator = {take, leave, NULL};

  return allocator;
}

#include "child.h"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "checks.h"
#include "settings.h"
#include "step.h"

#if defined(__has_feature)
#  if __has_feature(address_sanitizer)
#    define ADDRESS_SANITIZER
#  elif __has_feature(thread_sanitizer)
#    define THREAD_SANITIZER
#  endif
#elif defined(__SANITIZE_ADDRESS__)
#  define ADDRESS_SANITIZER
#elif defined(__SANITIZE_THREAD__)
#  define THREAD_SANITIZER
#endif

#ifdef ADDRESS_SANITIZER
const bool child_may_allocate = false;
#else
const bool child_may_allocate = true;
#endif

bool child_may_start_threads(void)
{
#ifdef THREAD_SANITIZER
  return false;
#else
  return !test_emulated();
#endif
}

_Noreturn void child_failed(const char *file, int line, const char *what)
{
  dprintf(STDERR_FILENO, "%s:%d: in the child not: %s\n", file, line, what);
  _exit(1);
}

int child_start(void (*run)(void *ctx), void *ctx)
{
  int child = fork();

  if (child == 0) {
    alarm(STEP_SECONDS);
    run(ctx);
    _exit(0);
  }
  return child;
}

void child_assert(int child)
{
  int status = -1;

  assert_true(child > 0);
  assert_int_equal(waitpid(child, &status, 0), child);
  /* A signal is SIGALRM: it hung. */
  assert_int_equal(WIFSIGNALED(status) ? WTERMSIG(status) : 0, 0);
  assert_int_equal(WEXITSTATUS(status), 0);
}

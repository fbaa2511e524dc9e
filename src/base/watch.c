#include "base/watch.h"

#include <stdint.h>

#include "base/atomics.h"
#include "base/compiler.h"

#ifdef CMAP_WITH_VALGRIND
#  include <valgrind/drd.h>
#  include <valgrind/helgrind.h>
#endif

/* Of ThreadSanitizer's run-time library; NULL without it. The one for Go has
 * the first two, with other parameters, and not the third. */
#ifdef __ELF__
extern void __tsan_acquire(void *address)
    __attribute__((weak, visibility("default")));
extern void __tsan_release(void *address)
    __attribute__((weak, visibility("default")));
extern void __tsan_func_entry(void *caller)
    __attribute__((weak, visibility("default")));
#else
/* Where linkers want each function to be there. */
static void (*const __tsan_acquire)(void *) = NULL;
static void (*const __tsan_release)(void *) = NULL;
static void (*const __tsan_func_entry)(void *) = NULL;
#endif

static bool tsan_is_there(void)
{
  return __tsan_acquire != NULL && __tsan_release != NULL &&
         __tsan_func_entry != NULL;
}

#ifdef CMAP_WITH_VALGRIND

/* If no tool answers, the answer is the number that comes first. */
static bool tool_is_there(void)
{
  char here = 0;

  (void)here; /* valgrind may not know the processor */
  return VALGRIND_DO_CLIENT_REQUEST_EXPR(
             0, VG_USERREQ__DRD_GET_VALGRIND_THREAD_ID, 0, 0, 0, 0, 0) != 0 ||
         VALGRIND_DO_CLIENT_REQUEST_EXPR(2, _VG_USERREQ__HG_GET_ABITS, &here,
                                         NULL, 1, 0, 0) != 2;
}

static void tool_release(const void *address)
{
  (void)address;
  VALGRIND_DO_CLIENT_REQUEST_STMT(_VG_USERREQ__HG_USERSO_SEND_PRE, address, 0,
                                  0, 0, 0);
  VALGRIND_DO_CLIENT_REQUEST_STMT(VG_USERREQ__DRD_ANNOTATE_HAPPENS_BEFORE,
                                  address, 0, 0, 0, 0);
}

static void tool_acquire(const void *address)
{
  (void)address;
  VALGRIND_DO_CLIENT_REQUEST_STMT(_VG_USERREQ__HG_USERSO_RECV_POST, address, 0,
                                  0, 0, 0);
  VALGRIND_DO_CLIENT_REQUEST_STMT(VG_USERREQ__DRD_ANNOTATE_HAPPENS_AFTER,
                                  address, 0, 0, 0, 0);
}

#else

static bool tool_is_there(void)
{
  return false;
}

static void tool_release(const void *address)
{
  (void)address;
}

static void tool_acquire(const void *address)
{
  (void)address;
}

#endif

bool cmap__watched(void)
{
  /* Relaxed: who comes first finds the same as everybody. */
  static _Atomic int known;
  int watched = cmap__load_relaxed(&known);

  if (watched == 0) {
    watched = !CMAP__TSAN && (tsan_is_there() || tool_is_there()) ? 1 : -1;
    cmap__store_relaxed(&known, watched);
  }
  return watched > 0;
}

void cmap__watch_release(const void *address)
{
  if (tsan_is_there())
    __tsan_release((void *)(uintptr_t)address);
  else
    tool_release(address);
}

void cmap__watch_acquire(const void *address)
{
  if (tsan_is_there())
    __tsan_acquire((void *)(uintptr_t)address);
  else
    tool_acquire(address);
}

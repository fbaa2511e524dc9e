/*
 * What systems give in ways of their own, besides memory (alloc.h), pages
 * (pages.h), random bytes (random.h) and sleep (sync/park.h).
 *
 * system.c has it for POSIX, windows.c for Windows.
 */
#ifndef CMAP__BASE_SYSTEM_H
#define CMAP__BASE_SYSTEM_H

#include <stdbool.h>
#include <stddef.h>

/* The processors that are in use, at least 1. Any thread; some microseconds,
 * then one load. */
size_t cmap__processors(void);

/* Memory of the C library's, whatever the default allocator is; `size` is a
 * multiple of `align`. */
void *cmap__aligned_alloc(size_t align, size_t size);
void cmap__aligned_free(void *memory);

/* pthread_atfork. False: no memory. */
bool cmap__at_fork(void (*prepare)(void), void (*parent)(void),
                   void (*child)(void));

/* A descriptor to read from, `seen`, and where to write for it: what poll can
 * wait for. False: the system has none. Each is opened, set, and closed once;
 * from then on that it is set there is something to read, for ever. */
struct cmap__event {
  int seen, set;
};
bool cmap__event_open(struct cmap__event *event);
void cmap__event_set(const struct cmap__event *event);
void cmap__event_close(const struct cmap__event *event);

/* The loader's, in C libraries that unload: calls end(arg) when the thread
 * ends, and keeps what `within` lies in loaded until then. Else NULL. */
#ifdef __ELF__
extern int __cxa_thread_atexit_impl(void (*end)(void *), void *arg,
                                    void *within)
    __attribute__((weak, visibility("default")));
#else
static int (*const __cxa_thread_atexit_impl)(void (*)(void *), void *,
                                             void *) = NULL;
#endif

#endif

/*
 * Is the code of a scenario running, of which every access is a step? Not while
 * the world itself runs, nor before and after the threads.
 */
#ifndef CMAP_TEST_WORLD_RECORDING_H
#define CMAP_TEST_WORLD_RECORDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

extern bool world_recording;

/* Of world_hide. */
extern struct hidden {
  uintptr_t at;
  size_t size;
} world_hidden;

/* Is this access to be recorded? */
static inline bool world_records(const volatile void *at)
{
  return world_recording &&
         (uintptr_t)at - world_hidden.at >= world_hidden.size;
}

/* The place that called the function in which this is. */
#define WORLD_SITE ((uintptr_t)__builtin_return_address(0))

/* A step of the running thread begins, before which others may make theirs. */
void world_enter(const char *what, const volatile void *at, int order,
                 uintptr_t site);

static inline void world_leave(void)
{
  world_recording = true;
}

#endif

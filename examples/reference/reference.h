/*
 * Shared by the examples of the manual pages, one file for each section of
 * cmap.h, in which every call of the section occurs. They are run as tests.
 */
#ifndef REFERENCE_H
#define REFERENCE_H

#include <cmap.h>
#include <stdio.h>
#include <stdlib.h>

/* Ends the program if a call returned something else than is said here. */
static inline void is(enum cmap_status status, enum cmap_status expected)
{
  if (status == expected)
    return;
  fprintf(stderr, "%s instead of %s\n", cmap_status_name(status),
          cmap_status_name(expected));
  exit(1);
}

/* Ends the program unless that is so. */
static inline void so(bool condition)
{
  if (condition)
    return;
  fprintf(stderr, "something is otherwise\n");
  exit(1);
}

#define KEY(string) cmap_key_string(string)

/* A map of strings to uint64_t. */
static inline struct cmap *words(void)
{
  struct cmap_options options;
  struct cmap *map = NULL;

  cmap_options_init(&options, CMAP_STRING, sizeof(uint64_t));
  is(cmap_create(&options, &map), CMAP_OK);
  return map;
}

/* The same with ada 36, bob 41 and eve 7. */
static inline struct cmap *ages(void)
{
  struct cmap *map = words();
  const uint64_t ada = 36, bob = 41, eve = 7;

  is(cmap_insert(map, KEY("ada"), &ada, NULL, NULL, NULL), CMAP_OK);
  is(cmap_insert(map, KEY("bob"), &bob, NULL, NULL, NULL), CMAP_OK);
  is(cmap_insert(map, KEY("eve"), &eve, NULL, NULL, NULL), CMAP_OK);
  return map;
}

#endif

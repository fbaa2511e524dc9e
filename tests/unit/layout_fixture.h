/*
 * Options of all kinds of keys, and their layouts: of the tests of layout.h.
 */
#ifndef LAYOUT_FIXTURE_H
#define LAYOUT_FIXTURE_H

#include <string.h>

#include "checks.h"
#include "table/layout.h"

static inline uint64_t any_hash(struct cmap_key key, void *ctx)
{
  (void)key;
  (void)ctx;
  return 0;
}

static inline bool any_equal(struct cmap_key stored, struct cmap_key key,
                             void *ctx)
{
  (void)stored;
  (void)key;
  (void)ctx;
  return true;
}

static inline struct cmap_options options_of(enum cmap_key_kind kind)
{
  struct cmap_options options;

  cmap_options_init(&options, kind, 8);
  if (kind == CMAP_FIXED || kind == CMAP_CUSTOM)
    options.key_size = 16;
  if (kind == CMAP_CUSTOM) {
    options.key_hash = any_hash;
    options.key_equal = any_equal;
  }
  return options;
}

/* The functions, in turn of all layouts. */
static struct cmap__user user;

static inline struct cmap__layout layout_of(const struct cmap_options *options)
{
  struct cmap__layout layout;

  memset(&layout, 0xa5, sizeof layout);
  assert_ok(cmap__layout_init(&layout, options, &user));
  return layout;
}

static inline struct cmap_options in_force(const struct cmap__layout *layout)
{
  struct cmap_options options;

  cmap__layout_options(layout, &options);
  return options;
}

static inline struct cmap_options
in_force_of(const struct cmap_options *options)
{
  struct cmap__layout layout = layout_of(options);

  return in_force(&layout);
}

#define assert_refused(options)                                                \
  do {                                                                         \
    struct cmap__layout unused;                                                \
    assert_status(cmap__layout_init(&unused, &(options), &user), CMAP_EINVAL); \
  } while (0)

#define FOR_EACH_KIND(kind)                                                    \
  for (unsigned kind = CMAP_U32; kind <= CMAP_CUSTOM; kind++)

static inline bool is_string_like(unsigned kind)
{
  return kind == CMAP_STRING || kind == CMAP_BYTES;
}

#endif

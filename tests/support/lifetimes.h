/*
 * Values and keys that own an object, and the account of these objects.
 *
 * Every object is born (by the test) or cloned (by the library), and must be
 * destroyed exactly once. A destroyed object is kept for a while, so that a
 * second destruction is seen and is not a wild pointer.
 *
 * Concurrency: any thread. The objects' contents are plain memory, so that a
 * sanitizer sees a library that destroys what another thread still reads.
 */
#ifndef CMAP_TEST_LIFETIMES_H
#define CMAP_TEST_LIFETIMES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmap.h>

/* Destroyed objects that are kept. */
#define LIFETIMES_KEPT 1024

struct lifetimes {
  atomic_size_t born;
  atomic_size_t cloned;
  atomic_size_t destroyed;
  atomic_size_t wrong;     /* destructions of what is not alive */
  atomic_int clone_status; /* what cloning and key copying return unless 0 */
  size_t value_size; /* const; the object's pointer is the first 8 bytes */
  atomic_size_t next_kept;
  _Atomic(struct tracked *) kept[LIFETIMES_KEPT];
};

/* An object. Its pointer lies at the begin of a value or in a tracked_key. */
struct tracked {
  uint64_t state; /* alive or dead; a race on it is the library's fault */
  uint64_t id;
  uint64_t version;
  struct lifetimes *owner;
};

/* A CMAP_CUSTOM key; equal by id. In a caller's key object is NULL. */
struct tracked_key {
  uint64_t id;
  struct tracked *object;
};

void lifetimes_begin(struct lifetimes *lifetimes, size_t value_size);
/* Frees the kept objects. */
void lifetimes_end(struct lifetimes *lifetimes);

struct tracked *tracked_new(struct lifetimes *lifetimes, uint64_t id,
                            uint64_t version);
void tracked_destroy(struct tracked *object);
/* Is the object alive? */
bool tracked_is_alive(const struct tracked *object);

/* The object of a value. */
struct tracked *tracked_of(const void *value);

/* Callbacks for struct cmap_options; ctx is the struct lifetimes. */
void lifetimes_value_destroy(void *value, void *ctx);
enum cmap_status lifetimes_value_clone(const void *value, void *copy,
                                       void *ctx);
bool lifetimes_value_equal(const void *a, const void *b, void *ctx);
enum cmap_status lifetimes_key_copy(struct cmap_key key, void *stored,
                                    void *ctx);
void lifetimes_key_destroy(void *stored, void *ctx);

/* Objects born or cloned and not destroyed. */
size_t lifetimes_alive(struct lifetimes *lifetimes);

/* Was every object destroyed exactly once? */
bool lifetimes_balanced(struct lifetimes *lifetimes);

#endif

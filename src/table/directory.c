/*
 * Growing, shrinking and changing the directory.
 */
#include "table/directory.h"

#include "base/alloc.h"
#include "base/check.h"

/*
 * Entries per shard that the directory may have. Evenly spread hashes need
 * about 4 (the deepest of n shards is about 2 levels below the mean); more
 * would only serve hashes whose top bits are alike.
 */
#define ENTRIES_PER_SHARD 8
#define ENTRIES_AT_LEAST  64

static size_t array_bytes(unsigned depth)
{
  size_t bytes = sizeof(struct cmap__directory_array) +
                 (sizeof(struct cmap__directory_entry) << depth);
  return cmap__round_up(bytes, CMAP__CACHE_LINE);
}

/* The array of a depth, allocated if there is none yet. NULL: no memory. */
static struct cmap__directory_array *
array_for(struct cmap__directory *directory, const struct cmap__layout *layout,
          unsigned depth)
{
  struct cmap__directory_array *array = directory->arrays[depth];

  if (array == NULL) {
    array = cmap__alloc(&layout->options.allocator, array_bytes(depth),
                        CMAP__CACHE_LINE);
    if (array == NULL)
      return NULL;
    array->shift = 64 - CMAP__ENTRY_LOG2 - depth;
    array->is_large = depth >= CMAP__PREFETCH_DEPTH;
    directory->arrays[depth] = array;
  }
  return array;
}

static void set_entry(struct cmap__directory_entry *entry,
                      struct cmap__shard *shard)
{
  cmap__store_release(&entry->block, shard->block); /* [D2] */
  cmap__store_release(&entry->shard, shard);        /* [D2] */
}

/*
 * Brackets changes of entries, mutex held: who finds the same even number
 * before and after a walk [D3] walked an unchanging directory. Sequentially
 * consistent, which is cheap here and needs no argument.
 */
static void begin_change(struct cmap__directory *directory)
{
  atomic_fetch_add(&directory->changes, 1); /* [D3] */
}

static void end_change(struct cmap__directory *directory)
{
  atomic_fetch_add(&directory->changes, 1); /* [D3] */
}

/* Makes the array current; release: after it is filled [D1]. */
static void make_current(struct cmap__directory *directory,
                         struct cmap__directory_array *array)
{
  cmap__store_release(&directory->current, array);
}

enum cmap_status cmap__directory_init(struct cmap__directory *directory,
                                      const struct cmap__layout *layout,
                                      struct cmap__shard *shard)
{
  struct cmap__directory_array *array;

  memset(directory, 0, sizeof *directory);
  if (pthread_mutex_init(&directory->mutex, NULL) != 0)
    return CMAP_ENOMEM;
  array = array_for(directory, layout, 1);
  if (array == NULL) {
    pthread_mutex_destroy(&directory->mutex);
    return CMAP_ENOMEM;
  }
  set_entry(&array->entries[0], shard);
  set_entry(&array->entries[1], shard);
  directory->shards_at[0] = 1;
  cmap__store_relaxed(&directory->shards, 1); /* nobody sees it yet */
  make_current(directory, array);
  return CMAP_OK;
}

void cmap__directory_destroy(struct cmap__directory *directory,
                             const struct cmap__layout *layout)
{
  for (unsigned depth = 1; depth <= CMAP__DEPTH_MAX; depth++)
    cmap__free(&layout->options.allocator, directory->arrays[depth],
               array_bytes(depth), CMAP__CACHE_LINE);
  pthread_mutex_destroy(&directory->mutex);
}

/* Fills an array of another depth from the current one; mutex held. */
static void refill(const struct cmap__directory *directory,
                   struct cmap__directory_array *to)
{
  /* Relaxed: it and its entries change only under the mutex. */
  const struct cmap__directory_array *from =
      cmap__load_relaxed(&directory->current);
  unsigned old = cmap__directory_depth(from);
  unsigned depth = cmap__directory_depth(to);

  for (size_t i = 0; i < (size_t)1 << depth; i++) {
    size_t j = depth >= old ? i >> (depth - old) : i << (old - depth);
    set_entry(&to->entries[i], cmap__load_relaxed(&from->entries[j].shard));
  }
}

enum cmap_status cmap__directory_announce(struct cmap__directory *directory,
                                          const struct cmap__layout *layout,
                                          unsigned depth, size_t count)
{
  enum cmap_status status = CMAP_OK;
  unsigned now;

  if (depth > CMAP__DEPTH_MAX)
    return CMAP_ENOMEM;
  pthread_mutex_lock(&directory->mutex);
  now = cmap__directory_depth(cmap__load_relaxed(&directory->current));
  if (now < depth) {
    struct cmap__directory_array *array = array_for(directory, layout, depth);
    if (array == NULL) {
      status = CMAP_ENOMEM;
    } else {
      refill(directory, array);
      make_current(directory, array);
    }
  }
  if (status == CMAP_OK) {
    directory->shards_at[depth] += count;
    cmap__add_relaxed(&directory->shards, count); /* a number, no more */
  }
  pthread_mutex_unlock(&directory->mutex);
  return status;
}

enum cmap_status cmap__directory_prepare(struct cmap__directory *directory,
                                         const struct cmap__layout *layout,
                                         unsigned depth)
{
  enum cmap_status status = CMAP_OK;

  if (depth > CMAP__DEPTH_MAX)
    return CMAP_OK; /* it will not come to that */
  pthread_mutex_lock(&directory->mutex);
  if (array_for(directory, layout, depth) == NULL)
    status = CMAP_ENOMEM;
  pthread_mutex_unlock(&directory->mutex);
  return status;
}

void cmap__directory_withdraw(struct cmap__directory *directory, unsigned depth,
                              size_t count)
{
  pthread_mutex_lock(&directory->mutex);
  cmap__assert(directory->shards_at[depth] >= count);
  directory->shards_at[depth] -= count;
  cmap__sub_relaxed(&directory->shards, count); /* a number, no more */
  pthread_mutex_unlock(&directory->mutex);
}

void cmap__directory_publish(struct cmap__directory *directory,
                             struct cmap__shard *const *shards, size_t count)
{
  struct cmap__directory_array *array;
  unsigned depth;

  pthread_mutex_lock(&directory->mutex);
  array = cmap__load_relaxed(&directory->current); /* we hold the mutex */
  depth = cmap__directory_depth(array);
  begin_change(directory);
  for (size_t i = 0; i < count; i++) {
    unsigned shallow = depth - cmap__shard_depth(shards[i]);
    struct cmap__directory_entry *entry =
        cmap__directory_at(array, shards[i]->prefix);
    cmap__assert(cmap__shard_depth(shards[i]) <= depth);
    for (size_t n = (size_t)1 << shallow; n > 0; n--)
      set_entry(entry++, shards[i]);
  }
  end_change(directory);
  pthread_mutex_unlock(&directory->mutex);
}

bool cmap__directory_may_reach(const struct cmap__directory *directory,
                               unsigned depth)
{
  /* Relaxed: a bound that need not be sharp. */
  size_t shards = cmap__load_relaxed(&directory->shards);
  size_t bound = ENTRIES_PER_SHARD * shards + ENTRIES_AT_LEAST;

  return depth <= CMAP__DEPTH_MAX && (uint64_t)1 << depth <= bound;
}

void cmap__directory_shrink(struct cmap__directory *directory,
                            const struct cmap__layout *layout, unsigned least)
{
  unsigned now, depth;

  pthread_mutex_lock(&directory->mutex);
  now = cmap__directory_depth(cmap__load_relaxed(&directory->current));
  depth = now;
  while (depth > 1 && directory->shards_at[depth] == 0)
    depth--;
  if (depth + least <= now) {
    struct cmap__directory_array *array = array_for(directory, layout, depth);
    /* Without memory for it, the large one does as well. */
    if (array != NULL) {
      refill(directory, array);
      make_current(directory, array);
    }
  }
  pthread_mutex_unlock(&directory->mutex);
}

size_t cmap__directory_bytes(struct cmap__directory *directory)
{
  size_t bytes = 0;

  pthread_mutex_lock(&directory->mutex);
  for (unsigned depth = 1; depth <= CMAP__DEPTH_MAX; depth++)
    if (directory->arrays[depth] != NULL)
      bytes += array_bytes(depth);
  pthread_mutex_unlock(&directory->mutex);
  return bytes;
}

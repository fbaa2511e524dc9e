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
                 (sizeof(struct cmap__directory_entry) << depth) +
                 sizeof(size_t) * (depth + 1);
  if (depth >= CMAP__OCCUPIED_DEPTH)
    bytes += sizeof(size_t) * cmap__occupied_words((size_t)1 << depth);
  return cmap__round_up(bytes, CMAP__CACHE_LINE);
}

struct cmap__directory_array *
cmap__directory_array_of(const struct cmap__directory *directory,
                         unsigned depth)
{
  struct cmap__directory_array *array = directory->arrays;

  while (array != NULL && cmap__directory_depth(array) != depth)
    array = array->older;
  return array;
}

/* Makes memory the array of a depth. */
static void add_array(struct cmap__directory *directory,
                      struct cmap__directory_array *array, unsigned depth)
{
  array->shift = 64 - CMAP__ENTRY_LOG2 - depth;
  array->is_large = depth >= CMAP__PREFETCH_DEPTH;
  array->older = directory->arrays;
  directory->arrays = array;
}

/* The array of a depth, allocated if there is none yet. NULL: no memory. */
static struct cmap__directory_array *
array_for(struct cmap__directory *directory, const struct cmap__layout *layout,
          unsigned depth)
{
  struct cmap__directory_array *array =
      cmap__directory_array_of(directory, depth);

  if (array == NULL) {
    array =
        cmap__alloc(&layout->allocator, array_bytes(depth), CMAP__CACHE_LINE);
    if (array == NULL)
      return NULL;
    add_array(directory, array, depth);
    if (depth >= CMAP__OCCUPIED_DEPTH) /* the last words have bits to spare */
      memset(cmap__directory_occupied(array), 0,
             sizeof(size_t) * cmap__occupied_words((size_t)1 << depth));
  }
  return array;
}

static void set_entry(struct cmap__directory_entry *entry,
                      struct cmap__shard *shard)
{
  cmap__store_release(&entry->block, shard->block); /* [D2] */
  cmap__store_release(&entry->shard, shard);        /* [D2] */
}

/* Notes whether the shard of n entries from `at` on may be occupied; mutex
 * held. */
static void set_occupied(struct cmap__directory_array *array, size_t at,
                         size_t n, bool occupied)
{
  unsigned depth = cmap__directory_depth(array);

  if (depth >= CMAP__OCCUPIED_DEPTH)
    cmap__occupied_set(cmap__directory_occupied(array), (size_t)1 << depth, at,
                       n, occupied);
}

/*
 * Brackets changes of entries, mutex held: who finds the same even number
 * before and after a walk [D3] walked an unchanging directory. It is a sequence
 * count: the entries are stored by release and loaded by acquire [D2], so that
 * who has seen one of a change finds that the change has begun.
 */
static void begin_change(struct cmap__directory *directory)
{
  cmap__add_relaxed(&directory->changes, 1); /* [D2] comes behind it */
}

static void end_change(struct cmap__directory *directory)
{
  cmap__add_release(&directory->changes, 1); /* [D3] */
}

/* Makes the array current; release: after it is filled [D1]. No shard is deeper
 * than it. */
static void make_current(struct cmap__directory *directory,
                         struct cmap__directory_array *array)
{
  struct cmap__directory_array *old = cmap__load_relaxed(&directory->current);
  unsigned depth = cmap__directory_depth(array);
  unsigned known = cmap__directory_depth(old);
  size_t *shards_at = cmap__directory_shards_at(array);

  for (unsigned d = 0; d <= depth; d++)
    shards_at[d] = d <= known ? cmap__directory_shards_at(old)[d] : 0;
  cmap__store_release(&directory->current, array);
}

enum cmap_status cmap__directory_init(struct cmap__directory *directory,
                                      struct cmap__shard *shard)
{
  struct cmap__directory_array *array = (void *)directory->first;

  memset(directory, 0, sizeof *directory);
  if (pthread_mutex_init(&directory->mutex, NULL) != 0)
    return CMAP_ENOMEM;
  add_array(directory, array, 0);
  set_entry(&array->entries[0], shard);
  cmap__directory_shards_at(array)[0] = 1;
  cmap__store_relaxed(&directory->shards, 1); /* nobody sees it yet */
  cmap__store_release(&directory->current, array);
  return CMAP_OK;
}

void cmap__directory_destroy(struct cmap__directory *directory,
                             const struct cmap__layout *layout)
{
  while (directory->arrays != NULL) {
    struct cmap__directory_array *array = directory->arrays;
    directory->arrays = array->older;
    if (array->older != NULL) /* the first was not allocated */
      cmap__free(&layout->allocator, array,
                 array_bytes(cmap__directory_depth(array)), CMAP__CACHE_LINE);
  }
  pthread_mutex_destroy(&directory->mutex);
}

/* The current array and its depth; mutex held. */
static struct cmap__directory_array *
current_of(const struct cmap__directory *directory, unsigned *depth)
{
  /* Relaxed: it and its entries change only under the mutex. */
  struct cmap__directory_array *array = cmap__load_relaxed(&directory->current);

  *depth = cmap__directory_depth(array);
  return array;
}

/* Begins to fill the array of a depth; mutex held. False: no memory. */
static bool begin_next(struct cmap__directory *directory,
                       const struct cmap__layout *layout, unsigned depth)
{
  if (directory->next != NULL &&
      cmap__directory_depth(directory->next) == depth)
    return true;
  directory->next = array_for(directory, layout, depth);
  directory->filled = 0;
  return directory->next != NULL;
}

/* Fills some entries of the next array, which becomes current when all are;
 * mutex held. */
static void fill_some(struct cmap__directory *directory)
{
  struct cmap__directory_array *to = directory->next;
  unsigned old;
  const struct cmap__directory_array *from = current_of(directory, &old);
  unsigned depth = cmap__directory_depth(to);
  size_t n = (size_t)1 << depth;
  size_t i = directory->filled;
  size_t end = n - i < CMAP__DIRECTORY_STEP ? n : i + CMAP__DIRECTORY_STEP;

  for (; i < end; i++) {
    const struct cmap__directory_entry *entry =
        from->entries +
        (depth >= old ? i >> (depth - old) : i << (old - depth));
    /* Relaxed: we hold the mutex. */
    cmap__store_release(&to->entries[i].block, /* [D2] */
                        cmap__load_relaxed(&entry->block));
    cmap__store_release(&to->entries[i].shard, /* [D2] */
                        cmap__load_relaxed(&entry->shard));
  }
  set_occupied(to, directory->filled, end - directory->filled, true);
  directory->filled = end;
  if (end == n) {
    directory->next = NULL;
    make_current(directory, to);
  }
}

/*
 * A step towards the depth, or of what was begun; mutex held. What was begun
 * for less is dropped: it must not be current when deeper shards are there.
 */
static enum cmap_status step_to(struct cmap__directory *directory,
                                const struct cmap__layout *layout,
                                unsigned depth)
{
  unsigned now;

  (void)current_of(directory, &now);
  if (directory->next != NULL && cmap__directory_depth(directory->next) < depth)
    directory->next = NULL;
  if (now < depth && directory->next == NULL &&
      !begin_next(directory, layout, depth))
    return CMAP_ENOMEM;
  if (directory->next != NULL)
    fill_some(directory);
  return CMAP_OK;
}

/* The same with the mutex; *reached: is the directory that deep? If so,
 * announces `count` shards. */
static enum cmap_status step_and_announce(struct cmap__directory *directory,
                                          const struct cmap__layout *layout,
                                          unsigned depth, size_t count,
                                          bool *reached)
{
  enum cmap_status status;
  struct cmap__directory_array *array;
  unsigned now;

  pthread_mutex_lock(&directory->mutex);
  status = step_to(directory, layout, depth);
  array = current_of(directory, &now);
  *reached = status == CMAP_OK && now >= depth;
  if (*reached) {
    cmap__directory_shards_at(array)[depth] += count;
    cmap__add_relaxed(&directory->shards, count); /* a number, no more */
  }
  pthread_mutex_unlock(&directory->mutex);
  return status;
}

bool cmap__directory_deepen(struct cmap__directory *directory,
                            const struct cmap__layout *layout, unsigned depth)
{
  bool reached = false;

  if (depth <= cmap__directory_depth(cmap__directory_current(directory)) ||
      depth > CMAP__DEPTH_MAX)
    return true;
  return step_and_announce(directory, layout, depth, 0, &reached) != CMAP_OK ||
         reached;
}

enum cmap_status cmap__directory_announce(struct cmap__directory *directory,
                                          const struct cmap__layout *layout,
                                          unsigned depth, size_t count)
{
  enum cmap_status status;
  bool reached;

  if (depth > CMAP__DEPTH_MAX)
    return CMAP_ENOMEM;
  /* Ends: each step fills entries, and others go on with the same. */
  do
    status = step_and_announce(directory, layout, depth, count, &reached);
  while (status == CMAP_OK && !reached);
  return status;
}

void cmap__directory_withdraw(struct cmap__directory *directory, unsigned depth,
                              size_t count)
{
  size_t *shards_at;
  unsigned now;

  pthread_mutex_lock(&directory->mutex);
  shards_at = cmap__directory_shards_at(current_of(directory, &now));
  cmap__assert(now >= depth && shards_at[depth] >= count);
  shards_at[depth] -= count;
  cmap__sub_relaxed(&directory->shards, count); /* a number, no more */
  pthread_mutex_unlock(&directory->mutex);
}

/* Lets the first `end` entries of an array name a shard, where they are its;
 * mutex held. */
static void name_shard(struct cmap__directory_array *array, size_t end,
                       struct cmap__shard *shard)
{
  unsigned shallow = cmap__directory_depth(array) - cmap__shard_depth(shard);
  struct cmap__directory_entry *entry =
      cmap__directory_at(array, shard->prefix);
  size_t at = (size_t)(entry - array->entries);
  size_t n = (size_t)1 << shallow;

  cmap__assert(cmap__shard_depth(shard) <= cmap__directory_depth(array));
  set_occupied(array, at, n, true);
  for (; n > 0 && at < end; n--, at++)
    set_entry(entry++, shard);
}

void cmap__directory_publish(struct cmap__directory *directory,
                             struct cmap__shard *const *shards, size_t count)
{
  struct cmap__directory_array *array;
  unsigned depth;

  pthread_mutex_lock(&directory->mutex);
  array = current_of(directory, &depth);
  begin_change(directory);
  for (size_t i = 0; i < count; i++) {
    name_shard(array, (size_t)1 << depth, shards[i]);
    if (directory->next != NULL)
      name_shard(directory->next, directory->filled, shards[i]);
  }
  end_change(directory);
  pthread_mutex_unlock(&directory->mutex);
}

void cmap__directory_note(struct cmap__directory *directory,
                          const struct cmap__shard *shard, bool occupied)
{
  struct cmap__directory_array *array;
  unsigned depth;

  pthread_mutex_lock(&directory->mutex);
  array = current_of(directory, &depth);
  set_occupied(
      array,
      (size_t)(cmap__directory_at(array, shard->prefix) - array->entries),
      (size_t)1 << (depth - cmap__shard_depth(shard)), occupied);
  pthread_mutex_unlock(&directory->mutex);
}

bool cmap__directory_seek(const struct cmap__directory *directory,
                          uint64_t *hash)
{
  struct cmap__directory_array *array = cmap__directory_current(directory);
  unsigned depth = cmap__directory_depth(array);
  size_t entries = (size_t)1 << depth;
  size_t at, next;

  if (depth < CMAP__OCCUPIED_DEPTH)
    return true;
  at = (size_t)(cmap__directory_at(array, *hash) - array->entries);
  next = cmap__occupied_next(cmap__directory_occupied(array), entries, at);
  if (next != at)
    *hash = (uint64_t)next << (64 - depth);
  return next < entries;
}

bool cmap__directory_may_reach(const struct cmap__directory *directory,
                               unsigned depth)
{
  /* Relaxed: a bound that need not be sharp. */
  size_t shards = cmap__load_relaxed(&directory->shards);
  size_t bound = ENTRIES_PER_SHARD * shards + ENTRIES_AT_LEAST;

  return depth <= CMAP__DEPTH_MAX && (uint64_t)1 << depth <= bound;
}

/* A step of halving; mutex held. False: there is none to do. */
static bool shrink_step(struct cmap__directory *directory,
                        const struct cmap__layout *layout, unsigned least)
{
  unsigned now, depth;
  const size_t *shards_at =
      cmap__directory_shards_at(current_of(directory, &now));

  if (directory->next != NULL && cmap__directory_depth(directory->next) < now) {
    fill_some(directory);
    return true;
  }
  depth = now;
  while (depth > 0 && shards_at[depth] == 0)
    depth--;
  /* Without memory for it, the large one does as well. */
  if (depth + least > now || !begin_next(directory, layout, depth))
    return false;
  fill_some(directory);
  return true;
}

void cmap__directory_shrink(struct cmap__directory *directory,
                            const struct cmap__layout *layout, unsigned least)
{
  bool more;

  /* Ends: each step fills entries, unless others need the old depth. */
  do {
    pthread_mutex_lock(&directory->mutex);
    more = shrink_step(directory, layout, least);
    pthread_mutex_unlock(&directory->mutex);
  } while (more && least <= 1);
}

size_t cmap__directory_bytes(struct cmap__directory *directory)
{
  size_t bytes = 0;

  pthread_mutex_lock(&directory->mutex);
  for (const struct cmap__directory_array *array = directory->arrays;
       array->older != NULL; array = array->older)
    bytes += array_bytes(cmap__directory_depth(array));
  pthread_mutex_unlock(&directory->mutex);
  return bytes;
}

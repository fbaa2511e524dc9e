/*
 * Scans: entries are copied out, and nothing is held between two calls.
 *
 * A position is a hash, except that the two highest hashes share one, so that
 * a cursor behind the last position is not the first one again. All entries at
 * positions below the cursor have been shown.
 */
#include <stdlib.h>

#include "base/alloc.h"
#include "map/columns.h"
#include "map/copies.h"

/* Behind the last position. */
#define POSITION_END UINT64_MAX

static uint64_t position_of(uint64_t hash)
{
  return hash < POSITION_END ? hash : POSITION_END - 1;
}

/* What entries need in the buffer. */
struct need {
  size_t entries;
  size_t text;
};

/* A call of cmap_scan. */
struct scan {
  const struct cmap__layout *layout;
  struct cmap_scan_buffer *buffer;
  uint64_t from;   /* the cursor */
  uint64_t end;    /* of the scan */
  bool text;       /* keys go to buffer->text */
  struct need has; /* what is in the buffer */
  size_t keys;     /* copied: the entries', and maybe one without its value,
                      to be released when no lock is held any more */
};

/* One entry of a shard that does not fit as a whole. */
struct found {
  uint64_t position;
  _Atomic uint64_t *slot;
};

static bool is_text(const struct cmap__layout *layout)
{
  return layout->kind == CMAP_STRING || layout->kind == CMAP_BYTES;
}

static void add_need(const struct scan *scan, const _Atomic uint64_t *slot,
                     struct need *need)
{
  need->entries++;
  if (scan->text)
    need->text += cmap__slot_key(scan->layout, slot).size + 1;
}

static bool fits(const struct scan *scan, const struct need *need)
{
  const struct cmap_scan_buffer *buffer = scan->buffer;

  return need->entries <= buffer->capacity - scan->has.entries &&
         (!scan->text || need->text <= buffer->text_size - scan->has.text);
}

static void *scanned_key(const struct scan *scan, size_t i)
{
  size_t size =
      is_text(scan->layout) ? sizeof(struct cmap_key) : scan->layout->key_size;
  return (char *)scan->buffer->keys + i * size;
}

static void *scanned_value(const struct scan *scan, size_t i)
{
  return (char *)scan->buffer->values + i * scan->layout->value_size;
}

static enum cmap_status copy_scanned_key(struct scan *scan,
                                         const _Atomic uint64_t *slot)
{
  const struct cmap__user *user = scan->layout->user;
  struct cmap_key key = cmap__slot_key(scan->layout, slot);
  void *to = scanned_key(scan, scan->has.entries);

  if (scan->text) {
    char *text = scan->buffer->text + scan->has.text;
    struct cmap_key copy = cmap_key_bytes(text, key.size);
    if (key.size > 0)
      memcpy(text, key.data, key.size);
    text[key.size] = 0;
    scan->has.text += key.size + 1;
    memcpy(to, &copy, sizeof copy);
    return CMAP_OK;
  }
  if (user->key_copy != NULL)
    return user->key_copy(key, to, user->key_ctx);
  memcpy(to, key.data, key.size);
  return CMAP_OK;
}

/* Adds an entry, for which there is room. */
static enum cmap_status add(struct scan *scan, _Atomic uint64_t *slot)
{
  size_t i = scan->has.entries;
  enum cmap_status status = CMAP_OK;

  if (scan->buffer->keys != NULL) {
    status = copy_scanned_key(scan, slot);
    scan->keys += status == CMAP_OK;
  }
  if (status == CMAP_OK && scan->buffer->values != NULL)
    status =
        cmap__value_copy_out(scan->layout, cmap__slot_value(scan->layout, slot),
                             scanned_value(scan, i));
  scan->has.entries += status == CMAP_OK;
  return status;
}

/* Releases what was added; no lock is held. */
static void undo(struct scan *scan)
{
  const struct cmap__user *user = scan->layout->user;

  for (size_t i = 0; i < scan->keys && user->key_destroy != NULL; i++)
    user->key_destroy(scanned_key(scan, i), user->key_ctx);
  if (scan->buffer->values == NULL || user->value_destroy == NULL)
    return;
  for (size_t i = 0; i < scan->has.entries; i++)
    user->value_destroy(scanned_value(scan, i), user->value_ctx);
}

/* Where the shard's part of the scan ends. */
static uint64_t stop_of(const struct scan *scan,
                        const struct cmap__shard *shard)
{
  uint64_t next = cmap__shard_next_hash(shard);

  return next == 0 || next > scan->end ? scan->end : next;
}

static struct cmap__cursor cursor_to(const struct scan *scan,
                                     const struct cmap__shard *shard,
                                     uint64_t stop)
{
  return cmap__cursor_between(shard, scan->from,
                              stop == POSITION_END ? UINT64_MAX : stop - 1);
}

/* What the cursor's entries need. */
static struct need need_of(const struct scan *scan, struct cmap__cursor cursor)
{
  struct need need = {0, 0};
  struct cmap__place place;

  while (cmap__cursor_next(scan->layout, &cursor, &place))
    add_need(scan, place.slot, &need);
  return need;
}

/* Sifts the entry at i down a heap whose first has the highest position. */
static void sift(struct found *heap, size_t n, size_t i)
{
  for (;;) {
    size_t child = 2 * i + 1;
    struct found moved = heap[i];
    if (child + 1 < n && heap[child + 1].position > heap[child].position)
      child++;
    if (child >= n || heap[child].position <= moved.position)
      return;
    heap[i] = heap[child];
    heap[child] = moved;
    i = child;
  }
}

static int by_position(const void *a, const void *b)
{
  uint64_t p = ((const struct found *)a)->position;
  uint64_t q = ((const struct found *)b)->position;

  return (p > q) - (p < q);
}

/* The n lowest of the cursor's entries, in order; returns how many it has, n
 * unless a user's hash has just said something else. */
static size_t select_lowest(const struct scan *scan, struct cmap__cursor cursor,
                            struct found *lowest, size_t n)
{
  const struct cmap__layout *layout = scan->layout;
  struct cmap__place place;
  size_t count = 0;

  while (cmap__cursor_next(layout, &cursor, &place)) {
    uint64_t position = position_of(cmap__slot_hash(layout, place.slot));
    struct found found = {position, place.slot};
    if (count < n) {
      lowest[count++] = found;
      for (size_t i = n / 2; count == n && i-- > 0;)
        sift(lowest, n, i);
    } else if (position < lowest[0].position) {
      lowest[0] = found;
      sift(lowest, n, 0);
    }
  }
  qsort(lowest, count, sizeof *lowest, by_position);
  return count;
}

/*
 * Adds the entries of whole positions, as long as they fit, from the n lowest
 * of the shard; scan->from is behind them then. The shard may have more than
 * these at the last one's position: then these alone do not fit.
 */
static enum cmap_status add_positions(struct scan *scan,
                                      const struct found *lowest, size_t n)
{
  size_t i = 0;

  while (i < n) {
    uint64_t position = lowest[i].position;
    struct need need = {0, 0};
    size_t behind = i;
    while (behind < n && lowest[behind].position == position)
      add_need(scan, lowest[behind++].slot, &need);
    if (!fits(scan, &need))
      break;
    for (; i < behind; i++) {
      enum cmap_status status = add(scan, lowest[i].slot);
      if (status != CMAP_OK)
        return status;
    }
    scan->from = position + 1;
  }
  return CMAP_OK;
}

/* The shard's entries do not all fit: adds the lowest of them. */
static enum cmap_status add_some(struct scan *scan,
                                 const struct cmap__shard *shard,
                                 struct cmap__cursor cursor, size_t entries)
{
  const struct cmap_allocator *allocator = &scan->layout->allocator;
  size_t n = scan->buffer->capacity; /* the buffer is empty */
  enum cmap_status status;
  struct found *lowest;
  struct need need;
  uint64_t position;
  size_t bytes, found;

  n = entries <= n ? entries : n + 1;
  bytes = n * sizeof *lowest;
  lowest = cmap__alloc(allocator, bytes, sizeof(uint64_t));
  if (lowest == NULL)
    return CMAP_ENOMEM;
  found = select_lowest(scan, cursor, lowest, n);
  status = add_positions(scan, lowest, found);
  position = found > 0 ? lowest[0].position : scan->from;
  cmap__free(allocator, lowest, bytes, sizeof(uint64_t));
  if (status != CMAP_OK || scan->has.entries > 0)
    return status;
  need = need_of(scan, cursor_to(scan, shard, position + 1));
  scan->buffer->count = need.entries;
  scan->buffer->text_used = need.text;
  return CMAP_ENOSPC;
}

/* Is it all of a shard, and can its entries be copied as bytes? */
static bool is_columns(const struct scan *scan,
                       const struct cmap__cursor *cursor,
                       struct cmap__columns *columns)
{
  const struct cmap_scan_buffer *buffer = scan->buffer;
  size_t i = scan->has.entries;

  return cursor->from == 0 && cursor->to == UINT64_MAX &&
         cmap__columns_begin(
             scan->layout, buffer->keys == NULL ? NULL : scanned_key(scan, i),
             buffer->values == NULL ? NULL : scanned_value(scan, i), columns);
}

/* Adds what fits of a shard that is held. *more: go on with the next one. */
static enum cmap_status add_shard(struct scan *scan,
                                  const struct cmap__table *table,
                                  const struct cmap__shard *shard, bool *more)
{
  uint64_t stop = stop_of(scan, shard);
  struct cmap__cursor cursor = cursor_to(scan, shard, stop);
  struct need need = {cmap__shard_count(shard), 0};
  enum cmap_status status = CMAP_OK;
  struct cmap__columns columns;
  struct cmap__place place;
  bool whole = is_columns(scan, &cursor, &columns);

  if (!whole)
    need = need_of(scan, cursor);
  *more = fits(scan, &need);
  if (!*more)
    return scan->has.entries > 0 ? CMAP_OK
                                 : add_some(scan, shard, cursor, need.entries);
  cursor.ahead = cmap__table_ahead(table, shard, scan->end - 1);
  if (whole) {
    scan->has.entries += need.entries;
    cmap__columns_copy(scan->layout, cursor.block, &columns, cursor.ahead,
                       scan->buffer->capacity - scan->has.entries);
  } else {
    /* As many as were counted: a user's hash may say something else now. */
    while (status == CMAP_OK && need.entries-- > 0 &&
           cmap__cursor_next(scan->layout, &cursor, &place))
      status = add(scan, place.slot);
  }
  scan->from = stop;
  return status;
}

/* Fills the buffer. */
static enum cmap_status scan_shards(struct cmap *map, struct scan *scan,
                                    const struct cmap__patience *patience)
{
  bool more = true;

  /* Ends: each round but the last moves scan->from on. */
  while (more && scan->from < scan->end &&
         scan->has.entries < scan->buffer->capacity) {
    struct cmap__locked locked;
    enum cmap_status status = cmap__table_lock_next(
        &map->table, &scan->from, scan->end - 1, CMAP__READ, patience, &locked);
    if (status == CMAP_NOT_FOUND) {
      scan->from = scan->end;
      break;
    }
    if (status != CMAP_OK) /* what there is comes first */
      return scan->has.entries > 0 ? CMAP_OK : status;
    status = add_shard(scan, &map->table, locked.shard, &more);
    cmap__table_unlock(&locked);
    if (status != CMAP_OK)
      return status;
  }
  return scan->has.entries > 0 ? CMAP_OK : CMAP_NOT_FOUND;
}

static bool buffer_is_valid(const struct cmap__layout *layout,
                            const struct cmap_scan_buffer *buffer)
{
  return !CMAP__WRONG(
             !cmap__struct_is_known(buffer, sizeof *buffer, sizeof *buffer),
             "buffer->size is wrong") &&
         !CMAP__WRONG(buffer->capacity == 0, "buffer->capacity is 0") &&
         !CMAP__WRONG(buffer->keys != NULL && is_text(layout) &&
                          buffer->text == NULL,
                      "buffer->text is NULL");
}

enum cmap_status cmap_scan(struct cmap *map, uint64_t *cursor, uint64_t end,
                           struct cmap_scan_buffer *buffer,
                           const struct cmap_how *how)
{
  struct cmap__patience patience;
  const uint64_t *unused;
  enum cmap_status status;
  struct scan scan;

  if (CMAP__MISSING(map) || CMAP__MISSING(cursor) || CMAP__MISSING(buffer) ||
      !cmap__how_read(how, &patience, &unused) ||
      !buffer_is_valid(&map->table.layout, buffer))
    return CMAP_EINVAL;
  if ((buffer->values != NULL && !map->table.copies_values) ||
      (buffer->keys != NULL && !cmap__copies_keys(map)))
    return CMAP_ENOTSUP;
  scan.layout = &map->table.layout;
  scan.buffer = buffer;
  scan.from = *cursor;
  scan.end = end == 0 ? POSITION_END : end;
  scan.text = is_text(scan.layout) && buffer->keys != NULL;
  scan.has.entries = scan.has.text = 0;
  scan.keys = 0;
  status = scan_shards(map, &scan, &patience);
  if (status != CMAP_OK && status != CMAP_NOT_FOUND) {
    undo(&scan);
    return status;
  }
  *cursor = scan.from;
  buffer->count = scan.has.entries;
  buffer->text_used = scan.has.text;
  return status;
}

enum cmap_status cmap_scan_part(size_t part, size_t parts, uint64_t *cursor,
                                uint64_t *end)
{
  struct cmap__range range;

  if (CMAP__MISSING(cursor) || CMAP__MISSING(end) ||
      !cmap__range_part(part, parts, &range))
    return CMAP_EINVAL;
  *cursor = range.first;
  *end = range.last + 1; /* 0: to the end of the map */
  return CMAP_OK;
}

struct for_each {
  cmap_view_fn *view;
  void *ctx;
};

static enum cmap_status for_each_of_shard(struct cmap *map,
                                          struct cmap__visit *visit, void *ctx)
{
  const struct cmap__layout *layout = &map->table.layout;
  const struct for_each *each = ctx;
  struct cmap__copies copies;
  enum cmap_status status = cmap__copies_take(layout, visit, &copies);

  cmap__locked_release(&visit->locked);
  for (size_t i = 0; status == CMAP_OK && i < copies.count; i++) {
    _Atomic uint64_t *slot = cmap__copies_slot(layout, &copies, i);
    status = each->view(cmap__slot_key(layout, slot),
                        cmap__slot_value(layout, slot), each->ctx);
  }
  cmap__copies_free(layout, &copies, 0);
  return status;
}

enum cmap_status cmap_for_each(struct cmap *map, size_t part, size_t parts,
                               cmap_view_fn *view, void *ctx,
                               const struct cmap_how *how)
{
  struct for_each each = {view, ctx};
  struct cmap__range range;

  if (CMAP__MISSING(map) || CMAP__MISSING(view) ||
      !cmap__range_part(part, parts, &range))
    return CMAP_EINVAL;
  if (!map->table.copies_values || !cmap__copies_keys(map))
    return CMAP_ENOTSUP;
  return cmap__map_walk_range(map, CMAP__READ, &range, how, for_each_of_shard,
                              &each);
}

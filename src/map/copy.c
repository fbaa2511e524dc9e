/*
 * Two maps at once: clone, merge, equal.
 */
#include "map/copies.h"

/* What merge and clone do with each entry. */
struct merge {
  struct cmap *into;
  cmap_merge_fn *conflict;
  void *ctx;
  struct cmap_how how; /* the caller's, without a hash */
};

/* What `how` says about waiting. False if it is not valid. */
static bool how_without_hash(const struct cmap_how *how, struct cmap_how *to)
{
  struct cmap__patience patience;
  const uint64_t *unused;

  if (!cmap__how_read(how, &patience, &unused))
    return false;
  memset(to, 0, sizeof *to);
  if (how != NULL)
    *to = *how;
  to->size = sizeof *to;
  to->flags &= ~(unsigned)CMAP_HASHED;
  return true;
}

/* The conflict callback in the shape of cmap_value_fn. */
struct conflict {
  const struct merge *merge;
  const void *from_value;
};

static enum cmap_status alter_by_conflict(struct cmap_key key, void *value,
                                          void *ctx)
{
  const struct conflict *conflict = ctx;

  return conflict->merge->conflict(key, value, conflict->from_value,
                                   conflict->merge->ctx);
}

/*
 * Inserts one copy. *moved: its value now belongs to the other map.
 */
static enum cmap_status merge_entry(const struct merge *merge,
                                    struct cmap_key key, const void *value,
                                    bool *moved)
{
  struct conflict conflict = {merge, value};
  enum cmap_status status;

  *moved = false;
  if (merge->conflict == NULL) {
    status = cmap_insert(merge->into, key, value, NULL, NULL, &merge->how);
    *moved = status == CMAP_OK;
    return status;
  }
  /* Ends when no other thread comes between two calls on this key. */
  for (;;) {
    status =
        cmap_alter(merge->into, key, alter_by_conflict, &conflict, &merge->how);
    if (status != CMAP_NOT_FOUND)
      return status;
    status = cmap_insert_new(merge->into, key, value, NULL, &merge->how);
    if (status != CMAP_EXISTS) {
      *moved = status == CMAP_OK;
      return status;
    }
  }
}

/* Inserts the copies, and releases them all. */
static enum cmap_status merge_copies(const struct cmap__layout *layout,
                                     struct cmap__copies *copies,
                                     const struct merge *merge)
{
  enum cmap_status status = CMAP_OK;
  size_t i;

  for (i = 0; i < copies->count && status == CMAP_OK; i++) {
    uint64_t *words = copies->words + i * layout->slot_words;
    _Atomic uint64_t *slot = cmap__payload_of(words);
    void *value = cmap__slot_value(layout, slot);
    bool moved;
    status = merge_entry(merge, cmap__slot_key(layout, slot), value, &moved);
    if (!moved) {
      cmap__slot_words_release(layout, words, NULL);
      continue;
    }
    /* The value's bytes are in the other map; its box and the key are ours. */
    cmap__slot_words_forget(layout, words);
  }
  cmap__copies_free(layout, copies, i);
  return status;
}

static enum cmap_status merge_shard(struct cmap *from,
                                    struct cmap__visit *visit, void *ctx)
{
  const struct cmap__layout *layout = &from->table.layout;
  struct cmap__copies copies;
  enum cmap_status status = cmap__copies_take(layout, visit, &copies);

  cmap__locked_release(&visit->locked);
  if (status == CMAP_OK)
    return merge_copies(layout, &copies, ctx);
  cmap__copies_free(layout, &copies, 0);
  return status;
}

/* Can entries of one map be compared with, and stored in, the other? */
static bool are_compatible(const struct cmap *a, const struct cmap *b)
{
  const struct cmap_options *p = &a->table.layout.options;
  const struct cmap_options *q = &b->table.layout.options;

  return p->key_kind == q->key_kind && p->key_size == q->key_size &&
         p->value_size == q->value_size &&
         (p->key_kind != CMAP_CUSTOM ||
          (p->key_hash == q->key_hash && p->key_equal == q->key_equal));
}

enum cmap_status cmap_merge(struct cmap *into, struct cmap *from,
                            cmap_merge_fn *conflict, void *ctx,
                            const struct cmap_how *how)
{
  struct merge merge = {.into = into, .conflict = conflict, .ctx = ctx};

  if (!how_without_hash(how, &merge.how) || into == NULL || from == NULL ||
      into == from || !are_compatible(into, from) ||
      into->table.layout.options.value_destroy !=
          from->table.layout.options.value_destroy)
    return CMAP_EINVAL;
  if (!from->copies_values || !cmap__copies_keys(from))
    return CMAP_ENOTSUP;
  return cmap__map_walk(from, CMAP__READ, how, merge_shard, &merge);
}

enum cmap_status cmap_clone(struct cmap *map, struct cmap **copy,
                            const struct cmap_how *how)
{
  struct merge merge = {.how = {.size = sizeof merge.how}};
  struct cmap_options options;
  enum cmap_status status;

  if (map == NULL || copy == NULL)
    return CMAP_EINVAL;
  if (!map->copies_values || !cmap__copies_keys(map))
    return CMAP_ENOTSUP;
  options = map->table.layout.options;
  options.capacity = 0; /* it grows as it needs */
  status = cmap_create(&options, &merge.into);
  if (status != CMAP_OK)
    return status;
  status = cmap__map_walk(map, CMAP__READ, how, merge_shard, &merge);
  if (status != CMAP_OK) {
    cmap_destroy(merge.into);
    return status;
  }
  merge.into->table.layout.options.capacity =
      map->table.layout.options.capacity;
  *copy = merge.into;
  return CMAP_OK;
}

/* A comparison under way: `outer` is walked, `inner` is asked. */
struct comparison {
  struct cmap *a; /* whose value_equal decides, with its value first */
  struct cmap *inner;
  struct cmap__patience patience;
  bool equal;
};

/* Looks one entry of the outer map up in the inner one. */
static enum cmap_status compare_entry(struct cmap *outer, struct comparison *c,
                                      _Atomic uint64_t *slot)
{
  const struct cmap__layout *layout = &c->a->table.layout;
  const void *value = cmap__slot_value(&outer->table.layout, slot);
  struct cmap__call call;
  enum cmap_status status = cmap__probe_init(
      &c->inner->table.layout, cmap__slot_key(&outer->table.layout, slot), NULL,
      &call.probe);

  if (status != CMAP_OK)
    return status;
  call.patience = c->patience;
  status = cmap__call_lock(c->inner, &call, CMAP__READ);
  if (status != CMAP_OK)
    return status;
  if (!call.found) {
    c->equal = false;
  } else {
    const void *other = cmap__call_value(c->inner, &call);
    cmap__section_begin(true, &call.locked);
    c->equal = outer == c->a ? cmap__value_equal(layout, value, other)
                             : cmap__value_equal(layout, other, value);
  }
  cmap__call_unlock(&call);
  return CMAP_OK;
}

/* The walk is ended early by this status, which nobody sees. */
#define DIFFERENT CMAP_MISMATCH

static enum cmap_status compare_shard(struct cmap *outer,
                                      struct cmap__visit *visit, void *ctx)
{
  const struct cmap__layout *layout = &outer->table.layout;
  struct cmap__cursor cursor = cmap__visit_cursor(visit);
  struct comparison *c = ctx;
  enum cmap_status status = CMAP_OK;
  struct cmap__place place;
  struct cmap__hold *hold;

  /* It waits for the other map's locks. */
  hold = cmap__locked_hold_begin(&outer->table, &visit->locked);
  while (status == CMAP_OK && cmap__cursor_next(layout, &cursor, &place)) {
    status = compare_entry(outer, c, place.slot);
    if (status == CMAP_OK && !c->equal)
      status = DIFFERENT;
  }
  cmap__locked_hold_end(&visit->locked, hold);
  return status;
}

enum cmap_status cmap_equal(struct cmap *a, struct cmap *b, bool *equal,
                            const struct cmap_how *how)
{
  struct comparison c = {.a = a, .equal = true};
  enum cmap_status status = CMAP_OK;
  const uint64_t *unused;
  struct cmap *outer;

  if (a == NULL || b == NULL || equal == NULL || !are_compatible(a, b) ||
      !cmap__how_read(how, &c.patience, &unused))
    return CMAP_EINVAL;
  if (!cmap__hold_prepare())
    return CMAP_ENOMEM;
  if (a != b) {
    /* One order for all threads: the lower address first. */
    outer = (uintptr_t)a < (uintptr_t)b ? a : b;
    c.inner = outer == a ? b : a;
    c.equal = cmap_len(a) == cmap_len(b);
    if (c.equal)
      status = cmap__map_walk(outer, CMAP__READ, how, compare_shard, &c);
  }
  if (status != CMAP_OK && status != DIFFERENT)
    return status;
  *equal = c.equal;
  return CMAP_OK;
}

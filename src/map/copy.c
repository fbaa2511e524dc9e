/*
 * Two maps at once: clone, merge, equal.
 */
#include "map/copies.h"

#include "base/check.h"

/* What merge does with each entry. */
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

  if (!cmap__how_read(how, &patience, &unused) || !cmap__how_copy(how, to))
    return false;
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
  const struct cmap__layout *p = &a->table.layout;
  const struct cmap__layout *q = &b->table.layout;

  return !CMAP__WRONG(p->kind != q->kind || p->key_size != q->key_size,
                      "the maps have keys of different kinds or sizes") &&
         !CMAP__WRONG(p->value_size != q->value_size,
                      "the maps have values of different sizes") &&
         !CMAP__WRONG(p->kind == CMAP_CUSTOM &&
                          (p->user->key_hash != q->user->key_hash ||
                           p->user->key_equal != q->user->key_equal),
                      "the maps have different key_hash or key_equal");
}

enum cmap_status cmap_merge(struct cmap *into, struct cmap *from,
                            cmap_merge_fn *conflict, void *ctx,
                            const struct cmap_how *how)
{
  struct merge merge = {.into = into, .conflict = conflict, .ctx = ctx};

  if (!how_without_hash(how, &merge.how) || CMAP__MISSING(into) ||
      CMAP__MISSING(from) ||
      CMAP__WRONG(into == from, "into and from are the same map") ||
      !are_compatible(into, from) ||
      CMAP__WRONG(into->table.layout.user->value_destroy !=
                      from->table.layout.user->value_destroy,
                  "the maps have different value_destroy"))
    return CMAP_EINVAL;
  if (!from->table.copies_values || !cmap__copies_keys(from))
    return CMAP_ENOTSUP;
  return cmap__map_walk(from, CMAP__READ, how, merge_shard, &merge);
}

/* A clone under way. */
struct clone {
  struct merge merge; /* first: by which a shard is cloned entry by entry */
  uint64_t *half;     /* NULL, or a slot of which only the key was copied: it is
                         released when no lock is held any more */
};

/* Copies an entry to a slot of the other map. CMAP_ENOMEM, or what the user's
 * functions say. */
static enum cmap_status clone_entry(const struct cmap__layout *layout,
                                    struct clone *clone, _Atomic uint64_t *slot,
                                    _Atomic uint64_t *to)
{
  enum cmap_status status;
  bool half = false;

  if (!layout->owns_anything && layout->user->key_copy == NULL) {
    cmap__payload_move(to, slot, layout->slot_words);
    return CMAP_OK;
  }
  status = cmap__copy_entry(layout, slot, cmap__payload_plain(to),
                            CMAP_KEYS_AND_VALUES, &half);
  if (half)
    clone->half = cmap__payload_plain(to);
  return status;
}

/* Copies group `at` of a shard, with its entries in their places, to one that
 * has none; those before the one that fails. */
static enum cmap_status clone_group(const struct cmap__layout *layout,
                                    struct clone *clone,
                                    const struct cmap__shard *from,
                                    struct cmap__shard *to, size_t at)
{
  const uint64_t overflow = UINT64_C(0xff) << CMAP__OVERFLOW_SHIFT;
  const struct cmap__group *group = cmap__block_group(from->block, at);
  struct cmap__group *copy = cmap__block_group(to->block, at);
  size_t first = at * CMAP__GROUP_SLOTS * layout->slot_words;
  /* Relaxed, here and below: both shards are held. */
  uint64_t lo = cmap__load_relaxed(&group->lo);
  uint64_t hi = cmap__load_relaxed(&group->hi);
  uint64_t copy_lo = 0;
  uint64_t copy_hi = cmap__load_relaxed(&copy->hi) | (hi & overflow);
  enum cmap_status status = CMAP_OK;

  for (unsigned left = cmap__group_full(lo, hi); left != 0; left &= left - 1) {
    unsigned index = (unsigned)__builtin_ctz(left);
    size_t word = first + (size_t)index * layout->slot_words;
    status = clone_entry(layout, clone, cmap__block_slots(from->block) + word,
                         cmap__block_slots(to->block) + word);
    if (status != CMAP_OK)
      break;
    cmap__group_set_tag(&copy_lo, &copy_hi, index,
                        cmap__group_tag(lo, hi, index));
  }
  cmap__store_relaxed(&copy->lo, copy_lo);
  cmap__store_relaxed(&copy->hi, copy_hi);
  cmap__store_relaxed(
      &to->inserted, cmap__load_relaxed(&to->inserted) +
                         cmap__group_count(cmap__group_full(copy_lo, copy_hi)));
  return status;
}

/* The same of all groups: `to` is empty, and has a block of the same size. */
static enum cmap_status clone_groups(const struct cmap__layout *layout,
                                     struct clone *clone,
                                     struct cmap__visit *visit,
                                     struct cmap__shard *to)
{
  const struct cmap__shard *from = visit->locked.shard;
  enum cmap_status status = CMAP_OK;

  /* As much time for both, until the overflow bits are cleared. */
  to->rebuilt_at -= cmap__load_relaxed(&from->removed) - from->rebuilt_at;
  to->limit = from->limit;
  for (size_t at = 0; status == CMAP_OK && at <= cmap__block_mask(from->block);
       at++) {
    cmap__ahead_step(&visit->ahead);
    status = clone_group(layout, clone, from, to, at);
  }
  return status;
}

/*
 * Gives the copy, which nobody else sees, an empty shard with the range and
 * size of this one, held. NULL and CMAP_OK: there are entries in its way, which
 * the walk has met in shards of other ranges, or with other hashes.
 */
static enum cmap_status twin_of(struct cmap__table *table,
                                const struct cmap__shard *from,
                                struct cmap__shard **twin)
{
  unsigned depth = cmap__shard_depth(from);
  enum cmap_status status = CMAP_OK;
  struct cmap__locked locked;
  bool is_free =
      cmap__table_lock_now(table, from->prefix, CMAP__WRITE, &locked);

  cmap__assert(is_free);
  (void)is_free;
  *twin = NULL;
  if (cmap__shard_depth(locked.shard) < depth)
    status = cmap__shard_split(table, &locked.shard, from->prefix, depth);
  if (status == CMAP_OK && locked.shard->mask == from->mask &&
      cmap__shard_count(locked.shard) == 0) {
    status = cmap__shard_resize(table, &locked.shard,
                                (int)cmap__block_log2(from->block));
    if (status == CMAP_OK) {
      *twin = locked.shard;
      return status;
    }
  }
  cmap__table_unlock(&locked);
  return status;
}

/* A shard with fewer entries than this part of what it has room for gets a
 * smaller block in the copy. */
#define SPARSE_PART 4

static enum cmap_status clone_shard(struct cmap *map, struct cmap__visit *visit,
                                    void *ctx)
{
  const struct cmap__shard *from = visit->locked.shard;
  struct clone *clone = ctx;
  struct cmap__table *table = &clone->merge.into->table;
  size_t count = cmap__shard_count(from);
  enum cmap_status status = CMAP_OK;
  struct cmap__shard *twin = NULL;

  if (count == 0)
    return CMAP_OK;
  /* Else it was merged after its first part had been visited. */
  if (visit->from == from->prefix)
    status = twin_of(table, from, &twin);
  if (status != CMAP_OK)
    return status;
  if (twin == NULL)
    return merge_shard(map, visit, &clone->merge);
  status = clone_groups(&table->layout, clone, visit, twin);
  cmap__assert_valid(cmap__shard_broken(&table->layout, twin) == NULL);
  /* Without memory it stays as it is. */
  if (status == CMAP_OK &&
      count < cmap__full_at(cmap__block_slot_count(from->block)) / SPARSE_PART)
    (void)cmap__shard_fit(table, &twin, count);
  cmap__shardlock_write_unlock(&twin->lock);
  return status;
}

enum cmap_status cmap_clone(struct cmap *map, struct cmap **copy,
                            const struct cmap_how *how)
{
  struct clone clone = {.merge.how = {.size = sizeof clone.merge.how}};
  const struct cmap__layout *layout;
  struct cmap__layout *made;
  struct cmap_options options;
  enum cmap_status status;

  if (copy != NULL)
    *copy = NULL;
  if (CMAP__MISSING(map) || CMAP__MISSING(copy))
    return CMAP_EINVAL;
  if (!map->table.copies_values || !cmap__copies_keys(map))
    return CMAP_ENOTSUP;
  layout = &map->table.layout;
  cmap__layout_options(layout, &options);
  options.capacity = 0; /* it grows as it needs */
  options.flags |= CMAP_FIXED_SEED;
  options.seed[0] = layout->hash_key.k0;
  options.seed[1] = layout->hash_key.k1;
  status = cmap_create(&options, &clone.merge.into);
  if (status != CMAP_OK)
    return status;
  status = cmap__map_walk(map, CMAP__READ, how, clone_shard, &clone);
  if (status != CMAP_OK) {
    if (clone.half != NULL)
      cmap__key_words_destroy(&clone.merge.into->table.layout, clone.half);
    cmap_destroy(clone.merge.into);
    return status;
  }
  made = &clone.merge.into->table.layout;
  made->flags = layout->flags;
  made->capacity = layout->capacity;
  *copy = clone.merge.into;
  return CMAP_OK;
}

/* A comparison under way: `outer` is walked, `inner` is asked. */
struct comparison {
  struct cmap *a; /* whose value_equal decides, with its value first */
  struct cmap *inner;
  struct cmap__patience patience;
  struct cmap__range range; /* what is to be compared still */
  bool equal;
};

/* The walk is ended early by one of these, which nobody sees. */
#define DIFFERENT CMAP_MISMATCH
#define LENT      CMAP_EXISTS

/* Gives up the shard of the outer map. */
static void lend_outer(struct cmap__lending *lending,
                       const struct cmap__holder *holder, uint64_t hash)
{
  const struct cmap__hold *hold = &lending->record.hold;

  (void)holder, (void)hash;
  cmap__shardlock_read_unlock(hold->lock);
  lending->gaps[0] = (struct cmap__gap){hold->first, hold->last};
  lending->gap_count = 1;
}

/* Looks one entry of the outer map up in the inner one. LENT: its shard is not
 * locked any more. */
static enum cmap_status compare_entry(struct cmap *outer, struct comparison *c,
                                      const struct cmap__lending *lending,
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
  status = cmap__table_lock(&c->inner->table, call.probe.hash, CMAP__READ,
                            &c->patience, &call.locked);
  if (status != CMAP_OK)
    return status;
  /* The key that is looked for may be gone, too. */
  if (lending->gap_count > 0) {
    cmap__call_unlock(&call);
    return LENT;
  }
  call.found = cmap__shard_find(&c->inner->table.layout, call.locked.shard,
                                &call.probe, &call.place);
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

static enum cmap_status compare_shard(struct cmap *outer,
                                      struct cmap__visit *visit, void *ctx)
{
  const struct cmap__layout *layout = &outer->table.layout;
  struct cmap__cursor cursor = cmap__visit_cursor(visit);
  struct comparison *c = ctx;
  enum cmap_status status = CMAP_OK;
  struct cmap__lending *lending;
  struct cmap__place place;
  struct cmap__hold *hold;

  /* It waits for the other map's locks. */
  cmap__locked_count(&visit->locked); /* others may end it */
  hold = cmap__locked_hold_begin(&outer->table, &visit->locked);
  if (!visit->locked.borrowed)
    hold->mode = CMAP__LEND;
  lending = (struct cmap__lending *)hold;
  lending->gap_count = 0;
  lending->lend = lend_outer;
  c->range.first = visit->from; /* all below is done */
  while (status == CMAP_OK && cmap__cursor_next(layout, &cursor, &place)) {
    status = compare_entry(outer, c, lending, place.slot);
    if (status == CMAP_OK && !c->equal)
      status = DIFFERENT;
  }
  cmap__locked_hold_end(&visit->locked, hold);
  if (lending->gap_count > 0)
    visit->locked.borrowed = true; /* not ours to unlock any more */
  return status;
}

enum cmap_status cmap_equal(struct cmap *a, struct cmap *b, bool *equal,
                            const struct cmap_how *how)
{
  struct comparison c = {.a = a, .range = {0, UINT64_MAX}, .equal = true};
  enum cmap_status status = CMAP_OK;
  const uint64_t *unused;
  struct cmap *outer;

  if (CMAP__MISSING(a) || CMAP__MISSING(b) || CMAP__MISSING(equal) ||
      !are_compatible(a, b) || !cmap__how_read(how, &c.patience, &unused))
    return CMAP_EINVAL;
  if (!cmap__hold_prepare())
    return CMAP_ENOMEM;
  if (a != b) {
    /* One order for all threads: the lower address first. */
    outer = (uintptr_t)a < (uintptr_t)b ? a : b;
    c.inner = outer == a ? b : a;
    c.equal = cmap_len(a) == cmap_len(b);
    status = c.equal ? LENT : DIFFERENT;
    /* Ends: it begins a shard again only when another thread has got on that
     * waited for it, and held what this one waited for. */
    while (status == LENT)
      status = cmap__map_walk_range(outer, CMAP__READ, &c.range, how,
                                    compare_shard, &c);
  }
  if (status != CMAP_OK && status != DIFFERENT)
    return status;
  *equal = c.equal;
  return CMAP_OK;
}

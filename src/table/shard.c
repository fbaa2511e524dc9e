/*
 * Search, insertion and removal in one locked shard.
 *
 * Loads of metadata are relaxed here: only the holder of the write lock
 * changes it, and acquiring the lock made the last holder's stores visible.
 */
#include "table/shard.h"

#include "base/check.h"

struct cmap__group cmap__empty_groups[CMAP__EMPTY_GROUPS] CMAP__ALIGNED(
    CMAP__CACHE_LINE) = {[CMAP__EMPTY_GROUPS - 1] = {0, CMAP__SEQ_ONE}};

/* The probe sequence: triangular steps visit each of 2^g groups once. */
struct probe_walk {
  uintptr_t block;
  size_t mask;
  size_t at;
  size_t step;
};

static inline struct probe_walk walk_begin(uintptr_t block, uint64_t hash)
{
  struct probe_walk walk;

  walk.block = block;
  walk.mask = cmap__block_mask(block);
  walk.at = cmap__block_home(block, hash);
  walk.step = 0;
  return walk;
}

/* False when all groups have been visited. */
static inline bool walk_next(struct probe_walk *walk)
{
  walk->step++;
  walk->at = (walk->at + walk->step) & walk->mask;
  return walk->step <= walk->mask;
}

static inline _Atomic uint64_t *walk_slot(const struct cmap__layout *layout,
                                          const struct probe_walk *walk,
                                          unsigned index)
{
  return cmap__block_slots(walk->block) +
         (walk->at * CMAP__GROUP_SLOTS + index) * layout->slot_words;
}

/* Stands for a shape: the entry with the value word probe->words[0]. */
#define BY_VALUE_WORD 101

CMAP__ALWAYS_INLINE bool is_wanted(const struct cmap__layout *layout,
                                   unsigned shape, const _Atomic uint64_t *slot,
                                   const struct cmap__probe *probe)
{
  if (shape == BY_VALUE_WORD)
    return cmap__payload_load(slot + layout->value_word) == probe->words[0];
  return cmap__key_equal(layout, (enum cmap__shape)shape, NULL, 0, slot, probe);
}

CMAP__ALWAYS_INLINE bool search_as(const struct cmap__layout *layout,
                                   unsigned shape,
                                   const struct cmap__shard *shard,
                                   const struct cmap__probe *probe,
                                   struct cmap__place *place)
{
  struct probe_walk walk = walk_begin(shard->block, probe->hash);
  unsigned tag = cmap__hash_tag(probe->hash);

  do {
    struct cmap__group *group = cmap__block_group(walk.block, walk.at);
    uint64_t lo = cmap__load_relaxed(&group->lo);
    uint64_t hi = cmap__load_relaxed(&group->hi);
    unsigned match = cmap__group_match(lo, hi, tag);

    for (; match != 0; match &= match - 1) {
      unsigned index = (unsigned)__builtin_ctz(match);
      _Atomic uint64_t *slot = walk_slot(layout, &walk, index);
      if (cmap__likely(is_wanted(layout, shape, slot, probe))) {
        place->group = group;
        place->slot = slot;
        place->index = index;
        place->tag = tag;
        place->probes = (unsigned)walk.step;
        return true;
      }
    }
    if (!cmap__group_overflowed(hi, probe->hash))
      break;
  } while (walk_next(&walk));
  place->probes = (unsigned)walk.step;
  return false;
}

CMAP__INSTANCES(bool, search,
                (const struct cmap__layout *layout,
                 const struct cmap__shard *shard,
                 const struct cmap__probe *probe, struct cmap__place *place),
                (layout, shape, shard, probe, place))

bool cmap__shard_find(const struct cmap__layout *layout,
                      const struct cmap__shard *shard,
                      const struct cmap__probe *probe,
                      struct cmap__place *place)
{
  CMAP__RETURN_INSTANCE(layout->shape, search, (layout, shard, probe, place));
  return search_as(layout, CMAP__SHAPE_CUSTOM, shard, probe, place);
}

bool cmap__shard_find_word(const struct cmap__layout *layout,
                           const struct cmap__shard *shard, uint64_t hash,
                           uint64_t word, struct cmap__place *place)
{
  const struct cmap__probe probe = {.hash = hash, .words = {word}};

  return search_as(layout, BY_VALUE_WORD, shard, &probe, place);
}

/*
 * The one search for a free slot, of live shards and of blocks being filled:
 * in the groups before `end`, or in all.
 * On a full group the overflow bit is set by one store, without a section:
 * readers compare the whole word, and the bit comes before the key it is for.
 */
CMAP__ALWAYS_INLINE bool vacancy_before(const struct cmap__layout *layout,
                                        uintptr_t block, uint64_t hash,
                                        const struct cmap__group *end,
                                        struct cmap__place *place)
{
  struct probe_walk walk = walk_begin(block, hash);

  if (cmap__block_is_empty(block))
    return false;
  do {
    struct cmap__group *group = cmap__block_group(walk.block, walk.at);
    uint64_t lo = cmap__load_relaxed(&group->lo);
    uint64_t hi = cmap__load_relaxed(&group->hi);
    unsigned empty = cmap__group_empty(lo, hi);

    if (group == end)
      return false;
    if (empty != 0) {
      place->group = group;
      place->index =
          cmap__choose_slot(layout->slot_words, layout->slot_inverse,
                            walk_slot(layout, &walk, 0), empty, hash);
      place->slot = walk_slot(layout, &walk, place->index);
      place->tag = cmap__hash_tag(hash);
      place->probes = (unsigned)walk.step;
      return true;
    }
    hi |= (uint64_t)cmap__hash_overflow_bit(hash) << CMAP__OVERFLOW_SHIFT;
    cmap__store_release(&group->hi, hi); /* [Q1] */
  } while (walk_next(&walk));
  return false;
}

static bool vacancy(const struct cmap__layout *layout, uintptr_t block,
                    uint64_t hash, struct cmap__place *place)
{
  return vacancy_before(layout, block, hash, NULL, place);
}

bool cmap__shard_vacancy(const struct cmap__layout *layout,
                         struct cmap__shard *shard, uint64_t hash,
                         struct cmap__place *place)
{
  return vacancy(layout, shard->block, hash, place);
}

/* Stores a tag; hi is the word of an open section, and its new value comes. */
static inline uint64_t store_tag(const struct cmap__place *place, uint64_t hi,
                                 unsigned tag)
{
  uint64_t lo;

  if (place->index >= 8)
    return cmap__group_with_tag(hi, place->index, tag);
  lo = cmap__load_relaxed(&place->group->lo);
  lo = cmap__group_with_tag(lo, place->index, tag);
  cmap__payload_store(&place->group->lo, lo);
  return hi;
}

void cmap__shard_put(const struct cmap__layout *layout,
                     struct cmap__shard *shard, const struct cmap__place *place,
                     bool open, const struct cmap__key_image *key,
                     const uint64_t *value)
{
  unsigned key_end = (unsigned)layout->key_word + layout->key_words;
  _Atomic uint64_t *word = &place->group->hi;
  _Atomic uint64_t *slot = place->slot;
  /* Relaxed: we hold the lock. */
  uint64_t hi = open ? cmap__load_relaxed(word) : cmap__seq_open(word);

  /*
   * Before the release stores that show the key: who has seen the key must not
   * find its shard empty (cmap_is_empty).
   */
  cmap__store_release(&shard->inserted, /* [N1] */
                      cmap__load_relaxed(&shard->inserted) + 1);
  /* The value second: it is a half of the key's word in PACKED. */
  for (unsigned i = 0; i < key_end; i = cmap__key_next(layout, i))
    cmap__payload_store(slot + i, key->words[i]);
  cmap__value_words_store(layout, slot, value);
  hi = store_tag(place, hi, place->tag);
  if (open)
    cmap__payload_store(word, hi);
  else
    cmap__seq_close(word, hi);
}

void cmap__shard_take(const struct cmap__layout *layout,
                      struct cmap__shard *shard,
                      const struct cmap__place *place, bool open,
                      uint64_t *words)
{
  _Atomic uint64_t *word = &place->group->hi;
  uint64_t hi = open ? cmap__load_relaxed(word) : cmap__seq_open(word);

  /* Relaxed: we hold the lock. */
  for (unsigned i = 0; i < layout->slot_words; i++)
    words[i] = cmap__load_relaxed(place->slot + i);
  hi = store_tag(place, hi, 0);
  if (open)
    cmap__payload_store(word, hi);
  else
    cmap__seq_close(word, hi);
  cmap__store_release(&shard->removed, /* [N1] */
                      cmap__load_relaxed(&shard->removed) + 1);
}

void cmap__shard_wipe(struct cmap__shard *shard)
{
  struct cmap__group *group = cmap__block_groups(shard->block);
  size_t n = (size_t)1 << cmap__block_log2(shard->block);

  /* Relaxed, also below: the lock is held. If nothing has come since the last
   * time, there are no overflow bits either. */
  if (cmap__block_is_empty(shard->block) ||
      (cmap__shard_count(shard) == 0 &&
       cmap__load_relaxed(&shard->inserted) == shard->rebuilt_at))
    return;
  for (; n > 0; n--, group++) {
    uint64_t hi = cmap__seq_open(&group->hi);
    cmap__payload_store(&group->lo, 0);
    cmap__seq_close(&group->hi, hi & ~UINT64_C(0xffffffff));
  }
  shard->rebuilt_at = cmap__load_relaxed(&shard->inserted);
  cmap__store_release(&shard->removed, shard->rebuilt_at); /* [N1] */
}

bool cmap__block_fill(const struct cmap__layout *layout, uintptr_t block,
                      const _Atomic uint64_t *slot, uint64_t hash)
{
  struct cmap__place place;
  uint64_t hi;

  if (!vacancy(layout, block, hash, &place))
    return false;
  hi = cmap__load_relaxed(&place.group->hi);
  cmap__assert(!cmap__seq_is_stable(hi));
  cmap__payload_move(place.slot, slot, layout->slot_words);
  hi = store_tag(&place, hi, place.tag);
  cmap__store_relaxed(&place.group->hi, hi); /* busy: see cmap__block_close */
  return true;
}

/* Clears the overflow bits of all groups, which are busy. */
static void forget_overflow(uintptr_t block)
{
  const uint64_t bits = UINT64_C(0xff) << CMAP__OVERFLOW_SHIFT;
  struct cmap__group *group = cmap__block_groups(block);

  /* Relaxed, here and below: busy, see cmap__block_close. */
  for (size_t n = (size_t)1 << cmap__block_log2(block); n > 0; n--, group++)
    cmap__store_relaxed(&group->hi, cmap__load_relaxed(&group->hi) & ~bits);
}

/* Puts an entry of a busy group where the search for a free slot comes to
 * first; or leaves it, if that is its group. */
static void rehome(const struct cmap__layout *layout, uintptr_t block,
                   struct cmap__group *group, unsigned index,
                   const _Atomic uint64_t *slot)
{
  struct cmap__place from = {.group = group, .index = index};
  struct cmap__place to;
  uint64_t hash = cmap__slot_hash(layout, slot);

  if (!vacancy_before(layout, block, hash, group, &to))
    return;
  cmap__assert(!cmap__seq_is_stable(cmap__load_relaxed(&group->hi)));
  cmap__payload_move(to.slot, slot, layout->slot_words);
  cmap__store_relaxed(
      &to.group->hi, store_tag(&to, cmap__load_relaxed(&to.group->hi), to.tag));
  cmap__store_relaxed(&group->hi,
                      store_tag(&from, cmap__load_relaxed(&group->hi), 0));
}

void cmap__block_rehome(const struct cmap__layout *layout, uintptr_t block)
{
  struct cmap__cursor cursor = cmap__cursor_begin(block);
  struct cmap__place place;

  if (cmap__block_is_empty(block))
    return;
  cmap__block_close(block);
  forget_overflow(block);
  while (cmap__cursor_next(layout, &cursor, &place))
    rehome(layout, block, place.group, place.index, place.slot);
  cmap__block_publish(block);
}

void cmap__block_close(uintptr_t block)
{
  struct cmap__group *group = cmap__block_groups(block);
  size_t n = (size_t)1 << cmap__block_log2(block);

  if (cmap__block_is_empty(block))
    return;
  for (; n > 0; n--, group++) {
    uint64_t hi = cmap__load_relaxed(&group->hi);
    cmap__assert(cmap__seq_is_stable(hi));
    /* Relaxed, as all that is stored to the word of a busy group: who reads it
     * reads no further. What makes entries of it, and what is stored into the
     * block after it, are releases. */
    cmap__store_relaxed(&group->hi, hi + CMAP__SEQ_ONE);
  }
}

void cmap__block_publish(uintptr_t block)
{
  struct cmap__group *group = cmap__block_groups(block);
  size_t n = (size_t)1 << cmap__block_log2(block);

  if (cmap__block_is_empty(block))
    return;
  for (; n > 0; n--, group++) {
    uint64_t hi = cmap__load_relaxed(&group->hi);
    cmap__assert(!cmap__seq_is_stable(hi));
    cmap__store_release(&group->hi, hi + CMAP__SEQ_ONE); /* [Q1] */
  }
}

bool cmap__cursor_next_group(const struct cmap__layout *layout,
                             struct cmap__cursor *cursor)
{
  size_t n = (size_t)1 << cmap__block_log2(cursor->block);

  if (cmap__block_is_empty(cursor->block))
    return false;
  while (++cursor->at < n) {
    cmap__ahead_step(&cursor->ahead);
    cursor->group = cmap__block_group(cursor->block, cursor->at);
    cursor->left = cmap__group_full(cmap__load_relaxed(&cursor->group->lo),
                                    cmap__load_relaxed(&cursor->group->hi));
    if (cursor->left != 0) {
      cursor->slots = cmap__block_slots(cursor->block) +
                      cursor->at * CMAP__GROUP_SLOTS * layout->slot_words;
      return true;
    }
  }
  cursor->at = n - 1; /* at the end again, whoever asks */
  return false;
}

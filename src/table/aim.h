/*
 * The short way to a key that is to be written or held.
 *
 * What can be known before the lock is known before it: where the key's slot
 * is, if the tags are right. Behind the lock there are few instructions, and
 * none of them waits for more than the slot itself; few values are alive, so
 * that few registers are saved. The slot is left alone until then: with two
 * threads at one counter no line is asked for that the other one is about to
 * write. Figures in docs/design.md.
 *
 * One source for all shapes: inline bodies with the shape constant. No address
 * of an aim may leave the caller: then all of it is registers, where copies
 * through memory cost up to 10 ns.
 */
#ifndef CMAP__TABLE_AIM_H
#define CMAP__TABLE_AIM_H

#include "base/check.h"
#include "table/table.h"

/* Where a key's home group is, and which of its slots have the key's tag. */
struct cmap__aim {
  struct cmap__shard *shard;
  uintptr_t block;
  struct cmap__group *group;
  _Atomic uint64_t *slots; /* of the group */
  _Atomic uint64_t *slot;  /* the first with the key's tag, if there is one */
  uint64_t hi;             /* the group's, as it was seen */
  unsigned match;          /* slots with the key's tag */
  unsigned index;          /* of `slot` */
  int seat;                /* of a hold to read: of cmap__read_try */
};

/* How an aim ended. */
enum cmap__hit {
  CMAP__HIT,    /* the shard is locked, and `slot` is the key's */
  CMAP__GAP,    /* no slot has the key's tag; nothing is locked */
  CMAP__FAR,    /* the shard is locked, and a search must tell */
  CMAP__NOTHING /* nothing is locked, nothing known: begin anew with a call */
};

/* A group's slots with the key's tag. Without the lock it is a hint, and
 * cmap__aim_holds tells under the lock whether it is true. */
CMAP__ALWAYS_INLINE struct cmap__aim
cmap__aim_at(const struct cmap__form *form, uintptr_t block, uint64_t hash)
{
  struct cmap__aim aim = {
      .block = block,
      .group = cmap__block_home_group(block, hash),
      .slots = cmap__block_home_slots(block, hash, form->slot_words),
  };

  aim.hi = cmap__load_acquire(&aim.group->hi); /* [Q1] */
  aim.match = cmap__group_match_shared(aim.group, aim.hi, hash);
  return aim;
}

/*
 * The block is the shard's, which is held, and its group is live and has not
 * changed since, as counts only grow.
 */
CMAP__ALWAYS_INLINE bool cmap__aim_holds(const struct cmap__aim *aim)
{
  /* Relaxed: the lock orders it. */
  return cmap__likely(aim->shard->block == aim->block) &&
         cmap__likely(cmap__load_relaxed(&aim->group->hi) == aim->hi) &&
         cmap__likely(cmap__seq_is_stable(aim->hi));
}

CMAP__ALWAYS_INLINE bool cmap__aim_try_lock(struct cmap__aim *aim,
                                            enum cmap__mode mode,
                                            struct cmap__holder *self)
{
  if (mode == CMAP__WRITE) {
    aim->seat = CMAP__READ_COUNTED; /* if it is downgraded */
    return cmap__shardlock_try_write(&aim->shard->lock);
  }
  aim->seat = cmap__read_try(self, &aim->shard->lock);
  return cmap__likely(aim->seat != CMAP__READ_REFUSED);
}

CMAP__ALWAYS_INLINE void cmap__aim_unlock(const struct cmap__aim *aim,
                                          enum cmap__mode mode)
{
  if (mode == CMAP__WRITE)
    cmap__shardlock_write_unlock(&aim->shard->lock);
  else
    cmap__read_end(&aim->shard->lock, aim->seat);
}

/* Aims at a hash. True: no slot of its home group has its tag. */
CMAP__ALWAYS_INLINE bool cmap__aim_gap(struct cmap__table *table,
                                       enum cmap__shape shape, uint64_t hash,
                                       struct cmap__aim *aim)
{
  const struct cmap__form form = cmap__form_of(&table->layout, shape);
  struct cmap__directory_array *array =
      cmap__directory_current(&table->directory);
  struct cmap__directory_entry *entry = cmap__directory_at(array, hash);
  uintptr_t block = cmap__load_acquire(&entry->block);           /* [D2] */
  struct cmap__shard *shard = cmap__load_acquire(&entry->shard); /* [D2] */
  *aim = cmap__aim_at(&form, block, hash);
  aim->shard = shard;
  if (array->is_large) {
    cmap__prefetch_write(shard);
    cmap__prefetch_preferred(aim->slots, form.slot_words, hash);
  }
  return aim->match == 0;
}

/*
 * Aims at the probe's key, and locks its shard if that is free and a slot of
 * its home group has the key's tag. `self`: of who reads, &cmap__self.
 */
CMAP__ALWAYS_INLINE enum cmap__hit
cmap__aim_hit(struct cmap__table *table, enum cmap__shape shape,
              const struct cmap__probe *probe, enum cmap__mode mode,
              struct cmap__holder *self, struct cmap__aim *aim)
{
  const struct cmap__layout *layout = &table->layout;
  const struct cmap__form form = cmap__form_of(layout, shape);
  uint64_t again;
  bool equal;

  if (cmap__unlikely(cmap__aim_gap(table, shape, probe->hash, aim)))
    return CMAP__GAP;
  aim->index = (unsigned)__builtin_ctz(aim->match);
  aim->slot = aim->slots + aim->index * form.slot_words;
  if (cmap__unlikely(!cmap__aim_try_lock(aim, mode, self)))
    return CMAP__NOTHING;
  if (cmap__likely(cmap__aim_holds(aim))) {
    if (shape == CMAP__SHAPE_WORD) {
      memcpy(&again, probe->key.data, sizeof again);  /* one register less */
      equal = cmap__load_relaxed(aim->slot) == again; /* lock held */
    } else {
      equal = cmap__key_equal(layout, shape, NULL, 0, aim->slot, probe);
    }
    /* A live block that has the key is the key's home. */
    if (cmap__likely(equal)) {
      cmap__assert_valid(cmap__shard_covers(aim->shard, probe->hash));
      return CMAP__HIT;
    }
    if (cmap__likely(cmap__shard_covers(aim->shard, probe->hash)))
      return CMAP__FAR;
  }
  cmap__aim_unlock(aim, mode);
  return CMAP__NOTHING;
}

/*
 * After a CMAP__GAP: locks the shard to write, if it is free and the key is
 * absent indeed: the shard is the key's, and its group is as it was seen, and
 * has not sent such a key on to another group. False: nothing is held.
 */
CMAP__ALWAYS_INLINE bool cmap__aim_lock_gap(struct cmap__aim *aim,
                                            uint64_t hash)
{
  if (cmap__unlikely(cmap__group_overflowed(aim->hi, hash)) ||
      cmap__unlikely(!cmap__aim_try_lock(aim, CMAP__WRITE, NULL)))
    return false;
  if (cmap__aim_holds(aim) &&
      cmap__likely(cmap__shard_covers(aim->shard, hash)))
    return true;
  cmap__aim_unlock(aim, CMAP__WRITE);
  return false;
}

/*
 * After a CMAP__GAP: is the key absent, as a reader would find (table/read.h)?
 * False: it takes the lock to know.
 */
CMAP__ALWAYS_INLINE bool cmap__aim_is_absent(const struct cmap__table *table,
                                             const struct cmap__aim *aim,
                                             uint64_t hash)
{
  /* Rule (a): the second look at the count comes after the acquire loads of the
   * directory. (b) is the same look, as there is no other group. */
  return cmap__likely(cmap__directory_block(&table->directory, hash) ==
                      aim->block) &&
         cmap__likely(cmap__load_relaxed(&aim->group->hi) == aim->hi) &&
         cmap__likely(cmap__seq_is_stable(aim->hi)) &&
         cmap__likely(!cmap__group_overflowed(aim->hi, hash));
}

/*
 * Stores the probe's key, absent, into its home group, which is locked. False:
 * it has no free slot, the shard is full, or there is no memory for a box.
 */
CMAP__ALWAYS_INLINE bool cmap__aim_put(const struct cmap__layout *layout,
                                       enum cmap__shape shape,
                                       const struct cmap__aim *aim,
                                       struct cmap__probe *probe,
                                       const void *value)
{
  const struct cmap__form form = cmap__form_of(layout, shape);
  struct cmap__shard *shard = aim->shard;
  unsigned empty = cmap__group_empty_held(aim->group);
  unsigned index;

  if (cmap__unlikely(empty == 0 || cmap__shard_count(shard) >= shard->limit))
    return false;
  cmap__assert(!cmap__block_is_empty(shard->block)); /* its limit is 0 */
  /* Of other shapes no address of the probe goes out: it stays in registers. */
  if ((shape == CMAP__SHAPE_SHORT || shape == CMAP__SHAPE_WORDS) &&
      cmap__unlikely(probe->boxed) &&
      cmap__unlikely(!cmap__key_box(layout, probe->key, probe->words)))
    return false;
  index = cmap__choose_slot(form.slot_words, layout->slot_inverse, aim->slots,
                            empty, probe->hash);
  cmap__shard_put_inline(layout, shape, shard, aim->group, aim->hi,
                         aim->slots + index * form.slot_words, index, probe,
                         value);
  return true;
}

/* Replaces the value, not of one word, of the slot that was hit; the old one
 * goes to `old` (NULL: nowhere), which may be where the new one lies. */
CMAP__ALWAYS_INLINE void cmap__aim_overwrite(const struct cmap__layout *layout,
                                             const struct cmap__form *form,
                                             const struct cmap__aim *aim,
                                             const void *value, void *old)
{
  _Atomic uint64_t *words = aim->slot + form->value_word;
  size_t size = layout->value_size;

  if (size == 0)
    return;
  cmap__group_open(aim->group, aim->hi);
  if (old == NULL)
    cmap__payload_store_bytes(words, value, size);
  else
    cmap__payload_exchange_bytes(words, value, old, size);
  cmap__group_close_same(aim->group, aim->hi);
}

/* Takes the entry that was hit. */
CMAP__ALWAYS_INLINE void cmap__aim_take(const struct cmap__aim *aim)
{
  struct cmap__shard *shard = aim->shard;

  cmap__group_open(aim->group, aim->hi);
  cmap__group_close(aim->group, aim->hi, aim->index, 0);
  cmap__store_release(&shard->removed, /* [N1] */
                      cmap__load_relaxed(&shard->removed) + 1);
}

#endif

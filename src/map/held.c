/*
 * What guards, entries and multi-key holds do to a key.
 */
#include "map/held.h"

#include "base/alloc.h"
#include "base/check.h"

CMAP__INSTANCES(bool, cmap__held,
                (struct cmap * map, struct cmap_key key,
                 const struct cmap_how *how, enum cmap__mode mode,
                 struct cmap_key *stored, void **value, uintptr_t internal[2]),
                (map, shape, key, how, mode, stored, value, internal))

bool cmap__held_other(struct cmap *map, struct cmap_key key,
                      const struct cmap_how *how, enum cmap__mode mode,
                      struct cmap_key *stored, void **value,
                      uintptr_t internal[2])
{
  if (cmap__unlikely(map == NULL) || cmap__unlikely(!cmap__how_is_quick(how)))
    return false;
  CMAP__RETURN_INSTANCE(cmap__load_relaxed(&map->table.holds), cmap__held,
                        (map, key, how, mode, stored, value, internal));
  return false;
}

CMAP__NOINLINE enum cmap_status cmap__held_claim(const uintptr_t internal[2],
                                                 struct cmap__held **held)
{
  struct cmap__record *record = (struct cmap__record *)internal[0];

  *held = NULL;
  /* Relaxed: the mutex tells. */
  if (record != NULL && !cmap__is_seat_name(internal) &&
      cmap__load_relaxed(&record->owner) == &cmap__nobody) {
    /* So that this thread's end is noticed. Without memory a release goes on;
     * the record is lost when the thread ends. */
    (void)cmap__hold_prepare();
    if (cmap__record_attach(record, internal[1])) {
      *held = (struct cmap__held *)record;
      return CMAP_OK;
    }
  }
  return CMAP__WRONG(cmap__held_is_foreign(internal),
                     "guard is another thread's")
             ? CMAP_EINVAL
             : CMAP_OK;
}

struct cmap_key cmap__held_key(struct cmap__held *held)
{
  const struct cmap__layout *layout = cmap__held_layout(held);

  return cmap__slot_key(layout, held->occupied
                                    ? held->place.slot
                                    : cmap__payload_of(held->key.words));
}

enum cmap_status cmap__held_make_box(struct cmap__held *held)
{
  struct cmap__value_image image;
  enum cmap_status status;

  if (!cmap__held_layout(held)->value_boxed)
    return CMAP_OK;
  status = cmap__value_image_init(cmap__held_layout(held), &image);
  if (status == CMAP_OK)
    held->box = cmap__box_of_words(image.words);
  return status;
}

bool cmap__held_is_key(const struct cmap__held *held,
                       const struct cmap__probe *probe)
{
  const struct cmap__layout *layout = cmap__held_layout(held);
  const _Atomic uint64_t *words = held->place.slot;
  struct cmap__key_image copy;

  if (probe->hash != held->hash)
    return false;
  if (!held->occupied) {
    copy = held->key;
    words = cmap__payload_of(copy.words);
  }
  return cmap__key_equal(layout, layout->shape, NULL, 0, words, probe);
}

void cmap__held_settle(struct cmap__held *held)
{
  bool room = cmap__shard_vacancy(cmap__held_layout(held), held->locked.shard,
                                  held->hash, &held->place);

  cmap__assert(room);
  (void)room;
  cmap__held_open(held, held->place.group);
}

void cmap__held_put(struct cmap__held *held, const void *value)
{
  const struct cmap__layout *layout = cmap__held_layout(held);
  uint64_t words[CMAP__VALUE_WORDS_MAX];
  void *to = words;

  if (layout->value_boxed) {
    to = held->box.data;
    cmap__box_to_words(&held->box, words);
  } else if (layout->value_words > 0) {
    words[layout->value_words - 1] = 0; /* what the value does not fill */
  }
  if (layout->value_size > 0 && to != value)
    memcpy(to, value, layout->value_size);
  cmap__held_settle(held);
  cmap__shard_put(layout, held->locked.shard, &held->place, true, &held->key,
                  words);
  held->box.data = NULL;
  held->has_key = false;
  held->occupied = true;
}

static size_t corpse_bytes(const struct cmap__layout *layout,
                           enum cmap__corpse_kind kind)
{
  switch (kind) {
  case CMAP__CORPSE_VALUE:
    return layout->value_size;
  case CMAP__CORPSE_KEY:
    return sizeof(struct cmap__key_image);
  default:
    return cmap__layout_slot_bytes(layout);
  }
}

/* Room for what is to be released later; NULL: out of memory. */
static struct cmap__corpse *corpse_new(const struct cmap__layout *layout,
                                       enum cmap__corpse_kind kind)
{
  size_t size =
      offsetof(struct cmap__corpse, words) + corpse_bytes(layout, kind);
  struct cmap__corpse *corpse =
      cmap__alloc(&layout->allocator, size, CMAP__ALIGN_MAX);

  if (corpse != NULL) {
    corpse->size = size;
    corpse->kind = kind;
  }
  return corpse;
}

static void corpse_free(const struct cmap__layout *layout,
                        struct cmap__corpse *corpse)
{
  cmap__free(&layout->allocator, corpse, corpse->size, CMAP__ALIGN_MAX);
}

static void corpse_add(struct cmap__held *held, struct cmap__corpse *corpse)
{
  corpse->next = held->corpses;
  held->corpses = corpse;
}

/*
 * Where a value goes that leaves the table: to *old, or to a corpse if it has a
 * destructor. False: out of memory. *to NULL: nowhere.
 */
static bool place_for_old(struct cmap__held *held, void *old, void **to)
{
  const struct cmap__layout *layout = cmap__held_layout(held);
  struct cmap__corpse *corpse;

  *to = old;
  if (old != NULL || layout->user->value_destroy == NULL)
    return true;
  corpse = corpse_new(layout, CMAP__CORPSE_VALUE);
  if (corpse == NULL)
    return false;
  corpse_add(held, corpse);
  *to = corpse->words;
  return true;
}

static void exchange_bytes(unsigned char *a, unsigned char *b, size_t size)
{
  for (size_t i = 0; i < size; i++) {
    unsigned char byte = a[i];
    a[i] = b[i];
    b[i] = byte;
  }
}

enum cmap_status cmap__held_replace(struct cmap__held *held, const void *value,
                                    void *old)
{
  size_t size = cmap__held_layout(held)->value_size;
  void *present = cmap__held_value(held);
  void *to;

  if (!place_for_old(held, old, &to))
    return CMAP_ENOMEM;
  if (size == 0)
    return CMAP_OK;
  if (to == value && to != NULL) {
    exchange_bytes(present, to, size);
    return CMAP_OK;
  }
  if (to != NULL)
    memcpy(to, present, size);
  memcpy(present, value, size);
  return CMAP_OK;
}

enum cmap_status cmap__held_remove(struct cmap__held *held, void *old)
{
  const struct cmap__layout *layout = cmap__held_layout(held);
  unsigned key_end = (unsigned)layout->key_word + layout->key_words;
  struct cmap__slot_image image;
  void *value = cmap__copied_value(layout, image.words);
  void *to;

  if (!place_for_old(held, old, &to))
    return CMAP_ENOMEM;
  cmap__held_open(held, held->place.group);
  cmap__shard_take(layout, held->locked.shard, &held->place, true, image.words);
  for (unsigned i = 0; i < key_end; i = cmap__key_next(layout, i))
    held->key.words[i] = image.words[i];
  if (layout->value_boxed) {
    held->box = cmap__box_of_words(value);
    value = held->box.data;
  }
  if (to != NULL && layout->value_size > 0)
    memcpy(to, value, layout->value_size);
  held->has_key = true;
  held->occupied = false;
  return CMAP_OK;
}

enum cmap_status cmap__held_discard(struct cmap__held *held, void *old)
{
  const struct cmap__layout *layout = cmap__held_layout(held);
  size_t value_size = layout->value_size;
  struct cmap__corpse *corpse = NULL;
  struct cmap__slot_image image;
  uint64_t *words = image.words;

  if (layout->owns_anything) {
    corpse = corpse_new(layout,
                        old == NULL ? CMAP__CORPSE_ENTRY : CMAP__CORPSE_SHELL);
    if (corpse == NULL)
      return CMAP_ENOMEM;
    words = corpse->words;
  }
  cmap__held_open(held, held->place.group);
  if (old != NULL && value_size > 0)
    memcpy(old, cmap__held_value(held), value_size);
  cmap__shard_take(layout, held->locked.shard, &held->place, true, words);
  held->occupied = false;
  if (corpse != NULL)
    corpse_add(held, corpse);
  return CMAP_OK;
}

enum cmap_status cmap__held_replace_entry(struct cmap__held *held,
                                          const struct cmap__probe *probe,
                                          const void *value, void *old)
{
  const struct cmap__layout *layout = cmap__held_layout(held);
  unsigned key_end = (unsigned)layout->key_word + layout->key_words;
  struct cmap__corpse *corpse = NULL;
  struct cmap__key_image fresh;
  enum cmap_status status;

  /* Equal keys of the other kinds are the same bytes. */
  if (layout->kind != CMAP_CUSTOM)
    return cmap__held_replace(held, value, old);
  if (layout->user->key_destroy != NULL) {
    corpse = corpse_new(layout, CMAP__CORPSE_KEY);
    if (corpse == NULL)
      return CMAP_ENOMEM;
  }
  status = cmap__key_image_init(layout, probe, &fresh);
  if (status != CMAP_OK) {
    if (corpse != NULL)
      corpse_free(layout, corpse);
    return status;
  }
  status = cmap__held_replace(held, value, old);
  /* The key that is not needed any more is released after the lock. */
  for (unsigned i = 0; i < key_end; i = cmap__key_next(layout, i)) {
    _Atomic uint64_t *word = held->place.slot + i;
    uint64_t was = cmap__load_relaxed(word); /* we hold the lock */
    if (corpse != NULL)
      corpse->words[i] = status == CMAP_OK ? was : fresh.words[i];
    if (status == CMAP_OK)
      cmap__payload_store(word, fresh.words[i]);
  }
  if (corpse != NULL)
    corpse_add(held, corpse);
  return status;
}

static void close_group(struct cmap__group *group)
{
  uint64_t hi = cmap__load_relaxed(&group->hi); /* we hold the lock */

  if (!cmap__seq_is_stable(hi))
    cmap__seq_close(&group->hi, hi);
}

/* All groups of the shard: those that are busy are so by this hold. */
static CMAP__COLD void sweep(const struct cmap__held *held)
{
  uintptr_t block = held->locked.shard->block;
  struct cmap__group *group = cmap__block_groups(block);

  for (size_t n = (size_t)1 << cmap__block_log2(block); n > 0; n--)
    close_group(group++);
}

void cmap__held_close(struct cmap__held *held)
{
  if (cmap__unlikely(held->sweep))
    sweep(held);
  else if (held->opened != NULL)
    close_group(held->opened);
}

void cmap__held_bury(struct cmap__held *held)
{
  const struct cmap__layout *layout = cmap__held_layout(held);
  const struct cmap__user *user = layout->user;

  while (held->corpses != NULL) {
    struct cmap__corpse *corpse = held->corpses;
    held->corpses = corpse->next;
    switch (corpse->kind) {
    case CMAP__CORPSE_VALUE:
      user->value_destroy(corpse->words, user->value_ctx);
      break;
    case CMAP__CORPSE_KEY:
      cmap__key_words_destroy(layout, corpse->words);
      break;
    case CMAP__CORPSE_ENTRY:
      cmap__slot_words_release(layout, corpse->words, NULL);
      break;
    case CMAP__CORPSE_SHELL:
      cmap__slot_words_forget(layout, corpse->words);
      break;
    }
    corpse_free(layout, corpse);
  }
  if (held->has_key)
    cmap__key_words_destroy(layout, held->key.words);
  if (held->box.data != NULL)
    cmap__value_box_give(layout, &held->box);
  held->has_key = false;
  held->box.data = NULL;
}

void cmap__held_release(struct cmap__held *held)
{
  if (held->locked.mode == CMAP__WRITE)
    cmap__held_close(held);
  cmap__held_unlock(held);
  /* A destructor may release a copy of the guard: it is stale now. */
  cmap__record_renew(&held->record);
  if (cmap__unlikely(held->has_key || held->box.data != NULL ||
                     held->corpses != NULL))
    cmap__held_bury(held);
  cmap__held_give(held);
}

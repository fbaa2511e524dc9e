/*
 * Objects whose time is over, and evicting one that was found so or was picked.
 */
#include "store/flight.h"

bool cmap__store_expire(struct cmap__request *r)
{
  uint64_t now = cmap__store_now(r->store);
  int cancel = cmap__cancel_disable();
  struct cmap__object *header = NULL;
  bool over = true, take = false;

  cmap__request_lock(r, CMAP__WRITE);
  if (r->call.found) {
    uint64_t word = cmap__load_relaxed(cmap__request_word(r)); /* lock held */
    if (cmap__word_kind(word) == CMAP__WORD_OBJECT)
      header = cmap__word_pointer(word);
  }
  if (header != NULL) {
    over = cmap__object_age(header, now) == CMAP__EXPIRED;
    take = cmap__object_is_over(r->store, header, now);
    /* It is built anew, and is over whatever late hits say. */
    if (over)
      cmap__object_end(header);
  }
  if (take) {
    cmap__object_out(r->store, header);
    cmap__request_take(r);
    cmap__object_left(r->store, r->key, header, CMAP_EXPIRED);
  } else {
    cmap__request_unlock(r);
  }
  cmap__cancel_restore(cancel);
  return over;
}

/* Is the object in the shard, and to go? *reason may change. Lock held. */
static bool is_evictable(struct cmap_store *store,
                         const struct cmap__locked *locked, uint64_t hash,
                         struct cmap__object *header, uint64_t now,
                         enum cmap_removal *reason, struct cmap__place *place)
{
  if (!cmap__shard_find_word(&store->map->table.layout, locked->shard, hash,
                             cmap__word_of(header, CMAP__WORD_OBJECT), place))
    return false;
  if (cmap__object_is_over(store, header, now))
    *reason = CMAP_EXPIRED;
  else /* it was hit meanwhile, or is another one there */
    return *reason != CMAP_EXPIRED && cmap__cache_is_picked(header);
  return true;
}

/* The same of an object that was picked, in the commonest map and without
 * times, if nobody is in the way. False: nothing is done. */
static bool evict_at_once(struct cmap_store *store, uint64_t hash,
                          struct cmap__object *header,
                          struct cmap__evicted *evicted)
{
  struct cmap__table *table = &store->map->table;
  const struct cmap__form form =
      cmap__form_of(&table->layout, CMAP__SHAPE_WORD);
  uint64_t word = cmap__word_of(header, CMAP__WORD_OBJECT);
  struct cmap__aim aim;

  if (store->has_times ||
      cmap__load_relaxed(&store->map->table.writes) !=
          CMAP__SHAPE_WORD || /* a hint */
      cmap__aim_gap(table, CMAP__SHAPE_WORD, hash, &aim))
    return false;
  /* The first slot with the tag is it, nearly always. */
  aim.index = (unsigned)__builtin_ctz(aim.match);
  aim.slot = aim.slots + aim.index * form.slot_words;
  if (!cmap__aim_try_lock(&aim, CMAP__WRITE, NULL))
    return false;
  if (!cmap__aim_holds(&aim) || cmap__value_word(&form, aim.slot) != word ||
      !cmap__cache_is_picked(header)) {
    cmap__aim_unlock(&aim, CMAP__WRITE);
    return false;
  }
  cmap__object_out(store, header);
  evicted->taken.words[0] = cmap__load_relaxed(aim.slot); /* lock held */
  cmap__aim_take(&aim);
  cmap__unlock_after_removal(table, aim.shard);
  return true;
}

bool cmap__store_evict(struct cmap_store *store, uint64_t hash,
                       struct cmap__object *header, enum cmap_removal reason,
                       uint64_t now, struct cmap__evicted *evicted)
{
  struct cmap__locked locked;
  struct cmap__place place;

  if (!evict_at_once(store, hash, header, evicted)) {
    cmap__store_lock_hash(store, hash, &locked);
    if (!is_evictable(store, &locked, hash, header, now, &reason, &place)) {
      cmap__table_unlock(&locked);
      return false;
    }
    cmap__object_out(store, header);
    cmap__store_take(store, &locked, &place, &evicted->taken);
  }
  evicted->header = header;
  evicted->reason = reason;
  return true;
}

void cmap__evicted_tell(struct cmap_store *store, struct cmap__evicted *evicted)
{
  const struct cmap__layout *layout = &store->map->table.layout;
  uint64_t *words = evicted->taken.words;

  cmap__object_left(store, cmap__slot_key(layout, cmap__payload_of(words)),
                    evicted->header, evicted->reason);
  cmap__key_words_destroy(layout, words);
}

void cmap__store_tidy(struct cmap_store *store)
{
  cmap__cache_keep_bound(store);
  if (store->has_times)
    (void)cmap__cache_sweep(store, cmap__store_now(store), CMAP__SWEEP_STEPS);
  (void)cmap__failures_sweep(store, CMAP__FAILURE_STEPS);
}

/* May a call go on that has more to do? */
static enum cmap_status may_go_on(const struct cmap__patience *patience)
{
  if (patience->try_only)
    return CMAP_BUSY;
  if (patience->deadline_ns != CMAP__NO_DEADLINE &&
      cmap__now_ns() >= patience->deadline_ns)
    return CMAP_TIMEDOUT;
  return cmap__token_is_canceled(patience->token) ? CMAP_ECANCELED : CMAP_OK;
}

static size_t less(size_t n, size_t by)
{
  return n > by ? n - by : 0;
}

enum cmap_status cmap_store_maintain(struct cmap_store *store,
                                     const struct cmap_how *how)
{
  size_t objects = 0, failures, left; /* that were not looked at */
  enum cmap_status status = CMAP_OK;
  struct cmap__patience patience;
  const uint64_t *unused;
  uint64_t now;

  if (CMAP__MISSING(store) || !cmap__how_read(how, &patience, &unused))
    return CMAP_EINVAL;
  now = cmap__store_now(store);
  failures = cmap__failures_sweep(store, CMAP__SWEEP_MAX);
  if (store->has_times)
    objects =
        less(cmap__cache_sweep(store, now, CMAP__SWEEP_MAX), CMAP__SWEEP_MAX);
  /* Ends: what comes meanwhile is not counted. */
  while (status == CMAP_OK && (objects > 0 || failures > 0)) {
    status = may_go_on(&patience);
    if (status == CMAP_OK && failures > 0) {
      left = cmap__failures_sweep(store, CMAP__SWEEP_MAX);
      failures = less(failures, CMAP__SWEEP_MAX);
      failures = left < failures ? left : failures;
    }
    if (status == CMAP_OK && objects > 0) {
      (void)cmap__cache_sweep(store, now, CMAP__SWEEP_MAX);
      objects = less(objects, CMAP__SWEEP_MAX);
    }
  }
  return status;
}

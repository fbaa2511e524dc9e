/*
 * Objects: what they are given, how they come and go, and who destroys them.
 */
#include "store/object.h"

#include "store/borrow.h"
#include "store/cancel.h"
#include "store/store.h"

/* The second half of giving back a watched reference. Was it the last? */
static CMAP__COLD bool leave_watched(struct cmap__object *header)
{
  cmap__watch_release(header);
  if (cmap__sub_acq_rel(&header->refs, 1) != (CMAP__REFS_WATCHED | 1))
    return false;
  cmap__watch_acquire(header);
  cmap__store_relaxed(&header->refs, 0); /* it is nobody else's any more */
  return true;
}

/* One reference less. Was it the last? */
static bool leave_one(struct cmap__object *header)
{
  /* Acquire and release: all uses of the object come before its end. */
  int32_t before = (int32_t)cmap__sub_acq_rel(&header->refs, 1);

  return before <= 1 && (cmap__likely(before >= 0) || leave_watched(header));
}

/* It has no references; somebody may have borrowed it. */
static void end_object(struct cmap_store *store, struct cmap__object *header)
{
  cmap__fence_after_rmw(); /* [N7] */
  if (cmap__unlikely(cmap__load_relaxed(&store->borrow_end) != 0) &&
      !cmap__borrowed_retire(header))
    return;
  cmap__object_destroy(store, header);
}

void cmap__object_unref(struct cmap__object *header)
{
  if (leave_one(header))
    end_object(cmap__header_store(header), header);
}

void cmap__object_destroy(struct cmap_store *store, struct cmap__object *header)
{
  if (store->destroy != NULL && header->object != NULL) {
    int cancel = cmap__cancel_disable();
    store->destroy(header->object, store->ctx);
    cmap__cancel_restore(cancel);
  }
  cmap__header_give(store, header);
}

static uint64_t never_if_0(uint64_t ns)
{
  return ns != 0 ? ns : UINT64_MAX;
}

/* When a hit has something to do. */
static uint64_t next_look(const struct cmap__kept *kept)
{
  uint64_t until = cmap__load_relaxed(&kept->until_ns);
  uint64_t refresh = cmap__load_relaxed(&kept->refresh_ns);
  uint64_t first = until < refresh ? until : refresh;
  uint64_t idle =
      kept->idle_ns == UINT64_MAX
          ? UINT64_MAX
          : cmap__later(cmap__load_relaxed(&kept->hit_ns), kept->idle_ns / 16);

  return first < idle ? first : idle;
}

enum cmap__age cmap__object_look(struct cmap__object *header, uint64_t now)
{
  struct cmap__kept *kept = cmap__kept(header);
  uint64_t look = cmap__load_acquire(&header->look_ns); /* [N6] */
  enum cmap__age age = cmap__object_age(header, now);
  uint64_t hit = cmap__load_relaxed(&kept->hit_ns);

  if (age == CMAP__EXPIRED)
    return age;
  if (kept->idle_ns != UINT64_MAX && now > hit &&
      now - hit >= kept->idle_ns / 16)
    cmap__store_relaxed(&kept->hit_ns, now);
  /* If it has changed, another thread knows better: see cmap__object_end. */
  (void)cmap__cas_weak_relaxed(&header->look_ns, &look, next_look(kept));
  return age;
}

/* Costs and times, as the user says. */
static void fill_kept(struct cmap_store *store, struct cmap_key key,
                      struct cmap__object *header)
{
  struct cmap_lifetime life = store->life;
  struct cmap__kept *kept = cmap__kept(header);
  uint64_t now = store->has_times ? cmap__store_now(store) : 0;

  kept->cost =
      store->cost != NULL ? store->cost(key, header->object, store->ctx) : 1;
  if (store->lifetime != NULL)
    store->lifetime(key, header->object, &life, store->ctx);
  kept->idle_ns = never_if_0(life.idle_ns);
  /* Relaxed: others see the object behind its first reference. */
  cmap__store_relaxed(&kept->until_ns,
                      cmap__later(now, never_if_0(life.ttl_ns)));
  cmap__store_relaxed(&kept->hit_ns, now);
  cmap__store_relaxed(&kept->refresh_ns,
                      cmap__later(now, never_if_0(life.refresh_ns)));
  cmap__store_relaxed(&header->look_ns, next_look(kept));
}

bool cmap__object_init(struct cmap_store *store, struct cmap_key key,
                       struct cmap__object *header, void *object)
{
  bool keep = true;

  header->object = object;
  if (store->kept_size > CMAP__KEPT_BY_COUNT) {
    int cancel = cmap__cancel_disable();
    fill_kept(store, key, header);
    keep = cmap__kept(header)->cost <= store->cache.most;
    cmap__cancel_restore(cancel);
  }
  return keep;
}

void cmap__object_begin(struct cmap__object *header, uint32_t refs)
{
  cmap__store_release(&header->refs, cmap__watched()
                                         ? CMAP__REFS_WATCHED | 2 * refs
                                         : refs); /* ref_unless_free */
}

void cmap__object_in(struct cmap_store *store, struct cmap__object *header,
                     uint64_t hash)
{
  if (store->is_cache)
    cmap__cache_add(store, header, hash);
  else
    cmap__add_release(&store->objects, 1); /* [N3] */
}

void cmap__object_out(struct cmap_store *store, struct cmap__object *header)
{
  if (store->is_cache)
    cmap__cache_remove(store, header);
  else
    cmap__sub_release(&store->objects, 1); /* [N3] */
}

void cmap__object_left(struct cmap_store *store, struct cmap_key key,
                       struct cmap__object *header, enum cmap_removal reason)
{
  if (reason == CMAP_EVICTED)
    cmap__count(&store->counts, CMAP__COUNT_EVICTED, 1);
  else
    cmap__add_release(&store->removals[reason], 1); /* [N3] */
  if (store->on_remove != NULL) {
    int cancel = cmap__cancel_disable();
    store->on_remove(key, header->object, reason, store->ctx);
    cmap__cancel_restore(cancel);
  }
  if (leave_one(header))
    end_object(store, header);
}

void cmap_handle_release(struct cmap_handle *handle)
{
  const struct cmap_handle none = CMAP_INIT;
  struct cmap__object *header;

  if (handle == NULL)
    return;
  header = (struct cmap__object *)handle->internal[0];
  *handle = none;
  if (header != NULL)
    cmap__object_unref(header);
}

enum cmap_status cmap_handle_copy(const struct cmap_handle *from,
                                  struct cmap_handle *to)
{
  if (CMAP__MISSING(from) || CMAP__MISSING(to) ||
      CMAP__WRONG(from->internal[0] == 0, "from has no object")) {
    cmap__handle_clear(to);
    return CMAP_EINVAL;
  }
  cmap__object_ref((struct cmap__object *)from->internal[0]);
  *to = *from;
  return CMAP_OK;
}

enum cmap_origin cmap_handle_origin(const struct cmap_handle *handle)
{
  return handle == NULL ? CMAP_HIT : (enum cmap_origin)handle->internal[1];
}

#include "store_actor.h"

#include <stdio.h>
#include <stdlib.h>

#define SOON_NS (UINT64_C(150) * 1000000)
#define LATE_NS (UINT64_C(300) * 1000000000)

struct scene_world world;

static void finish(struct actor *actor, int outcome)
{
  actor->outcome = outcome;
  player_finish(&actor->player);
}

static void *make_object(uint64_t id)
{
  struct tracked *object;

  if (world.object_count + 1 >= SCENE_OBJECTS)
    abort();
  object = tracked_new(&world.stores[0].lives, id, ++world.object_count);
  world.objects[world.object_count] = object;
  return object;
}

static void serve(struct actor *actor);

/* The constructor: the next acts are done in here. */
static enum cmap_status build(struct cmap_key key, void **object, void *ctx)
{
  struct actor *actor = ctx;
  uint64_t id;
  int old;

  /* A step would stay locked if its thread were cancelled in it. */
  pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old);
  memcpy(&id, key.data, sizeof id);
  atomic_fetch_add(&world.begun, 1);
  finish(actor, BUILDS);
  serve(actor);
  if (atomic_load(&world.closing))
    return CMAP_ENOMEM;
  if (act_is(&actor->act, "exits"))
    pthread_exit(NULL);
  if (act_is(&actor->act, "cancels")) {
    pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &old);
    pthread_cancel(pthread_self());
    pthread_testcancel();
    CHECK_NEVER("a cancelled thread goes on");
  }
  if (act_is(&actor->act, "fails"))
    return (enum cmap_status)actor->act.number;
  if (act_is(&actor->act, "makes"))
    *object = make_object(id);
  pthread_setcancelstate(old, &old);
  return CMAP_OK;
}

/* The same for many keys: the first `act.number` get objects, or all. */
static enum cmap_status build_many(const struct cmap_key *keys, size_t n,
                                   void **objects, enum cmap_status *statuses,
                                   void *ctx)
{
  struct actor *actor = ctx;
  size_t made;
  int old;

  pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old);
  actor->asked = 0;
  for (size_t i = 0; i < n; i++) {
    CHECK(objects[i] == NULL && statuses[i] == CMAP_OK);
    actor->asked = actor->asked * 10 + (int)cmap_key_as_u64(keys[i]);
  }
  atomic_fetch_add(&world.begun, (unsigned)n);
  finish(actor, BUILDS);
  serve(actor);
  if (atomic_load(&world.closing))
    return CMAP_ENOMEM;
  if (act_is(&actor->act, "exits"))
    pthread_exit(NULL);
  if (act_is(&actor->act, "fails"))
    return (enum cmap_status)actor->act.number;
  made = actor->act.number > 0 ? (size_t)actor->act.number : n;
  for (size_t i = 0; i < n && act_is(&actor->act, "makes"); i++) {
    if (i < made)
      objects[i] = make_object(cmap_key_as_u64(keys[i]));
    else
      statuses[i] = cmap_status_user(7);
  }
  pthread_setcancelstate(old, &old);
  return CMAP_OK;
}

/* The keys are the act's digits. */
static int ask_many(struct actor *actor, const struct act *act,
                    const struct cmap_how *how)
{
  struct cmap_handle handles[SCENE_KEYS];
  enum cmap_status statuses[SCENE_KEYS], status;
  struct cmap_key keys[SCENE_KEYS];
  uint64_t ids[SCENE_KEYS];
  char digits[16];
  size_t n = (size_t)snprintf(digits, sizeof digits, "%d", act->number);

  for (size_t i = 0; i < n; i++) {
    ids[i] = (uint64_t)(digits[i] - '0');
    keys[i] = cmap_key_u64(&ids[i]);
  }
  status = cmap_store_get_many(act_store(act), keys, n, handles, statuses,
                               build_many, actor, how);
  actor->object = handles[0].object;
  for (size_t i = 0; i < n; i++) {
    CHECK((handles[i].object != NULL) == (statuses[i] == CMAP_OK));
    CHECK(status != CMAP_OK || statuses[i] == CMAP_OK);
    if (handles[i].object != NULL)
      CHECK(((struct tracked *)handles[i].object)->id == ids[i]);
    if (handles[i].object != NULL)
      actor->handles[actor->handle_count++] = handles[i];
  }
  return (int)status;
}

static void notify(enum cmap_status status, struct cmap_handle *handle,
                   void *ctx)
{
  struct actor *actor = ctx;

  CHECK((status == CMAP_OK) == (handle->object != NULL));
  actor->told_status = (int)status;
  actor->told_object = handle->object;
  if (status == CMAP_OK)
    actor->handles[actor->handle_count++] = *handle;
  atomic_fetch_add(&actor->told, 1);
}

static int begin_ticket(struct actor *actor, struct cmap_store *store,
                        struct cmap_key key, struct cmap_ticket *ticket,
                        struct cmap_handle *handle, const struct cmap_how *how)
{
  enum cmap_begin outcome = (enum cmap_begin)99;
  struct cmap_ticket fresh = CMAP_INIT;
  enum cmap_status status = cmap_store_begin(store, key, handle, &fresh,
                                             &outcome, notify, actor, how);

  CHECK((fresh.internal[0] != 0) ==
        (status == CMAP_OK && outcome == CMAP_YOURS));
  if (status != CMAP_OK)
    return (int)status;
  if (outcome == CMAP_YOURS) {
    *ticket = fresh;
    atomic_fetch_add(&world.begun, 1);
  }
  return outcome == CMAP_PRESENT   ? CMAP_OK
         : outcome == CMAP_PENDING ? PENDING
                                   : YOURS;
}

void actor_release(struct actor *actor)
{
  for (size_t i = 0; i < actor->handle_count; i++)
    cmap_handle_release(&actor->handles[i]);
  actor->handle_count = 0;
}

static int unlock(struct actor *actor)
{
  for (size_t i = 0; i < actor->lock_count; i++)
    cmap_write_guard_release(&actor->locks[i]);
  actor->lock_count = 0;
  return CMAP_OK;
}

/* Calls about a ticket; WAITS if it is another call. */
static int use_ticket(const struct act *act, uint64_t id,
                      struct cmap_ticket *ticket, struct cmap_handle *handle)
{
  if (act_is(act, "complete")) {
    struct tracked *object = make_object(id);
    enum cmap_status status = cmap_ticket_complete(ticket, object, handle);
    CHECK(status != CMAP_OK || ticket->internal[0] == 0);
    if (status != CMAP_OK)
      tracked_destroy(object); /* it is still ours */
    return (int)status;
  }
  if (act_is(act, "ticketfails"))
    return (int)cmap_ticket_fail(ticket, (enum cmap_status)act->number);
  if (act_is(act, "abandons"))
    return cmap_ticket_abandon(ticket), (int)CMAP_OK;
  if (act_is(act, "binds"))
    return (int)cmap_ticket_bind(ticket);
  if (act_is(act, "unbinds"))
    return (int)cmap_ticket_unbind(ticket);
  return WAITS;
}

/* Calls that give a handle; WAITS if it is another call. */
static int ask(struct actor *actor, const struct act *act,
               struct cmap_handle *handle, const struct cmap_how *how)
{
  struct cmap_store *store = act_store(act);
  uint64_t id = act->key;
  struct cmap_key key = cmap_key_u64(&id);

  if (act_is(act, "create"))
    return (int)cmap_store_get_or_create(store, key, handle, build, actor, how);
  if (act_is(act, "refresh"))
    return (int)cmap_store_refresh(store, key, handle, build, actor, how);
  if (act_is(act, "get"))
    return (int)cmap_store_get(store, key, handle, how);
  if (act_is(act, "put"))
    return (int)cmap_store_put(store, key, make_object(id), handle, how);
  if (act_is(act, "begin"))
    return begin_ticket(actor, store, key,
                        &world.tickets[act->place == 'T'][act->key], handle,
                        how);
  return use_ticket(act, id, &world.tickets[act->place == 'T'][act->key],
                    handle);
}

static int perform(struct actor *actor, const struct act *act)
{
  struct cmap_store *store = act_store(act);
  uint64_t id = act->key;
  struct cmap_key key = cmap_key_u64(&id);
  struct cmap_handle handle = CMAP_INIT;
  struct cmap_how given = act->try
                              ? cmap_how_try()
                              : cmap_how_within(act->soon ? SOON_NS : LATE_NS);
  const struct cmap_how *how = NULL;
  int outcome;

  if (!act->try && !act->soon && !act->late)
    given.flags = 0;
  given.flags |= act->flags;
  if (act->token) {
    given.flags |= CMAP_TOKEN;
    given.token = world.token;
  }
  if (given.flags != 0)
    how = &given;
  if (act_is(act, "many"))
    return ask_many(actor, act, how);
  outcome = ask(actor, act, &handle, how);
  CHECK(outcome == CMAP_OK || handle.object == NULL);
  actor->object = handle.object;
  actor->origin = cmap_handle_origin(&handle);
  if (handle.object != NULL)
    actor->handles[actor->handle_count++] = handle;
  if (outcome != WAITS)
    return outcome;
  if (act_is(act, "remove"))
    return (int)cmap_store_remove(store, key, how);
  if (act_is(act, "forget"))
    return (int)cmap_store_forget(store, key, how);
  if (act_is(act, "clear"))
    return (int)cmap_store_clear(store);
  if (act_is(act, "maintain"))
    return (int)cmap_store_maintain(store, how);
  if (act_is(act, "destroy"))
    return (int)cmap_store_destroy(store);
  if (act_is(act, "lock"))
    return (int)cmap_get_mut(world.maps[act->place == 'N'], key,
                             &actor->locks[actor->lock_count++], how);
  if (act_is(act, "counts"))
    return cmap_store_waiters(store, key) == (size_t)act->number ? CMAP_OK
                                                                 : CMAP_BUSY;
  if (act_is(act, "releases"))
    return actor_release(actor), (int)CMAP_OK;
  CHECK(act_is(act, "unlocks"));
  return unlock(actor);
}

static bool ends_constructor(const struct act *act)
{
  return act_is(act, "makes") || act_is(act, "null") || act_is(act, "fails") ||
         act_is(act, "exits") || act_is(act, "cancels");
}

static void serve(struct actor *actor)
{
  for (;;) {
    struct act act;
    int old, outcome;
    player_next_act(&actor->player);
    if (atomic_load(&world.closing))
      return;
    act = actor->act;
    if (act_is(&act, "ends") || ends_constructor(&act))
      return;
    pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &old);
    outcome = perform(actor, &act);
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old);
    finish(actor, outcome);
  }
}

void actor_run(unsigned index, void *ctx)
{
  struct actor *actor = ctx;
  int old;

  (void)index;
  pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old);
  player_enter(&actor->player);
  serve(actor);
  if (atomic_load(&world.closing))
    (void)unlock(actor);
}

/*
 * A store beside a model of it, in one thread: constructors that succeed, fail,
 * give nothing, and change the store themselves; tickets, handles, failures
 * that are remembered, any request for memory refused.
 */
#include "store_model.h"

#define MOST_STEPS 120
#define DEPTH      3 /* of constructors in constructors */

/* ------------------------------------------------------------------------
 * Constructors
 * ------------------------------------------------------------------------ */

struct building {
  uint64_t id;
  uint64_t flight; /* 0: of a refresh */
  unsigned calls;
  struct tracked *put;
  struct tracked *object;
  enum cmap_status status;
  struct building *outer;
};

static struct building *innermost;

static void step(void);

static enum cmap_status build(struct cmap_key key, void **object, void *ctx)
{
  static const enum cmap_status failures[] = {(enum cmap_status)USER_STATUS,
                                              CMAP_NOT_FOUND,
                                              CMAP_EXISTS,
                                              CMAP_EDEADLK,
                                              CMAP_EABANDONED,
                                              CMAP_EINVAL,
                                              CMAP_BUSY,
                                              CMAP_ENOTSUP};
  struct building *building = ctx;

  CHECK(key_id(&w.t.keys.spec, key) == building->id);
  building->calls++;
  if (building->flight != 0) {
    w.known[building->id] =
        (struct known){.what = FLIGHT, .flight = building->flight};
  }
  building->outer = innermost;
  innermost = building;
  w.building++;
  for (unsigned n = input_below(w.input, 4); n > 1 && w.building < DEPTH; n--)
    step();
  w.building--;
  innermost = building->outer;
  switch (input_below(w.input, 4)) {
  case 0:
    building->status = failures[input_below(w.input, 8)];
    return building->status;
  case 1:
    if (input_once_in(w.input, 8)) {
      building->status = CMAP_EINVAL; /* success without an object */
      return CMAP_OK;
    }
    break;
  default:
    break;
  }
  building->status = CMAP_OK;
  building->object = make_object(building->id);
  *object = building->object;
  return CMAP_OK;
}

/* The building, if one is at work, whose flight the key has. */
static struct building *building_at(uint64_t id)
{
  struct building *building = innermost;

  while (building != NULL &&
         (w.known[id].what != FLIGHT || building->flight != w.known[id].flight))
    building = building->outer;
  return building;
}

static void put_into_flight(uint64_t id, struct tracked *object)
{
  struct building *building = building_at(id);

  overtake(id, object);
  if (building != NULL)
    building->put = object;
}

/* A construction has ended with `status`; the key is its flight's or not. */
static void settle(uint64_t id, uint64_t flight, enum cmap_status status,
                   struct tracked *object)
{
  if (w.known[id].what != FLIGHT || w.known[id].flight != flight)
    return;
  if (status == CMAP_OK)
    set(id, OBJECT, object, CMAP_OK);
  else if (is_remembered(status) && !forgets())
    set(id, FAILURE, NULL, status);
  else
    set(id, is_remembered(status) ? UNKNOWN : ABSENT, NULL, CMAP_OK);
}

/* After a constructor was called by get_or_create. */
static void check_built(const struct building *building,
                        enum cmap_status status,
                        const struct cmap_handle *handle)
{
  uint64_t id = building->id;

  CHECK(building->calls == 1);
  if (building->put != NULL) {
    CHECK_STATUS(status, CMAP_OK);
    CHECK(handle->object == building->put);
    return;
  }
  CHECK_STATUS(status, building->status);
  CHECK(handle->object == building->object);
  settle(id, building->flight, building->status, building->object);
}

static void create(uint64_t id)
{
  struct cmap_how how = cmap_how_try();
  struct known before = w.known[id];
  struct building building = {.id = id};
  struct flight *ticket = ticket_at(id);
  struct cmap_handle handle;
  struct key_room room;
  enum cmap_status status;
  bool waits;

  /* One that nobody is bound to would be waited for. */
  if (ticket != NULL ? ticket->unbound : before.what == UNKNOWN)
    waits = false;
  else
    waits = input_once_in(w.input, 2);
  building.flight = ++w.numbers;
  status = cmap_store_get_or_create(w.t.store, key_of(id, &room), &handle,
                                    build, &building, waits ? NULL : &how);
  if (status == CMAP_ENOMEM && refused()) {
    if (building.calls == 0 && w.known[id].what == FLIGHT &&
        building_at(id) == NULL && ticket_at(id) == NULL)
      set(id, UNKNOWN, NULL, CMAP_OK);
  } else if (building.calls > 0) {
    CHECK(before.what == ABSENT || before.what == UNKNOWN);
    check_built(&building, status, &handle);
  } else if (before.what == OBJECT) {
    CHECK_STATUS(status, CMAP_OK);
    CHECK(handle.object == before.object);
  } else if (before.what == FLIGHT) {
    CHECK_STATUS(status, waits ? CMAP_EDEADLK : CMAP_BUSY);
  } else if (before.what == FAILURE) {
    CHECK_STATUS(status, before.status);
  } else {
    CHECK(before.what == UNKNOWN);
  }
  if (handle.object != NULL) {
    CHECK(store_object(&handle, id) == handle.object);
    keep_or_release(&handle, id);
  }
}

/* Builds beside what is in flight, and puts; else its flight takes part in all
   that happens meanwhile, and the model only looks. */
static void refresh(uint64_t id)
{
  struct building building = {.id = id};
  bool beside = w.known[id].what == FLIGHT;
  struct cmap_handle handle;
  struct key_room room;
  enum cmap_status status;

  if (!beside)
    set(id, UNKNOWN, NULL, CMAP_OK);
  w.refreshing[id] += !beside;
  status = cmap_store_refresh(w.t.store, key_of(id, &room), &handle, build,
                              &building, NULL);
  w.refreshing[id] -= !beside;
  CHECK((status == CMAP_OK) == (handle.object != NULL));
  if (beside && status == CMAP_OK) {
    CHECK(building.status == CMAP_OK && handle.object == building.object);
    put_into_flight(id, building.object);
    set(id, OBJECT, building.object, CMAP_OK);
  } else if (!beside) {
    CHECK(building.calls == 1 || status == CMAP_EDEADLK ||
          (status == CMAP_ENOMEM && refused()));
    if (w.known[id].what != FLIGHT)
      set(id, UNKNOWN, NULL, CMAP_OK);
  }
  if (status == CMAP_OK) {
    (void)store_object(&handle, id);
    keep_or_release(&handle, id);
  } else if (building.calls == 1) {
    CHECK_STATUS(status, building.status);
  }
}

/* ------------------------------------------------------------------------
 * The other calls
 * ------------------------------------------------------------------------ */

static void put(uint64_t id)
{
  struct tracked *object = make_object(id);
  struct cmap_handle handle;
  struct key_room room;
  enum cmap_status status =
      cmap_store_put(w.t.store, key_of(id, &room), object, &handle, NULL);

  if (status != CMAP_OK) {
    CHECK(status == CMAP_ENOMEM && refused() && handle.object == NULL);
    tracked_destroy(object);
    return;
  }
  CHECK(handle.object == object);
  put_into_flight(id, object);
  set(id, OBJECT, object, CMAP_OK);
  keep_or_release(&handle, id);
}

static void remove_or_forget(uint64_t id, bool forget)
{
  struct known before = w.known[id];
  struct key_room room;
  struct cmap_key key = key_of(id, &room);
  enum cmap_status status = forget ? cmap_store_forget(w.t.store, key, NULL)
                                   : cmap_store_remove(w.t.store, key, NULL);
  bool found =
      before.what == FLIGHT || before.what == (forget ? FAILURE : OBJECT);

  if (before.what != UNKNOWN && w.refreshing[id] == 0 &&
      !(before.what == FAILURE && forgets()))
    CHECK_STATUS(status, found ? CMAP_OK : CMAP_NOT_FOUND);
  if (!(forget && before.what == OBJECT))
    set(id, ABSENT, NULL, CMAP_OK);
  if (forget && before.what == UNKNOWN)
    look(id);
}

static void check_handle(unsigned place)
{
  struct cmap_handle copy;
  struct cmap_handle *handle = &w.handles[place];
  enum cmap_status status = cmap_handle_copy(handle, &copy);

  CHECK_STATUS(status, handle->object ? CMAP_OK : CMAP_EINVAL);
  if (status == CMAP_OK) {
    CHECK(store_object(handle, w.handle_ids[place]) == copy.object);
    cmap_handle_release(input_once_in(w.input, 2) ? handle : &copy);
    *handle = handle->object == NULL ? copy : *handle;
  }
  if (input_once_in(w.input, 2))
    cmap_handle_release(handle);
}

static void begin_ticket(uint64_t id)
{
  struct flight *ticket = &w.tickets[input_below(w.input, TICKETS)];
  struct known before = w.known[id];
  enum cmap_begin outcome = (enum cmap_begin)99;
  struct cmap_ticket fresh;
  struct cmap_handle handle;
  struct key_room room;
  enum cmap_status status;

  if (ticket->number != 0)
    return;
  status = cmap_store_begin(w.t.store, key_of(id, &room), &handle, &fresh,
                            &outcome, NULL, NULL, NULL);
  if (status != CMAP_OK) {
    CHECK((status == CMAP_ENOMEM && refused()) || before.what == UNKNOWN ||
          (before.what == FAILURE && status == before.status));
    return;
  }
  switch (outcome) {
  case CMAP_PRESENT:
    CHECK(before.what == OBJECT || before.what == UNKNOWN);
    CHECK(before.what == UNKNOWN || handle.object == before.object);
    (void)store_object(&handle, id);
    keep_or_release(&handle, id);
    break;
  case CMAP_YOURS:
    CHECK(before.what == ABSENT || before.what == UNKNOWN);
    *ticket = (struct flight){.number = ++w.numbers, .id = id, .ticket = fresh};
    w.known[id] = (struct known){.what = FLIGHT, .flight = ticket->number};
    break;
  default:
    CHECK(outcome == CMAP_PENDING &&
          (before.what == FLIGHT || w.refreshing[id] > 0));
  }
}

static void end_ticket(struct flight *ticket, unsigned how)
{
  struct tracked *object = NULL;
  struct cmap_handle handle = CMAP_INIT;
  enum cmap_status why = CMAP_EABANDONED;

  if (ticket->number == 0) {
    CHECK_STATUS(cmap_ticket_fail(&ticket->ticket, CMAP_BUSY), CMAP_EINVAL);
    return;
  }
  if (how == 0) {
    object = make_object(ticket->id);
    why = CMAP_OK;
    CHECK_OK(cmap_ticket_complete(&ticket->ticket, object, &handle));
    CHECK(handle.object == (ticket->put ? ticket->put : object));
    cmap_handle_release(&handle);
  } else if (how == 1) {
    why = input_once_in(w.input, 2) ? (enum cmap_status)USER_STATUS
                                    : CMAP_NOT_FOUND;
    CHECK_STATUS(cmap_ticket_fail(&ticket->ticket, CMAP_OK), CMAP_EINVAL);
    CHECK_OK(cmap_ticket_fail(&ticket->ticket, why));
  } else {
    cmap_ticket_abandon(&ticket->ticket);
  }
  if (ticket->put == NULL)
    settle(ticket->id, ticket->number, why, object);
  *ticket = (struct flight){.number = 0};
}

static void bind_ticket(struct flight *ticket)
{
  enum cmap_status status;

  if (ticket->number == 0)
    return;
  if (input_once_in(w.input, 2)) {
    CHECK_OK(cmap_ticket_unbind(&ticket->ticket));
    ticket->unbound = true;
  } else {
    status = cmap_ticket_bind(&ticket->ticket);
    CHECK(status == CMAP_OK || status == CMAP_EINVAL ||
          (status == CMAP_ENOMEM && refused()));
    ticket->unbound = ticket->unbound && status != CMAP_OK;
  }
}

struct visit {
  bool met[IDS];
};

static enum cmap_status visit(struct cmap_key key, void *object, void *ctx)
{
  uint64_t id = key_id(&w.t.keys.spec, key);
  struct visit *walk = ctx;

  CHECK(id < IDS && !walk->met[id]);
  walk->met[id] = true;
  CHECK(w.known[id].what == UNKNOWN || w.known[id].object == object);
  return CMAP_OK;
}

static void check_all(void)
{
  struct visit walk = {.met = {false}};
  enum cmap_status status = cmap_store_for_each(w.t.store, visit, &walk);
  size_t known = 0, maybe = 0;

  CHECK(status == CMAP_OK || (status == CMAP_ENOMEM && refused()));
  for (uint64_t id = 0; id < IDS; id++) {
    const struct known *k = &w.known[id];
    known += k->what == OBJECT;
    maybe += k->what == OBJECT || k->what == UNKNOWN;
    CHECK(status != CMAP_OK || k->what == UNKNOWN ||
          walk.met[id] == (k->what == OBJECT));
  }
  CHECK(cmap_store_len(w.t.store) >= known &&
        cmap_store_len(w.t.store) <= maybe);
}

static void clear(void)
{
  CHECK_OK(cmap_store_clear(w.t.store));
  for (uint64_t id = 0; id < IDS; id++)
    set(id, ABSENT, NULL, CMAP_OK);
}

static void shrink(void)
{
  enum cmap_status status = cmap_store_shrink_to_fit(w.t.store);

  CHECK(status == CMAP_OK || (status == CMAP_ENOMEM && refused()));
}

/* ------------------------------------------------------------------------
 * The steps
 * ------------------------------------------------------------------------ */

static void step(void)
{
  unsigned which = input_below(w.input, 16);
  uint64_t id = read_id();
  struct flight *ticket = &w.tickets[id % TICKETS];

  switch (which) {
  case 0:
  case 1:
  case 2:
  case 3:
    create(id);
    break;
  case 4:
    refresh(id);
    break;
  case 5:
    put(id);
    break;
  case 6:
    remove_or_forget(id, false);
    break;
  case 7:
    remove_or_forget(id, true);
    break;
  case 8:
    check_handle((unsigned)id % HANDLES);
    break;
  case 9:
  case 10:
    begin_ticket(id);
    break;
  case 11:
  case 12:
    end_ticket(ticket, input_below(w.input, 3));
    break;
  case 13:
    bind_ticket(ticket);
    break;
  case 14:
    if (input_once_in(w.input, 4))
      clear();
    else
      shrink();
    break;
  default:
    check_all();
  }
  look(id);
}

static void begin(struct input *input)
{
  memset(&w, 0, sizeof w);
  innermost = NULL;
  w.input = input;
  test_store_prepare(&w.t, (enum key_shape)input_below(input, KEY_SHAPES));
  w.t.options.keys.flags |= CMAP_FIXED_SEED;
  w.t.options.keys.shard_groups = (size_t)1 << input_below(input, 3);
  w.t.options.flags = input_once_in(input, 2) ? CMAP_SHARE_FAILURE : 0;
  /* Long enough never to be over. */
  w.t.options.negative_ns = input_once_in(input, 2) ? UINT64_C(1) << 60 : 0;
  w.t.options.max_failures = input_below(input, 3);
  test_store_create(&w.t);
}

static void end(void)
{
  check_all();
  for (int i = 0; i < TICKETS; i++) {
    if (w.tickets[i].number != 0) {
      CHECK_STATUS(cmap_store_destroy(w.t.store), CMAP_BUSY);
      end_ticket(&w.tickets[i], 2);
    }
  }
  for (int i = 0; i < HANDLES; i++) {
    if (w.handles[i].object != NULL)
      CHECK_STATUS(cmap_store_destroy(w.t.store), CMAP_BUSY);
    cmap_handle_release(&w.handles[i]);
  }
  check_all();
  test_store_close(&w.t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  struct input input = {data, data + size};

  begin(&input);
  for (int i = 0; i < MOST_STEPS && !input_is_over(&input); i++) {
    unsigned plan = input_byte(&input);
    if (plan >= 192)
      counting_alloc_fail_nth(&w.t.keys.alloc, 1 + plan - 192);
    step();
    counting_alloc_fail_none(&w.t.keys.alloc);
    fuzz_end();
  }
  end();
  fuzz_end();
  return 0;
}

#include "store_model.h"

struct world w;

bool refused(void)
{
  return counting_alloc_failures(&w.t.keys.alloc) > 0;
}

uint64_t read_id(void)
{
  return input_below(w.input, IDS);
}

struct cmap_key key_of(uint64_t id, struct key_room *room)
{
  return key_make(&w.t.keys.spec, id, room);
}

struct tracked *make_object(uint64_t id)
{
  return tracked_new(&w.t.lives, id, ++w.numbers);
}

/* ------------------------------------------------------------------------
 * The model
 * ------------------------------------------------------------------------ */

bool is_remembered(enum cmap_status status)
{
  return w.t.options.negative_ns != 0 && status != CMAP_BUSY &&
         status != CMAP_TIMEDOUT && status != CMAP_EDEADLK &&
         status != CMAP_EABANDONED && status != CMAP_ENOMEM &&
         status != CMAP_FROZEN;
}

/* Some failures may have gone: the bound is small, or memory is. */
bool forgets(void)
{
  return w.t.options.max_failures != 0 || refused();
}

void set(uint64_t id, enum what what, struct tracked *object,
         enum cmap_status status)
{
  w.known[id] = (struct known){what, object, status, 0};
}

/* The ticket whose flight has the key, if it is one's. */
struct flight *ticket_at(uint64_t id)
{
  for (int i = 0; i < TICKETS; i++) {
    struct flight *flight = &w.tickets[i];
    if (w.known[id].what == FLIGHT && flight->number == w.known[id].flight)
      return flight;
  }
  return NULL;
}

/* Something takes a flight's place: an object that was put is its result. */
void overtake(uint64_t id, struct tracked *object)
{
  struct flight *ticket = ticket_at(id);

  if (ticket != NULL)
    ticket->put = object;
}

/* What cmap_store_get shows; what it cannot show stays unknown. */
void look(uint64_t id)
{
  struct key_room room;
  struct cmap_handle handle;
  enum cmap_status status =
      cmap_store_get(w.t.store, key_of(id, &room), &handle, NULL);
  struct known *known = &w.known[id];

  if (status == CMAP_OK) {
    struct tracked *object = store_object(&handle, id);
    CHECK(known->what == UNKNOWN ||
          (known->what == OBJECT && known->object == object));
    set(id, OBJECT, object, CMAP_OK);
  } else {
    CHECK_STATUS(status, CMAP_NOT_FOUND);
    CHECK(known->what != OBJECT && handle.object == NULL);
  }
  cmap_handle_release(&handle);
}

void keep_or_release(struct cmap_handle *handle, uint64_t id)
{
  unsigned place = input_below(w.input, 2 * HANDLES);

  if (place >= HANDLES) {
    cmap_handle_release(handle);
    return;
  }
  cmap_handle_release(&w.handles[place]);
  w.handles[place] = *handle;
  w.handle_ids[place] = id;
}

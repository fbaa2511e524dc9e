/*
 * What fuzz_store knows of its store: for each key what is there, or that it
 * does not know, after CMAP_ENOMEM, and where a bound lets failures be
 * forgotten. Then it looks. One thread.
 */
#ifndef CMAP_FUZZ_STORE_MODEL_H
#define CMAP_FUZZ_STORE_MODEL_H

#include "input.h"
#include "store_objects.h"

#define IDS     24
#define TICKETS 8
#define HANDLES 8

enum what { ABSENT, OBJECT, FLIGHT, FAILURE, UNKNOWN };

struct known {
  enum what what;
  struct tracked *object;  /* of an OBJECT */
  enum cmap_status status; /* of a FAILURE */
  uint64_t flight;         /* its number */
};

struct flight {
  uint64_t number; /* 0: none */
  uint64_t id;
  bool unbound;        /* who begins is not taken for who ends */
  struct tracked *put; /* that came first */
  struct cmap_ticket ticket;
};

/* One input at a time. */
extern struct world {
  struct test_store t;
  struct input *input;
  struct known known[IDS];
  struct flight tickets[TICKETS];
  struct cmap_handle handles[HANDLES];
  uint64_t handle_ids[HANDLES];
  uint64_t numbers;  /* of flights and of objects' versions */
  unsigned building; /* constructors at work */
  unsigned
      refreshing[IDS]; /* of a key, whose flights the model does not know */
} w;

/* Was a request for memory refused in this step? */
bool refused(void);

/* One of the keys, from the input; its bytes; a new object of it. */
uint64_t read_id(void);
struct cmap_key key_of(uint64_t id, struct key_room *room);
struct tracked *make_object(uint64_t id);

/* Is such a failure remembered? May some have gone: is the bound small, or
   memory? */
bool is_remembered(enum cmap_status status);
bool forgets(void);

/* What the key has now. */
void set(uint64_t id, enum what what, struct tracked *object,
         enum cmap_status status);

/* The ticket whose flight the key has, or NULL. */
struct flight *ticket_at(uint64_t id);

/* An object was put where a flight is: it is the flight's result. */
void overtake(uint64_t id, struct tracked *object);

/* Compares what cmap_store_get shows; what it cannot show stays unknown. */
void look(uint64_t id);

/* Keeps the handle in one of w.handles, or releases it. */
void keep_or_release(struct cmap_handle *handle, uint64_t id);

#endif

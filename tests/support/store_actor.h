/*
 * The actors of store scenes (store_scene.h): threads that do one act after
 * the other, also in constructors.
 */
#ifndef CMAP_TEST_STORE_ACTOR_H
#define CMAP_TEST_STORE_ACTOR_H

#include <string.h>

#include "player.h"
#include "store_objects.h"

#define SCENE_KEYS    10
#define SCENE_OBJECTS 64
#define SCENE_HANDLES 16

/* Outcomes that are no status of a call's. */
enum {
  BUILDS = 100001,
  WAITS,
  YOURS,
  PENDING,
  ORIGINS,                            /* and an enum cmap_origin */
  REMOVALS = ORIGINS + CMAP_STALE + 1 /* and an enum cmap_removal */
};

struct act {
  char who;
  char verb[16];
  int number; /* of verb:number */
  char about; /* of verb:a */
  char place; /* S, T, M, N */
  unsigned key;
  bool try, soon, late, token;
  unsigned flags;
  int outcome;
  unsigned object; /* of #N; 0: any */
};

struct actor {
  struct player player;
  struct act act; /* the script's; then what came of it, the actor's */
  int outcome;
  void *object;            /* of an outcome that has one */
  enum cmap_origin origin; /* the same */
  size_t handle_count;
  struct cmap_handle handles[SCENE_HANDLES];
  size_t lock_count;
  struct cmap_write_guard locks[4];
  int asked;        /* the keys of the last constructor of many, as digits */
  atomic_uint told; /* notices */
  int told_status;
  void *told_object;
};

/* What a scene is about. Its acts come one by one, ordered by the steps. */
extern struct scene_world {
  struct test_store stores[2]; /* S and T; objects count in the first's lives */
  struct cmap *maps[2];        /* M and N, with the keys 0 to 9 */
  struct cmap_ticket tickets[2][SCENE_KEYS];
  struct tracked *objects[SCENE_OBJECTS]; /* from 1, as they were made */
  unsigned object_count;
  atomic_bool closing; /* all constructors fail, all let go of locks, and end */
  atomic_uint begun;   /* constructors and tickets */
  struct cmap_token *token;
  _Atomic uint64_t clock;         /* of both stores, if a setting asks */
  atomic_int left[SCENE_OBJECTS]; /* REMOVALS and why; 0: not yet */
} world;

static inline bool act_is(const struct act *act, const char *verb)
{
  return strcmp(act->verb, verb) == 0;
}

static inline struct cmap_store *act_store(const struct act *act)
{
  return world.stores[act->place == 'T'].store;
}

/* The actor's thread, until an act ends it. ctx: the actor. */
void actor_run(unsigned index, void *ctx);

/* Releases what the actor still has; on any thread, when its own is over or
   idle. Not guards. */
void actor_release(struct actor *actor);

#endif

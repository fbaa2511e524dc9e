/*
 * Scenes for lock-free readers: a table in which one writer moves entries
 * between the same few blocks, step by step, while K0 is always present and K1
 * comes and goes. docs/model/ has the same scenes for spin.
 *
 *   SCENE_SPLIT    a shard of one group is split, and its halves, which keep
 *                  K0 and K1 apart, are merged again: three blocks. Every
 *                  block is in turn the home of K0, of K1, of both, and free.
 *   SCENE_REBUILD  a shard's block has two groups and four in turn: two blocks.
 *                  More keys than one group holds have the same home: K0 now
 *                  lies there, now is the one passed on.
 *   SCENE_REHOME   the same, and where K0 was passed on a filler goes, and the
 *                  block's entries find their groups anew: K0 comes home.
 *
 * All words of a value are equal, and count the writes of its key; PACKED has
 * the lower half of one.
 *
 * Keys and values may lie in boxes. Then slots of free blocks read as zero, as
 * if their pages had been given back.
 *
 * Concurrency: one thread writes, any threads read. Failures are recorded by
 * CHECK. For tests that are linked with the library's objects only.
 */
#ifndef CMAP_TEST_SCENES_H
#define CMAP_TEST_SCENES_H

#include <stdatomic.h>

#include "checks.h"
#include "table_room.h"

enum scene_kind { SCENE_SPLIT, SCENE_REBUILD, SCENE_REHOME };

/* What lies in boxes: of keys K0 and K1. */
enum scene_boxes {
  SCENE_NO_BOXES,
  SCENE_BOXED_KEYS = 1,
  SCENE_BOXED_VALUES = 2,
  SCENE_ALL_BOXED = 3,
  SCENE_PACKED = 4 /* nothing: key and value are the halves of a word */
};
enum scene_key { K0, K1, SCENE_KEYS };

/* At least as many keys as a scene has. */
#define SCENE_FOUND 16

/* Odd, so that the last word is loaded by itself, after the pairs before it. */
#define SCENE_VALUE_WORDS 9

/* Of a value, as many as that or, for less to be searched, fewer. */
extern unsigned scene_value_words;

/* What readers must know about a key. The writer stores, all seq_cst. */
struct scene_state {
  atomic_uint changes; /* of presence; odd while one is under way */
  atomic_bool present;
  _Atomic uint64_t begun; /* the latest write that has begun */
  _Atomic uint64_t done;  /* the latest that has ended */
};

struct scene {
  struct cmap__table table;
  struct table_room room;
  enum scene_kind kind;
  enum scene_boxes boxes;
  struct scene_state states[SCENE_KEYS];
  struct {
    uint64_t number; /* 0: none yet */
    uint32_t key;
  } found[SCENE_FOUND]; /* owner: the writer; keys of PACKED */
  uint64_t steps;       /* owner: the writer; done so far */
  unsigned displaced; /* owner: the writer; to two groups, that passed K0 on */
  unsigned came_home; /* owner: the writer; K0, in the block where it was */
};

/* Steps after which the writer does the same again, or nearly so. */
#define SCENE_SPLIT_PERIOD   14
#define SCENE_REBUILD_PERIOD 6
#define SCENE_REHOME_PERIOD  7

void scene_begin(struct scene *scene, enum scene_kind kind,
                 enum scene_boxes boxes);
void scene_end(struct scene *scene);

/* The writer's next step: one operation, or one replacement of shards. */
void scene_step(struct scene *scene);

/* Reads without a lock until it is a hit (true) or a miss. */
typedef bool scene_read(const struct cmap__table *table,
                        const struct cmap__probe *probe, uint64_t *value);

/* Reads a key; the value's words. */
bool scene_look(struct scene *scene, enum scene_key key, scene_read *read,
                uint64_t *words);

/* Reads a key, and checks the answer against what the writer has said. */
void scene_check(struct scene *scene, enum scene_key key, scene_read *read);

#endif

/*
 * A thread that does what a script says: the script gives it one act after the
 * other, and goes on when that has come to something, or waits.
 *
 * What the act is, and what comes of it, the two leave in fields of their own:
 * giving an act and finishing it order them.
 */
#ifndef CMAP_TEST_PLAYER_H
#define CMAP_TEST_PLAYER_H

#include "asleep.h"
#include "step.h"
#include "threads.h"

struct player {
  struct thread thread;
  struct step go, finished; /* the n-th act */
  unsigned given;           /* owner: the script */
  unsigned taken;           /* owner: the player */
  atomic_uint over;         /* the last act that is */
  struct asleep asleep;
  unsigned waits;     /* before the act was given; owner: the script */
  bool parked, ended; /* owner: the script */
};

/* All bytes are 0 before. The thread is not there yet. */
void player_begin(struct player *player);

/* Of the script. */

/* Gives the next act; the first one starts the thread with run(0, ctx). */
void player_give(struct player *player, thread_fn *run, void *ctx);

/* Waits until the act waits in the library (true), or is finished. */
bool player_parks(struct player *player);

/* Waits until the act is finished. */
void player_finishes(struct player *player);

/* Waits until the act has ended the thread. */
void player_ends(struct player *player);

/* One more act, and any number of them, is given at the end: of all players,
 * before one of them is ended. */
void player_let_go(struct player *player);
void player_end(struct player *player);

/* Of the thread. */

void player_enter(struct player *player);
void player_next_act(struct player *player);
void player_finish(struct player *player);

#endif

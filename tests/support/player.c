#include "player.h"

#include <limits.h>
#include <sched.h>

void player_begin(struct player *player)
{
  asleep_begin(&player->asleep);
  step_begin(&player->go);
  step_begin(&player->finished);
}

void player_give(struct player *player, thread_fn *run, void *ctx)
{
  CHECK(!player->parked && !player->ended);
  player->waits = asleep_times(&player->asleep);
  if (player->given == 0)
    thread_start(&player->thread, run, 0, ctx);
  step_done(&player->go, ++player->given);
}

bool player_parks(struct player *player)
{
  player->parked = true;
  /* Ends: one or the other comes about. */
  while (asleep_times(&player->asleep) == player->waits &&
         atomic_load(&player->over) < player->given)
    sched_yield();
  return atomic_load(&player->over) < player->given;
}

void player_finishes(struct player *player)
{
  step_wait(&player->finished, player->given);
  player->parked = false;
}

void player_ends(struct player *player)
{
  thread_join(&player->thread);
  player->ended = true;
}

void player_let_go(struct player *player)
{
  CHECK(!player->parked);
  step_done(&player->go, UINT_MAX);
}

void player_end(struct player *player)
{
  if (player->given > 0 && !player->ended)
    thread_join(&player->thread);
  step_end(&player->go);
  step_end(&player->finished);
}

void player_enter(struct player *player)
{
  asleep_here(&player->asleep);
}

void player_next_act(struct player *player)
{
  step_wait(&player->go, ++player->taken);
}

void player_finish(struct player *player)
{
  atomic_store(&player->over, player->taken);
  step_done(&player->finished, player->taken);
}

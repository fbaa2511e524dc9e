/*
 * Scenes about a store: scripts of who calls what, one act at a time, and what
 * comes of it. Actors, a to h, are threads that do what the script says; "-" is
 * the script itself.
 *
 *     share | a create S1 builds, b create S1 waits, a fails:7 7, b resumes 7
 *
 * The next act begins when the last one has returned, or where the script says
 * "waits", when its wait is published (asleep.h); or "builds", when it is in
 * its constructor. There it does what the next acts say, until one ends the
 * constructor: the outcome of that act is what the outer call returns.
 *
 * S1, T2: keys of two stores; M1, N2: of two maps. Objects are numbered in the
 * order in which they are made, from 1.
 *
 *   before the bar: share, negative (for an hour), max:N objects, ttl:N
 *              idle:N stale:N seconds, by a clock that stands unless "-
 * clock:N" says what it shows (with any of the last three) create get put
 * refresh remove forget clear destroy the store's calls; handles stay until
 * "releases" lock       a write guard of a map, until "unlocks" begin complete
 * ticketfails:S abandons binds unbinds the ticket is the key's, whoever uses it
 *   makes null fails:S exits cancels
 *              end the constructor, the last two with the thread
 *   many:NNN   cmap_store_get_many of the keys N; its object is the first one's
 *   makes:N    of many: objects for the first N, 7 for the others
 *   counts:N   cmap_store_waiters of the key is N
 *   resumes builds
 *              no call: the one that waited has returned; or builds now
 *   ends       the thread
 *   maintain
 *   try soon late share retry token
 *              with CMAP_TRY; a deadline within the scene; one behind it;
 * flags; the scene's token, until "- trips"
 *   - alive N, - dead N, - len:N S, - told:a OUTCOME, - untold:a, - cancel:a
 *   - stats hits=N ...   of S
 *   - was:a ORIGIN       of the handle that a got last: HIT, BUILT ...
 *   - left:N REASON      object N is in the store no more: EVICTED ...
 *   - in:N               it has not left
 *   - asked:a =NNN       the keys that a's constructor of many was called for
 *
 * Outcomes: a status by its name or number, OK if there is none; "#N": CMAP_OK
 * with object N; YOURS, PENDING.
 */
#ifndef CMAP_TEST_STORE_SCENE_H
#define CMAP_TEST_STORE_SCENE_H

#include "store_objects.h"

struct store_scene {
  const char *name;
  const char *script;
};

/* Plays one scene; asserts its outcomes, and that all is balanced after it. */
void store_scene_play(const char *script);

/* Runs scenes as tests of a group, and other tests after them. */
int store_scenes_run(const char *group, const struct store_scene *scenes,
                     size_t count, const struct CMUnitTest *others,
                     size_t other_count);

#endif

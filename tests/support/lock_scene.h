/*
 * Scenes about locks: scripts of who calls what, one act at a time, and what
 * comes of it ("OK" if it does not say). Actors, a to p, are threads that do
 * what the script says.
 *
 *     a write L0, b write H0, a write H0 parks, b write L0 EDEADLK,
 *     b unlocks, a resumes
 *
 * The next act begins when the last one has returned, or, where the script says
 * "parks", when its wait is published: the library says so (asleep.h). So the
 * script decides which wait closes a circle, and nobody sleeps for a time.
 *
 * When a scene is over, or has gone wrong, all actors let go of what they hold
 * as soon as their calls return, and end: nobody is left for the next scene.
 *
 * Three maps: L and H have one shard each, and L the lower address; B has many
 * shards, and its keys B0, B1, ... lie in different ones, in hash order.
 *
 *   read write entry read2 write2   guards, an entry, cmap_lock_many of this
 *                 key and the next; what they hold stays
 *   insert look equal len           cmap_insert, cmap_view, cmap_equal(H, L),
 *                 which locks a shard of L and then those of H, cmap_len_exact
 *   fork          cmap_fork_begin and cmap_fork_end
 *   alter view    the next acts are called by the callback, until "leaves"
 *   weakens       makes a read guard of the write guard that was taken last
 *   unlocks       releases all holds, the first one first
 *   ends          the thread, with all that it holds
 *   resumes       no call: the one that parked has returned
 *   try soon late with CMAP_TRY; a deadline within the scene; one behind it
 */
#ifndef CMAP_TEST_LOCK_SCENE_H
#define CMAP_TEST_LOCK_SCENE_H

#include <stddef.h>

#include "checks.h"

#define LOCK_SCENE_ACTORS 16

/* Plays one scene, and asserts its outcomes. Takes the script to pieces. */
void lock_scene_play(char *script);

/* Runs tests of a group, and then the scenes of each text up to NULL, "name:
 * script; name: script;". Takes the texts to pieces. */
int lock_scenes_run(const char *group, const struct CMUnitTest *others,
                    size_t other_count, char *const texts[]);

#endif

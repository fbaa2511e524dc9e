/*
 * Keys made from ids, and values made from ids and versions.
 *
 * Values check themselves: every byte follows from id and version, so that a
 * value which is half of one version and half of another, or which belongs
 * to another key, is told from a whole one.
 *
 * Ids are below 2^24, versions below 2^24.
 */
#ifndef CMAP_TEST_CONTENT_H
#define CMAP_TEST_CONTENT_H

#include "maps.h"

/* Room for the bytes of a key. */
struct key_room {
  _Alignas(8) unsigned char bytes[272];
};

/* Room for a value. */
struct value_room {
  _Alignas(64) unsigned char bytes[VALUE_ROOM];
};

/*
 * The key of an id, in room. Keys of odd ids lie at an odd address, except
 * for integers, and for custom keys, which lie as their struct must.
 */
struct cmap_key key_make(const struct map_spec *spec, uint64_t id,
                         struct key_room *room);

/* The id of a key that the library shows; checks every byte of it. */
uint64_t key_id(const struct map_spec *spec, struct cmap_key key);

/* Checks that a stored key has the 0 byte behind it that the header says. */
void key_check_stored(const struct map_spec *spec, struct cmap_key key);

/* Makes the value of a version: the caller's own, like one that came out. */
void value_make(struct test_map *m, uint64_t id, uint64_t version, void *value);

/* Is it that value, every byte of it? */
bool value_is(const struct test_map *m, uint64_t id, uint64_t version,
              const void *value);

/*
 * Is it a whole value of this id, of whatever version, which comes out?
 * Values of less than 4 bytes are always taken for whole, of version 0.
 */
bool value_is_whole(const struct test_map *m, uint64_t id, const void *value,
                    uint64_t *version);

/* Makes another version of a value in place, as an alter callback may. */
void value_change(struct test_map *m, uint64_t id, uint64_t version,
                  void *value);

/* Destroys a value that is the caller's own. */
void value_drop(struct test_map *m, void *value);

/* Fills the room of a value, and what follows it, with bytes that no value
   has; and looks whether they are still there, or those that follow it. */
void value_mark(const struct test_map *m, struct value_room *room);
bool value_is_marked(const struct test_map *m, const struct value_room *room);
bool value_is_bounded(const struct test_map *m, const struct value_room *room);

#endif

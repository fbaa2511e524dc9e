#include "content.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "random.h"

#define MARK 0xee

/* Lengths of strings and bytes, by id: in the slot, at its end, beyond. */
static const size_t lengths[] = {9, 15, 22, 23, 24, 31, 63, 64, 90};
#define LENGTHS (sizeof lengths / sizeof *lengths)

static uint64_t mix(uint64_t id, uint64_t version)
{
  return random_mix(random_mix(id) + version);
}

/* ------------------------------------------------------------------------
 * Keys
 * ------------------------------------------------------------------------ */

static size_t fill_text(uint64_t id, unsigned char *bytes, bool text)
{
  size_t length = lengths[id % LENGTHS];

  if (id == 0) {
    return 0;
  }
  for (size_t i = 0; i < length; i++) {
    if (i < 8 && text) {
      /* Eight digits of base 16. */
      bytes[i] = (unsigned char)('A' + ((id >> (4 * i)) & 15));
    } else if (i < 8) {
      bytes[i] = (unsigned char)(id >> (8 * i));
    } else {
      bytes[i] = (unsigned char)('a' + (id + i) % 26);
    }
  }
  return length;
}

/* FIXED: the id lies in the last bytes, so that all of them must count. */
static void fill_fixed(uint64_t id, unsigned char *bytes, size_t size)
{
  size_t id_size = size < 8 ? size : 8;

  for (size_t i = 0; i < size - id_size; i++) {
    bytes[i] = (unsigned char)(0x40 + i);
  }
  for (size_t i = 0; i < id_size; i++) {
    bytes[size - id_size + i] = (unsigned char)(id >> (8 * i));
  }
}

static size_t fixed_size(enum key_shape keys)
{
  return keys == KEYS_FIXED_3 ? 3 : keys == KEYS_FIXED_16 ? 16 : 256;
}

struct cmap_key key_make(const struct map_spec *spec, uint64_t id,
                         struct key_room *room)
{
  unsigned char *bytes = room->bytes + (id & 1);
  uint32_t small = (uint32_t)id;
  uint64_t large = id | (uint64_t)~small << 32;
  struct tracked_key custom = {.id = id, .object = NULL};
  size_t size;

  switch (spec->keys) {
  case KEYS_U32:
    memcpy(bytes, &small, size = sizeof small);
    break;
  case KEYS_U64:
    memcpy(bytes, &large, size = sizeof large);
    break;
  case KEYS_STRING:
  case KEYS_BYTES:
    size = fill_text(id, bytes, spec->keys == KEYS_STRING);
    break;
  case KEYS_CUSTOM:
  case KEYS_CUSTOM_OWNED:
    bytes = room->bytes;
    memcpy(bytes, &custom, size = sizeof custom);
    break;
  default:
    fill_fixed(id, bytes, size = fixed_size(spec->keys));
    break;
  }
  /* The key ends here, and what follows must not matter. */
  bytes[size] = (unsigned char)(1 + random_mix(id) % 255);
  return cmap_key_bytes(bytes, size);
}

static uint64_t raw_id(const struct map_spec *spec, struct cmap_key key)
{
  const unsigned char *bytes = key.data;
  uint32_t small = 0;
  uint64_t id = 0;

  switch (spec->keys) {
  case KEYS_U32:
  case KEYS_U64:
    /* Of the u64 the half that holds the id. */
    if (key.size == 8) {
      memcpy(&id, bytes, sizeof id);
      return (uint32_t)id;
    }
    memcpy(&small, bytes, sizeof small);
    return small;
  case KEYS_STRING:
    for (size_t i = 0; i < 8 && i < key.size; i++) {
      id |= (uint64_t)(bytes[i] - 'A') << (4 * i);
    }
    return id;
  case KEYS_BYTES:
    for (size_t i = 0; i < 8 && i < key.size; i++) {
      id |= (uint64_t)bytes[i] << (8 * i);
    }
    return id;
  case KEYS_CUSTOM:
  case KEYS_CUSTOM_OWNED:
    memcpy(&id, bytes, sizeof id);
    return id;
  default:
    for (size_t i = 0; i < 8 && i < key.size; i++) {
      size_t id_size = key.size < 8 ? key.size : 8;
      if (i < id_size) {
        id |= (uint64_t)bytes[key.size - id_size + i] << (8 * i);
      }
    }
    return id;
  }
}

uint64_t key_id(const struct map_spec *spec, struct cmap_key key)
{
  uint64_t id = raw_id(spec, key);
  struct key_room room;
  struct cmap_key again;

  if (spec->keys == KEYS_CUSTOM || spec->keys == KEYS_CUSTOM_OWNED) {
    CHECK(key.size == sizeof(struct tracked_key));
    return id;
  }
  again = key_make(spec, id & 0xffffffff, &room);
  CHECK(again.size == key.size && memcmp(again.data, key.data, key.size) == 0);
  return id;
}

void key_check_stored(const struct map_spec *spec, struct cmap_key key)
{
  struct tracked_key custom;

  if (spec->keys == KEYS_STRING || spec->keys == KEYS_BYTES) {
    CHECK(((const char *)key.data)[key.size] == 0);
  }
  if (spec->keys == KEYS_CUSTOM_OWNED) {
    memcpy(&custom, key.data, sizeof custom);
    CHECK(tracked_is_alive(custom.object) && custom.object->id == custom.id);
  }
}

/* ------------------------------------------------------------------------
 * Values
 * ------------------------------------------------------------------------ */

/* Fills the bytes from `begin` on. */
static void fill_rest(uint64_t id, uint64_t version, unsigned char *bytes,
                      size_t begin, size_t size)
{
  uint64_t stream = mix(id, version);

  for (size_t i = begin; i < size; i += 8) {
    size_t n = size - i < 8 ? size - i : 8;
    stream = stream * UINT64_C(6364136223846793005) + 1442695040888963407;
    memcpy(bytes + i, &stream, n);
  }
}

static void fill_plain(uint64_t id, uint64_t version, void *value, size_t size)
{
  uint64_t check = mix(id, version);
  uint32_t small = (uint32_t)(version << 8 | (check & 0xff));
  uint64_t large = version << 16 | (check & 0xffff);

  if (size >= 8) {
    memcpy(value, &large, sizeof large);
    fill_rest(id, version, value, 8, size);
  } else if (size >= 4) {
    memcpy(value, &small, sizeof small);
    fill_rest(id, version, value, 4, size);
  } else if (size > 0) {
    memcpy(value, &check, size);
  }
}

static void fill(struct test_map *m, uint64_t id, uint64_t version, void *value)
{
  if (m->spec.care == VALUES_PLAIN) {
    fill_plain(id, version, value, m->spec.value_size);
  } else {
    fill_rest(id, version, value, sizeof(void *), m->spec.value_size);
  }
}

void value_make(struct test_map *m, uint64_t id, uint64_t version, void *value)
{
  fill(m, id, version, value);
  if (m->spec.care != VALUES_PLAIN) {
    struct tracked *object = tracked_new(m->lives, id, version);
    memcpy(value, &object, sizeof object);
  }
}

bool value_is(const struct test_map *m, uint64_t id, uint64_t version,
              const void *value)
{
  struct value_room room;
  size_t size = m->spec.value_size;
  size_t begin = 0;

  if (m->spec.care == VALUES_PLAIN) {
    fill_plain(id, version, room.bytes, size);
  } else {
    struct tracked *object = tracked_of(value);
    if (!tracked_is_alive(object) || object->id != id ||
        object->version != version) {
      return false;
    }
    begin = sizeof object;
    fill_rest(id, version, room.bytes, begin, size);
  }
  return size == begin || memcmp((const unsigned char *)value + begin,
                                 room.bytes + begin, size - begin) == 0;
}

bool value_is_whole(const struct test_map *m, uint64_t id, const void *value,
                    uint64_t *version)
{
  uint32_t small;
  uint64_t large;

  *version = 0;
  if (m->spec.care != VALUES_PLAIN) {
    struct tracked *object = tracked_of(value);
    if (!tracked_is_alive(object)) {
      return false;
    }
    *version = object->version;
  } else if (m->spec.value_size >= 8) {
    memcpy(&large, value, sizeof large);
    *version = large >> 16;
  } else if (m->spec.value_size >= 4) {
    memcpy(&small, value, sizeof small);
    *version = small >> 8;
  } else {
    return true;
  }
  return value_is(m, id, *version, value);
}

void value_change(struct test_map *m, uint64_t id, uint64_t version,
                  void *value)
{
  if (m->spec.care != VALUES_PLAIN) {
    struct tracked *object = tracked_of(value);
    fill(m, id, version, value);
    object->version = version;
  } else {
    fill(m, id, version, value);
  }
}

void value_drop(struct test_map *m, void *value)
{
  if (m->spec.care != VALUES_PLAIN) {
    tracked_destroy(tracked_of(value));
  }
}

/* The marked bytes behind the value. */
#define MARGIN 8

void value_mark(const struct test_map *m, struct value_room *room)
{
  memset(room->bytes, MARK, m->spec.value_size + MARGIN);
}

static bool is_marked(const struct value_room *room, size_t begin, size_t end)
{
  for (size_t i = begin; i < end; i++) {
    if (room->bytes[i] != MARK) {
      return false;
    }
  }
  return true;
}

bool value_is_marked(const struct test_map *m, const struct value_room *room)
{
  return is_marked(room, 0, m->spec.value_size + MARGIN);
}

bool value_is_bounded(const struct test_map *m, const struct value_room *room)
{
  size_t size = m->spec.value_size;

  return is_marked(room, size, size + MARGIN);
}

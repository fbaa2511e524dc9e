/*
 * Scans from any cursor to any end, into buffers of any size, and walks over
 * parts, of a map whose hashes the input chooses: many equal ones, neighbours,
 * the highest. What a call shows is compared with a plain array.
 */
#include "input.h"
#include "random.h"

#define MOST       300 /* entries */
#define MOST_STEPS 60
#define VALUE_MOST 300

enum kind { NUMBERS, FIXED, TEXT, KINDS };

struct entry {
  uint64_t hash, number;
  bool present;
  bool met; /* by the walk that is checked */
};

/* One input at a time, in one thread. */
static struct scanned {
  struct cmap *map;
  enum kind kind;
  size_t value_size;
  size_t count;
  struct entry entries[MOST];
} scanned;

/* A key: hash and number; of numbers the hash alone; text is longer. */
struct bytes {
  uint64_t hash, number;
  char more[80];
};

static uint64_t given_hash(struct cmap_key key, void *ctx)
{
  uint64_t hash;

  (void)ctx;
  memcpy(&hash, key.data, sizeof hash);
  return hash;
}

static struct cmap_key key_of(const struct entry *entry, struct bytes *bytes)
{
  size_t size = 2 * sizeof(uint64_t);

  bytes->hash = entry->hash;
  bytes->number = entry->number;
  if (scanned.kind == NUMBERS)
    size = sizeof(uint64_t);
  else if (scanned.kind == TEXT) {
    memset(bytes->more, (int)entry->number, sizeof bytes->more);
    size += entry->number % (sizeof bytes->more + 1);
  }
  return cmap_key_bytes(bytes, size);
}

static void fill_value(const struct entry *entry, unsigned char *value)
{
  for (size_t i = 0; i < scanned.value_size; i++)
    value[i] = (unsigned char)random_mix(entry->hash + entry->number + i);
}

/* The two highest hashes have one position. */
static uint64_t position_of(const struct entry *entry)
{
  return entry->hash == UINT64_MAX ? UINT64_MAX - 1 : entry->hash;
}

static bool is_between(const struct entry *entry, uint64_t from, uint64_t end)
{
  uint64_t position = position_of(entry);

  return entry->present && position >= from && (end == 0 || position < end);
}

/* The present entry with such a key; NULL, and a failed check, without one. */
static struct entry *entry_of(struct cmap_key key)
{
  for (size_t i = 0; i < scanned.count; i++) {
    struct entry *entry = &scanned.entries[i];
    struct bytes bytes;
    struct cmap_key own = key_of(entry, &bytes);
    if (entry->present && own.size == key.size &&
        memcmp(own.data, key.data, key.size) == 0)
      return entry;
  }
  CHECK_NEVER("a key from nowhere is shown");
  return NULL;
}

/* An entry is shown; for the first time in this walk. */
static struct entry *meet(struct cmap_key key, const void *value)
{
  unsigned char expected[VALUE_MOST];
  struct entry *entry = entry_of(key);

  if (entry == NULL)
    abort();
  CHECK(!entry->met);
  entry->met = true;
  fill_value(entry, expected);
  CHECK(value == NULL || memcmp(value, expected, scanned.value_size) == 0);
  return entry;
}

static void forget_met(void)
{
  for (size_t i = 0; i < scanned.count; i++)
    scanned.entries[i].met = false;
}

/* The walk has met what lies there, and nothing else. */
static void check_met(uint64_t from, uint64_t end)
{
  for (size_t i = 0; i < scanned.count; i++)
    CHECK(scanned.entries[i].met == is_between(&scanned.entries[i], from, end));
  forget_met();
}

/* ------------------------------------------------------------------------
 * Changes
 * ------------------------------------------------------------------------ */

static uint64_t read_hash(struct input *input)
{
  if (scanned.count > 0 && input_once_in(input, 3))
    return scanned.entries[input_byte(input) % scanned.count].hash;
  return input_number(input);
}

static void put(uint64_t hash, uint64_t number)
{
  struct entry *entry = &scanned.entries[scanned.count];
  unsigned char value[VALUE_MOST];
  struct bytes bytes;

  if (scanned.count == MOST)
    return;
  *entry =
      (struct entry){hash, scanned.kind == NUMBERS ? 0 : number, true, false};
  for (size_t i = 0; i < scanned.count; i++) {
    if (scanned.entries[i].hash == hash &&
        scanned.entries[i].number == entry->number) {
      entry = &scanned.entries[i];
      entry->present = true;
    }
  }
  scanned.count += entry == &scanned.entries[scanned.count];
  fill_value(entry, value);
  CHECK_OK(
      cmap_insert(scanned.map, key_of(entry, &bytes), value, NULL, NULL, NULL));
}

static void put_some(struct input *input)
{
  static const uint64_t strides[] = {0,
                                     1,
                                     UINT64_C(1) << 32,
                                     UINT64_C(1) << 56,
                                     UINT64_C(1) << 60,
                                     UINT64_C(0x9e3779b97f4a7c15)};
  uint64_t hash = read_hash(input);
  uint64_t stride = strides[input_below(input, 6)];
  unsigned n = 1 + input_below(input, 40);
  uint64_t number = input_byte(input);

  for (unsigned i = 0; i < n; i++)
    put(hash + i * stride, number + i);
}

static void take(struct entry *entry)
{
  struct bytes bytes;

  CHECK_STATUS(cmap_remove(scanned.map, key_of(entry, &bytes), NULL, NULL),
               entry->present ? CMAP_OK : CMAP_NOT_FOUND);
  entry->present = false;
}

static void take_some(struct input *input)
{
  size_t first = input_byte(input), step = 1 + input_below(input, 60);

  for (size_t i = first; i < scanned.count; i += step)
    take(&scanned.entries[i]);
}

/* ------------------------------------------------------------------------
 * Scans
 * ------------------------------------------------------------------------ */

/* What lies at the first position from there on: how many, and their text. */
static size_t first_position(uint64_t from, uint64_t end, size_t *text)
{
  uint64_t first = UINT64_MAX;
  size_t count = 0;

  *text = 0;
  for (size_t i = 0; i < scanned.count; i++) {
    const struct entry *entry = &scanned.entries[i];
    if (is_between(entry, from, end) && position_of(entry) < first)
      first = position_of(entry);
  }
  for (size_t i = 0; i < scanned.count; i++) {
    const struct entry *entry = &scanned.entries[i];
    struct bytes bytes;
    if (is_between(entry, from, end) && position_of(entry) == first) {
      count++;
      *text += key_of(entry, &bytes).size + 1;
    }
  }
  return count;
}

/* Looks at what came out, in whatever order. */
static void check_shown(const struct cmap_scan_buffer *buffer, uint64_t from,
                        uint64_t cursor, uint64_t end)
{
  size_t size = scanned.kind == NUMBERS ? 8 : 16, count = 0;

  for (size_t i = 0; i < scanned.count; i++)
    count += is_between(&scanned.entries[i], from, cursor);
  CHECK(buffer->count == count && count <= buffer->capacity && count > 0);
  CHECK(cursor > from && (end == 0 || cursor <= end));
  for (size_t i = 0; i < buffer->count && buffer->keys != NULL; i++) {
    const char *at = (const char *)buffer->keys + i * size;
    struct cmap_key key = cmap_key_bytes(at, size);
    if (scanned.kind == TEXT) {
      memcpy(&key, at, sizeof key);
      CHECK((const char *)key.data >= buffer->text &&
            (const char *)key.data + key.size <
                buffer->text + buffer->text_size);
      CHECK(((const char *)key.data)[key.size] == 0);
    }
    (void)meet(key, buffer->values == NULL ? NULL
                                           : (const char *)buffer->values +
                                                 i * scanned.value_size);
  }
  if (buffer->keys != NULL)
    check_met(from, cursor);
}

/* One call, with buffers of exactly their size. */
static enum cmap_status scan_once(uint64_t *cursor, uint64_t end,
                                  struct cmap_scan_buffer *buffer, bool keys,
                                  bool values)
{
  uint64_t from = *cursor;
  size_t text = 0, first = first_position(from, end, &text);
  enum cmap_status status;

  buffer->keys = keys ? malloc(buffer->capacity * 16) : NULL;
  buffer->values =
      values ? malloc(buffer->capacity * scanned.value_size + 1) : NULL;
  buffer->text = malloc(buffer->text_size);
  status = cmap_scan(scanned.map, cursor, end, buffer, NULL);
  if (status == CMAP_OK)
    check_shown(buffer, from, *cursor, end);
  else if (status == CMAP_NOT_FOUND) {
    CHECK(first == 0 && buffer->count == 0);
    CHECK(*cursor >= (end == 0 ? UINT64_MAX : end));
  } else {
    CHECK_STATUS(status, CMAP_ENOSPC);
    CHECK(*cursor == from && buffer->count == first);
    CHECK(!keys || scanned.kind != TEXT || buffer->text_used == text);
    CHECK(first > buffer->capacity ||
          (keys && scanned.kind == TEXT && text > buffer->text_size));
  }
  free(buffer->keys);
  free(buffer->values);
  free(buffer->text);
  return status;
}

static void scan(struct input *input, uint64_t *cursor, uint64_t end, bool all)
{
  struct cmap_scan_buffer buffer = {.size = sizeof buffer};
  size_t capacity = 1 + (size_t)input_byte(input);
  size_t text_size = 1 + 8 * (size_t)input_byte(input);
  bool keys = !input_once_in(input, 8), values = !input_once_in(input, 4);
  enum cmap_status status;

  do {
    buffer.capacity = capacity;
    buffer.text_size = text_size;
    status = scan_once(cursor, end, &buffer, keys, values);
    if (status == CMAP_ENOSPC) {
      /* With what it says that it needs it goes on, and not with less. */
      buffer.capacity = buffer.count;
      buffer.text_size = buffer.text_used;
      status = scan_once(cursor, end, &buffer, keys, values);
      CHECK_STATUS(status, CMAP_OK);
    }
  } while (all && status == CMAP_OK && !checks_failed());
}

/* ------------------------------------------------------------------------
 * Parts
 * ------------------------------------------------------------------------ */

static enum cmap_status see(struct cmap_key key, const void *value, void *ctx)
{
  (void)ctx;
  (void)meet(key, value);
  return CMAP_OK;
}

static enum cmap_status see_taken(struct cmap_key key, void *value, void *ctx)
{
  *(struct entry **)ctx = meet(key, value);
  return CMAP_OK;
}

/* Shows all entries of a hash: the two highest are different ones here. */
static bool is_in_part(const struct entry *entry, uint64_t first, uint64_t end)
{
  return entry->present && entry->hash >= first &&
         (end == 0 || entry->hash < end);
}

static void check_part(uint64_t first, uint64_t end)
{
  for (size_t i = 0; i < scanned.count; i++)
    CHECK(scanned.entries[i].met ==
          is_in_part(&scanned.entries[i], first, end));
  forget_met();
}

static void walk_part(struct input *input)
{
  size_t parts = (size_t)input_number(input);
  size_t part = (size_t)input_number(input);
  uint64_t first = 1, end = 1, next = 1, unused = 1;
  CMAP_AUTO(cmap_iter, iter);
  struct entry *taken = NULL;
  enum cmap_status status;

  if (parts == 0)
    parts = 1;
  if (input_once_in(input, 4)) {
    CHECK_STATUS(cmap_scan_part(parts, parts, &first, &end), CMAP_EINVAL);
    CHECK(first == 1 && end == 1);
  }
  part %= parts;
  CHECK_OK(cmap_scan_part(part, parts, &first, &end));
  CHECK((part == 0) == (first == 0) && (part + 1 == parts) == (end == 0));
  if (part + 1 < parts) {
    CHECK_OK(cmap_scan_part(part + 1, parts, &next, &unused));
    CHECK(next == end);
  }
  CHECK_OK(cmap_for_each(scanned.map, part, parts, see, NULL, NULL));
  check_part(first, end);
  CHECK_OK(cmap_iter_begin(scanned.map, CMAP_READ, part, parts, &iter));
  while ((status = cmap_iter_next(&iter, NULL)) == CMAP_OK)
    (void)meet(iter.key, iter.value);
  CHECK_STATUS(status, CMAP_NOT_FOUND);
  check_part(first, end);
  status = cmap_pop(scanned.map, part, parts, see_taken, &taken, NULL);
  CHECK((status == CMAP_OK) == (taken != NULL));
  forget_met();
  if (taken == NULL)
    check_part(first, end); /* it has none */
  else {
    CHECK(is_in_part(taken, first, end));
    taken->present = false;
  }
}

/* ------------------------------------------------------------------------
 * The steps
 * ------------------------------------------------------------------------ */

static void begin(struct input *input)
{
  static const size_t sizes[] = {0, 8, 8, 40, VALUE_MOST, 3};
  struct cmap_options options;

  memset(&scanned, 0, sizeof scanned);
  scanned.kind = (enum kind)input_below(input, KINDS);
  scanned.value_size = sizes[input_below(input, 6)];
  cmap_options_init(&options,
                    scanned.kind == NUMBERS ? CMAP_U64
                    : scanned.kind == FIXED ? CMAP_FIXED
                                            : CMAP_BYTES,
                    scanned.value_size);
  options.key_size = scanned.kind == FIXED ? 16 : 0;
  options.flags = CMAP_HASH_IS_GOOD | CMAP_FIXED_SEED;
  if (input_once_in(input, 2))
    options.flags |= CMAP_AUTO_SHRINK;
  options.key_hash = given_hash;
  options.shard_groups = (size_t)1 << input_below(input, 5);
  assert_ok(cmap_create(&options, &scanned.map));
}

static void end(void)
{
  const char *broken = NULL;
  size_t count = 0;

  for (size_t i = 0; i < scanned.count; i++)
    count += scanned.entries[i].present;
  CHECK(cmap_len(scanned.map) == count);
  CHECK_OK(cmap_check(scanned.map, &broken, NULL));
  cmap_destroy(scanned.map);
  fuzz_end();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  struct input input = {data, data + size};
  uint64_t stored = 0, any;

  begin(&input);
  for (int i = 0; i < MOST_STEPS && !input_is_over(&input); i++) {
    switch (input_below(&input, 8)) {
    case 0:
    case 1:
      put_some(&input);
      break;
    case 2:
      take_some(&input);
      break;
    case 3:
      CHECK_OK(cmap_shrink_to_fit(scanned.map, NULL));
      break;
    case 4:
      any = input_number(&input);
      scan(&input, &any, input_number(&input), true);
      break;
    case 5: /* goes on with what has changed since */
      scan(&input, &stored, 0, false);
      break;
    case 6:
      any = 0;
      scan(&input, &any, 0, true);
      break;
    default:
      walk_part(&input);
    }
    fuzz_end();
  }
  end();
  return 0;
}

/*
 * The structs that a program fills in: cmap_options, cmap_store_options,
 * cmap_how, each in memory of just its size. The input begins with defaults and
 * changes some members to anything. What is accepted is told from what the
 * header says, by rules written down here once more; a map or a store that was
 * made then works.
 */
#include "counting_alloc.h"
#include "input.h"

#define VALUE_MOST 4096
#define MEMORY     ((size_t)4 << 20) /* of one map; more is refused */

/* ------------------------------------------------------------------------
 * Callbacks
 * ------------------------------------------------------------------------ */

static uint64_t hash(struct cmap_key key, void *ctx)
{
  uint64_t sum = 0;

  (void)ctx;
  for (size_t i = 0; i < key.size; i++)
    sum = sum * 31 + ((const unsigned char *)key.data)[i];
  return sum;
}

static bool equal(struct cmap_key stored, struct cmap_key key, void *ctx)
{
  (void)ctx;
  return memcmp(stored.data, key.data, key.size) == 0;
}

static enum cmap_status copy_key(struct cmap_key key, void *stored, void *ctx)
{
  (void)ctx;
  memcpy(stored, key.data, key.size);
  return CMAP_OK;
}

static void destroy(void *object, void *ctx)
{
  (void)object;
  (void)ctx;
}

/* ctx: the options that have it. */
static enum cmap_status clone(const void *value, void *copy, void *ctx)
{
  const struct cmap_options *options = ctx;

  memcpy(copy, value, options->value_size);
  return CMAP_OK;
}

static bool equal_value(const void *a, const void *b, void *ctx)
{
  const struct cmap_options *options = ctx;

  return memcmp(a, b, options->value_size) == 0;
}

/* The allocator of tests, with a bound. */
static struct counting_alloc counting;
static bool refused; /* memory, or so much was asked for that it must be */

static void *allocate(size_t size, size_t align, void *ctx)
{
  struct cmap_allocator hook = counting_alloc_hook(&counting);

  (void)ctx; /* a program that does not know it has none */
  if (size > MEMORY || counting_alloc_live_bytes(&counting) > MEMORY) {
    refused = true;
    return NULL;
  }
  return hook.alloc(size, align, &counting);
}

static void release(void *memory, size_t size, size_t align, void *ctx)
{
  (void)ctx;
  counting_alloc_hook(&counting).free(memory, size, align, &counting);
}

/* ------------------------------------------------------------------------
 * What the header says
 * ------------------------------------------------------------------------ */

static bool is_power(size_t n, size_t most)
{
  return n == 0 || ((n & (n - 1)) == 0 && n <= most);
}

/* A struct whose first header had so much, and today's has `known`. */
static bool size_is_right(const void *object, size_t first, size_t known)
{
  const unsigned char *bytes = object;
  size_t size;

  memcpy(&size, object, sizeof size);
  if (size > 4096 || (size < known && (size < first || size % 8 != 0)))
    return false;
  for (size_t i = known; i < size; i++) {
    if (bytes[i] != 0)
      return false;
  }
  return true;
}

static bool keys_are_right(const struct cmap_options *o)
{
  bool text = o->key_kind == CMAP_STRING || o->key_kind == CMAP_BYTES;
  bool custom = o->key_kind == CMAP_CUSTOM;
  bool sized = custom || o->key_kind == CMAP_FIXED;
  size_t own = o->key_kind == CMAP_U32 ? 4 : o->key_kind == CMAP_U64 ? 8 : 0;

  return o->key_kind >= CMAP_U32 && o->key_kind <= CMAP_CUSTOM &&
         (sized ? o->key_size >= 1 && o->key_size <= 256
                : o->key_size == 0 || o->key_size == own) &&
         is_power(o->key_align, 64) && (custom || o->key_align == 0) &&
         o->inline_key_size <= 63 && (text || o->inline_key_size == 0) &&
         (custom ? o->key_hash != NULL && o->key_equal != NULL
                 : o->key_equal == NULL && o->key_copy == NULL &&
                       o->key_destroy == NULL) &&
         (o->key_copy == NULL || o->key_destroy != NULL);
}

static bool options_are_right(const struct cmap_options *o)
{
  unsigned hashes = o->flags & (CMAP_HASH_FAST | CMAP_HASH_SIPHASH);

  return o->flags < 2 * CMAP_STRICT && keys_are_right(o) &&
         (!(o->flags & CMAP_HASH_IS_GOOD) || o->key_hash != NULL) &&
         (hashes == 0 || o->key_hash == NULL) &&
         hashes != (CMAP_HASH_FAST | CMAP_HASH_SIPHASH) &&
         is_power(o->value_align, 64) && o->value_size <= PTRDIFF_MAX / 2 &&
         o->inline_value_size <= 1024 && is_power(o->shard_groups, 4096) &&
         ((o->flags & CMAP_FIXED_SEED) || (o->seed[0] | o->seed[1]) == 0) &&
         (o->value_clone == NULL || o->value_destroy != NULL) &&
         (o->allocator.alloc == NULL) == (o->allocator.free == NULL);
}

/* ------------------------------------------------------------------------
 * Members changed
 * ------------------------------------------------------------------------ */

static void change_pointer(struct input *input, struct cmap_options *o)
{
  bool set = input_once_in(input, 2);

  switch (input_below(input, 9)) {
  case 0:
    o->key_hash = set ? hash : NULL;
    break;
  case 1:
    o->key_equal = set ? equal : NULL;
    break;
  case 2:
    o->key_copy = set ? copy_key : NULL;
    break;
  case 3:
    o->key_destroy = set ? destroy : NULL;
    break;
  case 4:
    o->value_destroy = set ? destroy : NULL;
    break;
  case 5:
    o->value_clone = set ? clone : NULL;
    break;
  case 6:
    o->value_equal = set ? equal_value : NULL;
    break;
  case 7:
    o->allocator.alloc = NULL;
    break;
  default:
    o->allocator.free = NULL;
  }
}

static void change(struct input *input, struct cmap_options *o)
{
  size_t *const sizes[] = {
      &o->key_size,    &o->key_align,       &o->value_size,
      &o->value_align, &o->inline_key_size, &o->inline_value_size,
      &o->capacity,    &o->shard_groups,    &o->shard_bytes};
  unsigned which = input_below(input, 16);

  if (which < 9)
    *sizes[which] = (size_t)input_number(input);
  else if (which == 9)
    o->key_kind = (unsigned)input_number(input);
  else if (which == 10)
    o->flags = (unsigned)input_number(input);
  else if (which == 11)
    o->seed[input_below(input, 2)] = input_number(input);
  else
    change_pointer(input, o);
}

static void fill(struct input *input, struct cmap_options *o)
{
  cmap_options_init(o, (enum cmap_key_kind)(1 + input_below(input, 6)),
                    input_byte(input));
  o->flags = input_byte(input) & (2 * CMAP_STRICT - 1);
  if (o->key_kind == CMAP_FIXED || o->key_kind == CMAP_CUSTOM)
    o->key_size = 1 + (size_t)input_byte(input);
  if (o->key_kind == CMAP_CUSTOM) {
    o->key_hash = hash;
    o->key_equal = equal;
  }
  o->value_ctx = o;
  o->allocator = (struct cmap_allocator){allocate, release, &counting};
  for (unsigned n = input_below(input, 8); n > 0; n--)
    change(input, o);
  /* The system's own memory has no bound. */
  if (o->allocator.alloc == NULL && o->allocator.free == NULL) {
    o->capacity %= 1000;
    o->value_size %= 1000;
  }
}

/* A copy of a struct in memory of the size that it says, if any struct may be
   so large; with or without something behind what is known. The caller's. */
static void *sized_copy(struct input *input, const void *object, size_t known)
{
  size_t size;
  unsigned char *copy;

  memcpy(&size, object, sizeof size);
  copy = calloc(1, size > 4096 ? known : size < 8 ? 8 : size);
  memcpy(copy, object, size < 8 ? 8 : size < known ? size : known);
  if (size > known && size <= 4096 && input_once_in(input, 2))
    copy[known + input_number(input) % (size - known)] = input_byte(input);
  return copy;
}

/* ------------------------------------------------------------------------
 * Maps
 * ------------------------------------------------------------------------ */

static struct cmap_key make_key(const struct cmap_options *o, uint8_t n,
                                unsigned char bytes[256])
{
  bool text = o->key_kind == CMAP_STRING || o->key_kind == CMAP_BYTES;

  memset(bytes, n + 1, 256);
  return cmap_key_bytes(bytes, text ? n % 100u + n / 100 : o->key_size);
}

static void check_how(struct input *input, struct cmap *map,
                      const struct cmap_options *o)
{
  struct cmap_how how = {.size = sizeof how}, *given;
  unsigned char bytes[256];
  struct cmap_key key = make_key(o, 5, bytes);
  bool right, hashed, token;
  uint64_t own = 0;

  CHECK_OK(cmap_hash(map, key, &own));
  how.hash = own;
  if (input_once_in(input, 3))
    how.size = (size_t)input_number(input);
  how.flags = input_once_in(input, 3) ? (unsigned)input_number(input)
                                      : input_byte(input) % 16u;
  if (input_once_in(input, 4))
    how.hash = input_number(input);
  how.deadline_ns = input_number(input);
  if (input_once_in(input, 2))
    CHECK_OK(cmap_token_create(&how.token));
  given = sized_copy(input, &how, sizeof how);
  hashed = (how.flags & CMAP_HASHED) != 0;
  token = (how.flags & CMAP_TOKEN) != 0;
  right = size_is_right(given, offsetof(struct cmap_how, token), sizeof how) &&
          how.flags < 16 && (!hashed || how.hash == own) &&
          (!token || (how.size >= sizeof how && how.token != NULL));
  CHECK_STATUS(cmap_contains(map, key, given),
               right ? CMAP_NOT_FOUND : CMAP_EINVAL);
  CHECK_OK(cmap_token_destroy(how.token));
  free(given);
}

static void use(struct input *input, struct cmap *map,
                const struct cmap_options *o)
{
  static unsigned char value[VALUE_MOST], out[VALUE_MOST];
  unsigned n = input_byte(input);
  const char *broken = NULL;
  unsigned char bytes[256];

  check_how(input, map, o);
  if (o->value_size > VALUE_MOST)
    return;
  for (unsigned i = 0; i < n; i++) {
    enum cmap_status status = cmap_insert(map, make_key(o, (uint8_t)i, bytes),
                                          value, NULL, NULL, NULL);
    CHECK(status == CMAP_OK || (status == CMAP_ENOMEM && refused));
    status = cmap_get(map, make_key(o, (uint8_t)i, bytes), out, NULL);
    CHECK(status == CMAP_OK || refused ||
          (status == CMAP_ENOTSUP && o->value_destroy && !o->value_clone));
  }
  CHECK_OK(cmap_check(map, &broken, NULL));
  for (unsigned i = 0; i < n; i += 2) {
    enum cmap_status status =
        cmap_remove(map, make_key(o, (uint8_t)i, bytes), NULL, NULL);
    CHECK(status == CMAP_OK || refused);
  }
  CHECK_OK(cmap_check(map, &broken, NULL));
}

/* The options in force make the same map again. */
static void check_in_force(struct cmap *map, struct cmap_options *in_force)
{
  struct cmap_options again = {.size = sizeof again};
  struct cmap *second = NULL;
  enum cmap_status status;

  CHECK_OK(cmap_get_options(map, in_force));
  CHECK(options_are_right(in_force));
  status = cmap_create(in_force, &second);
  CHECK(status == CMAP_OK || (status == CMAP_ENOMEM && refused));
  if (status == CMAP_OK) {
    CHECK_OK(cmap_get_options(second, &again));
    CHECK(memcmp(&again, in_force, sizeof again) == 0);
  }
  cmap_destroy(second);
}

static void check_map(struct input *input, struct cmap_options *o)
{
  struct cmap_options in_force = {.size = sizeof in_force};
  struct cmap *map = (struct cmap *)o;
  struct cmap_options *given;
  enum cmap_status status;
  bool right;

  if (input_once_in(input, 3))
    o->size = (size_t)input_number(input);
  given = sized_copy(input, o, sizeof *o);
  right = size_is_right(given, offsetof(struct cmap_options, value_align),
                        sizeof *o);
  if (right) {
    /* What the program does not know is as by default. */
    if (o->size < sizeof *o)
      memset((char *)o + o->size, 0, sizeof *o - o->size);
    if (o->allocator.alloc == NULL && o->allocator.free == NULL &&
        (o->capacity > 1000 || o->value_size > 1000)) {
      free(given);
      return;
    }
    right = options_are_right(o);
  }
  status = cmap_create(given, &map);
  free(given);
  if (status == CMAP_OK) {
    CHECK(right);
    check_in_force(map, &in_force);
    /* The callbacks' ctx is o, where it was not cut off. */
    if (in_force.value_ctx == o || in_force.value_clone == NULL)
      use(input, map, &in_force);
    cmap_destroy(map);
  } else {
    CHECK(map == NULL);
    CHECK_STATUS(status, right && refused ? CMAP_ENOMEM : CMAP_EINVAL);
    CHECK(!right || refused);
  }
}

/* ------------------------------------------------------------------------
 * Stores
 * ------------------------------------------------------------------------ */

static enum cmap_status build(struct cmap_key key, void **object, void *ctx)
{
  (void)key;
  *object = ctx;
  return CMAP_OK;
}

static void check_store(struct input *input, const struct cmap_options *o)
{
  struct cmap_store_options options;
  struct cmap_store *store = (struct cmap_store *)&options;
  struct cmap_handle handle;
  unsigned char bytes[256];
  enum cmap_status status;
  bool right;

  cmap_store_options_init(&options, CMAP_U64, destroy);
  options.keys = *o;
  if (!input_once_in(input, 4)) {
    options.keys.value_size = options.keys.value_align = 0;
    options.keys.inline_value_size = 0;
    options.keys.value_destroy = NULL;
    options.keys.value_clone = NULL;
    options.keys.value_equal = NULL;
    options.keys.value_ctx = NULL;
  }
  options.flags = input_once_in(input, 2) ? (unsigned)input_number(input) : 0;
  options.negative_ns = input_number(input);
  options.max_failures = (size_t)input_number(input);
  right =
      options_are_right(&options.keys) && options.keys.value_size == 0 &&
      options.keys.value_align == 0 && options.keys.inline_value_size == 0 &&
      options.keys.value_destroy == NULL && options.keys.value_clone == NULL &&
      options.keys.value_equal == NULL && options.keys.value_ctx == NULL &&
      (options.keys.key_destroy == NULL || options.keys.key_copy != NULL) &&
      !(options.keys.flags & CMAP_STRICT) &&
      (options.flags == 0 || options.flags == CMAP_SHARE_FAILURE ||
       options.flags == CMAP_RETRY_FAILURE);
  status = cmap_store_create(&options, &store);
  if (status != CMAP_OK) {
    CHECK(store == NULL);
    CHECK_STATUS(status, right && refused ? CMAP_ENOMEM : CMAP_EINVAL);
    CHECK(!right || refused);
    return;
  }
  CHECK(right);
  if (options.keys.key_size == 0) /* of integers by default */
    options.keys.key_size = options.keys.key_kind == CMAP_U32 ? 4 : 8;
  for (unsigned i = 0; i < 20; i++) {
    status = cmap_store_get_or_create(
        store, make_key(&options.keys, (uint8_t)i, bytes), &handle, build,
        &options, NULL);
    CHECK(status == CMAP_OK || (status == CMAP_ENOMEM && refused));
    CHECK(handle.object == (status == CMAP_OK ? &options : NULL));
    cmap_handle_release(&handle);
  }
  CHECK_OK(cmap_store_destroy(store));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  struct input input = {data, data + size};
  struct cmap_options options;

  counting_alloc_begin(&counting);
  fill(&input, &options);
  refused = options.capacity > MEMORY || options.value_size > MEMORY;
  if (input_once_in(&input, 4))
    check_store(&input, &options);
  else
    check_map(&input, &options);
  CHECK(counting_alloc_is_empty(&counting));
  fuzz_end();
  return 0;
}

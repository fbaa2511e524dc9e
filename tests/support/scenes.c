#include "scenes.h"

#include "base/alloc.h"
#include "table/replace.h"
#include "table/value.h"

/*
 * A key is its own hash, or, where the map hashes it, one whose hash is the
 * same in the bits that matter. K0 and K1 have the same lower half, so that
 * they meet in all but the directory; fillers keep both halves of a split from
 * being empty, or fill the home group.
 */
#define TOP_BIT    (UINT64_C(1) << 63)
#define LOW_BITS   UINT64_C(0xc0000005) /* last group, overflow bit 0, tag 5 */
#define FILLER_TAG UINT64_C(0x10)       /* of the first filler */
#define MATTERS    (TOP_BIT | UINT64_C(0xc00007ff)) /* group, overflow, tag */

unsigned scene_value_words = SCENE_VALUE_WORDS;

/* The bytes of a key, which begin with its number: all of them in a box. */
struct key_bytes {
  uint64_t words[5];
};

static uint64_t own_hash(struct cmap_key key, void *ctx)
{
  uint64_t hash;

  (void)ctx;
  memcpy(&hash, key.data, sizeof hash);
  return hash;
}

static uint64_t number_of(const struct scene *scene, enum scene_key key)
{
  if (key == K0)
    return LOW_BITS;
  return scene->kind == SCENE_SPLIT ? LOW_BITS | TOP_BIT : LOW_BITS + 1;
}

static uint64_t filler(const struct scene *scene, unsigned i)
{
  uint64_t number = (LOW_BITS & ~UINT64_C(0xff)) + FILLER_TAG + i;

  return scene->kind == SCENE_SPLIT && i % 2 == 1 ? number | TOP_BIT : number;
}

/* The key of 4 bytes with the number's bits of the hash. */
static uint32_t packed_key(struct scene *scene, uint64_t number)
{
  const struct cmap__layout *layout = &scene->table.layout;
  unsigned i = 0;
  uint32_t key = 0;

  while (scene->found[i].number != number && scene->found[i].number != 0)
    CHECK(++i < SCENE_FOUND);
  if (scene->found[i].number == number)
    return scene->found[i].key;
  while (((cmap__key_hash(layout, cmap_key_u32(&key)) ^ number) & MATTERS) != 0)
    key++;
  scene->found[i].number = number;
  scene->found[i].key = key;
  return key;
}

/* `bytes` are the probe's as long as it is used. */
static void probe_of(struct scene *scene, uint64_t number,
                     struct key_bytes *bytes, struct cmap__probe *probe)
{
  bool boxed =
      (scene->boxes & SCENE_BOXED_KEYS) != 0 &&
      (number == number_of(scene, K0) || number == number_of(scene, K1));
  size_t size = boxed ? sizeof *bytes : sizeof number;

  memset(bytes, 0, sizeof *bytes);
  bytes->words[0] = number;
  if (scene->boxes == SCENE_PACKED) {
    uint32_t key = packed_key(scene, number);
    memcpy(bytes, &key, sizeof key);
    size = sizeof key;
  }
  CHECK_OK(cmap__probe_init(&scene->table.layout,
                            cmap_key_bytes(bytes->words, size), NULL, probe));
}

static struct cmap__shard *lock(struct scene *scene, uint64_t hash)
{
  struct cmap__locked locked;

  CHECK_OK(cmap__table_lock(&scene->table, hash, CMAP__WRITE, NULL, &locked));
  cmap__section_end(&locked); /* no thread ends while it has the lock */
  return locked.shard;
}

static void unlock(struct cmap__shard *shard)
{
  cmap__shardlock_write_unlock(&shard->lock);
}

/* What a value says. */
static uint64_t count_in(const struct scene *scene, const uint64_t *words)
{
  return scene->boxes == SCENE_PACKED ? cmap__half_of_word(words[0]) : words[0];
}

static void fill(const struct scene *scene, uint64_t *words, uint64_t n)
{
  if (scene->boxes == SCENE_PACKED)
    n = cmap__word_of_half((uint32_t)n);
  for (unsigned i = 0; i < SCENE_VALUE_WORDS; i++)
    words[i] = n;
}

/* -------------------------------------------------------------------------
 * The writer's operations
 * ------------------------------------------------------------------------- */

static void put_number(struct scene *scene, uint64_t number, uint64_t n)
{
  const struct cmap__layout *layout = &scene->table.layout;
  uint64_t words[SCENE_VALUE_WORDS];
  struct cmap__value_image value;
  struct cmap__key_image image;
  struct cmap__shard *shard;
  struct cmap__probe probe;
  struct cmap__place place;
  struct key_bytes bytes;

  probe_of(scene, number, &bytes, &probe);
  shard = lock(scene, probe.hash);
  fill(scene, words, n);
  CHECK_OK(cmap__value_image_move(layout, words, &value));
  CHECK(!cmap__shard_find(layout, shard, &probe, &place));
  CHECK_OK(cmap__make_room(&scene->table, &shard, probe.hash));
  CHECK_OK(cmap__key_image_init(layout, &probe, &image));
  if (cmap__shard_vacancy(layout, shard, probe.hash, &place))
    cmap__shard_put(layout, shard, &place, false, &image, value.words);
  else
    CHECK_NEVER("no room");
  unlock(shard);
}

static void put(struct scene *scene, enum scene_key key)
{
  struct scene_state *state = &scene->states[key];
  uint64_t n = state->begun + 1;

  atomic_fetch_add(&state->changes, 1);
  atomic_store(&state->begun, n);
  put_number(scene, number_of(scene, key), n);
  atomic_store(&state->done, n);
  atomic_store(&state->present, true);
  atomic_fetch_add(&state->changes, 1);
}

/* Finds a key that is there; the shard is locked. */
static struct cmap__shard *find_number(struct scene *scene, uint64_t number,
                                       struct cmap__place *place)
{
  struct cmap__shard *shard;
  struct cmap__probe probe;
  struct key_bytes bytes;

  probe_of(scene, number, &bytes, &probe);
  shard = lock(scene, probe.hash);
  CHECK(cmap__shard_find(&scene->table.layout, shard, &probe, place));
  return shard;
}

static struct cmap__shard *find(struct scene *scene, enum scene_key key,
                                struct cmap__place *place)
{
  return find_number(scene, number_of(scene, key), place);
}

static void take_found(struct scene *scene, struct cmap__shard *shard,
                       const struct cmap__place *place)
{
  struct cmap__slot_image image;

  cmap__shard_take(&scene->table.layout, shard, place, false, image.words);
  unlock(shard);
  cmap__slot_words_release(&scene->table.layout, image.words, NULL);
}

static void take(struct scene *scene, enum scene_key key)
{
  struct scene_state *state = &scene->states[key];
  struct cmap__place place;
  struct cmap__shard *shard;

  atomic_fetch_add(&state->changes, 1);
  shard = find(scene, key, &place);
  take_found(scene, shard, &place);
  atomic_store(&state->present, false);
  atomic_fetch_add(&state->changes, 1);
}

/* Replaces the value of a present key. */
static void rewrite(struct scene *scene, enum scene_key key)
{
  struct scene_state *state = &scene->states[key];
  const struct cmap__layout *layout = &scene->table.layout;
  struct cmap__value_image fresh, old;
  uint64_t words[SCENE_VALUE_WORDS];
  uint64_t n = state->begun + 1;
  struct cmap__place place;
  struct cmap__shard *shard;

  atomic_store(&state->begun, n);
  fill(scene, words, n);
  CHECK_OK(cmap__value_image_move(layout, words, &fresh));
  shard = find(scene, key, &place);
  cmap__slot_exchange(layout, &place, false, fresh.words, old.words);
  unlock(shard);
  cmap__value_words_release(layout, old.words, words);
  CHECK(count_in(scene, words) == n - 1);
  atomic_store(&state->done, n);
}

/* Of a block that may be free by now: late readers find zeros in its slots. */
static void forget(struct scene *scene, uintptr_t block)
{
  const struct cmap__directory *directory = &scene->table.directory;
  size_t words = cmap__block_slot_count(block) * scene->table.layout.slot_words;

  if (scene->boxes == SCENE_NO_BOXES ||
      block == cmap__directory_block(directory, 0) ||
      block == cmap__directory_block(directory, TOP_BIT))
    return;
  for (size_t i = 0; i < words; i++)
    cmap__payload_store(cmap__block_slots(block) + i, 0);
}

/* The half of hash 0 gets its block first: of two blocks that the pool has got
   back, always the one that the other half had before. */
static void split(struct scene *scene)
{
  struct cmap__shard *shard = lock(scene, 0);
  uintptr_t block = shard->block;

  CHECK(cmap__shard_depth(shard) == 0);
  CHECK_OK(cmap__shard_split(&scene->table, &shard, 0, 1));
  unlock(shard);
  forget(scene, block);
}

static void merge(struct scene *scene)
{
  struct cmap__shard *low = lock(scene, 0);
  struct cmap__shard *high = lock(scene, TOP_BIT);
  uintptr_t low_block = low->block, high_block = high->block;

  CHECK_OK(cmap__shard_merge(&scene->table, &low, high));
  unlock(low);
  forget(scene, low_block);
  forget(scene, high_block);
}

/* What was passed on lies in the first group, and has a place before the
   others when the four groups become two. */
static void rebuild(struct scene *scene)
{
  struct cmap__shard *shard = lock(scene, 0);
  uintptr_t block = shard->block;
  bool grows = cmap__block_log2(block) == 1;
  struct cmap__place place;

  CHECK_OK(cmap__shard_resize(&scene->table, &shard, grows ? 2 : 1));
  unlock(shard);
  forget(scene, block);
  unlock(find(scene, K0, &place));
  scene->displaced += !grows && place.probes > 0;
}

static void rehome(struct scene *scene)
{
  struct cmap__place before, after;
  struct cmap__shard *shard = find(scene, K0, &before);

  cmap__shard_rehome(&scene->table, shard);
  unlock(shard);
  unlock(find(scene, K0, &after));
  CHECK(after.probes <= before.probes);
  scene->came_home += after.probes < before.probes;
}

/* -------------------------------------------------------------------------
 * Scenes
 * ------------------------------------------------------------------------- */

static void split_step(struct scene *scene)
{
  unsigned step = (unsigned)(scene->steps++ % SCENE_SPLIT_PERIOD);
  bool second = step >= SCENE_SPLIT_PERIOD / 2;

  switch (step % (SCENE_SPLIT_PERIOD / 2)) {
  case 0:
    put(scene, K1);
    return;
  case 1:
    rewrite(scene, K0);
    return;
  case 2:
    split(scene);
    return;
  case 3:
    if (second)
      take(scene, K1);
    else
      rewrite(scene, K1);
    return;
  case 4:
    rewrite(scene, K0);
    return;
  case 5:
    merge(scene);
    return;
  default:
    if (!second)
      take(scene, K1);
    return;
  }
}

static void rebuild_step(struct scene *scene)
{
  switch (scene->steps++ % SCENE_REBUILD_PERIOD) {
  case 2:
    put(scene, K1);
    return;
  case 3:
    rewrite(scene, K0);
    return;
  case 5:
    take(scene, K1);
    return;
  default:
    rebuild(scene);
    return;
  }
}

static void rehome_step(struct scene *scene)
{
  struct cmap__place place;
  struct cmap__shard *shard;

  switch (scene->steps++ % SCENE_REHOME_PERIOD) {
  case 2:
    shard = find_number(scene, filler(scene, 0), &place);
    take_found(scene, shard, &place);
    return;
  case 3:
    rehome(scene);
    return;
  case 4:
    rewrite(scene, K0);
    return;
  case 5:
    put_number(scene, filler(scene, 0), 0);
    return;
  case 6:
    rehome(scene); /* nobody's home has room */
    return;
  default:
    rebuild(scene);
    return;
  }
}

void scene_step(struct scene *scene)
{
  if (scene->kind == SCENE_SPLIT)
    split_step(scene);
  else if (scene->kind == SCENE_REBUILD)
    rebuild_step(scene);
  else
    rehome_step(scene);
}

void scene_begin(struct scene *scene, enum scene_kind kind,
                 enum scene_boxes boxes)
{
  unsigned fillers = kind == SCENE_SPLIT ? 2 : CMAP__GROUP_SLOTS;
  struct cmap_options options;

  memset(scene, 0, sizeof *scene);
  scene->kind = kind;
  scene->boxes = boxes;
  cmap_options_init(&options, boxes & SCENE_BOXED_KEYS ? CMAP_BYTES : CMAP_U64,
                    8 * scene_value_words);
  if (boxes & SCENE_BOXED_VALUES)
    options.inline_value_size = 8;
  if (boxes == SCENE_PACKED) {
    options.key_kind = CMAP_U32;
    options.value_size = 4;
    options.flags = CMAP_FIXED_SEED;
  } else {
    options.key_hash = own_hash;
    options.flags = CMAP_HASH_IS_GOOD;
  }
  options.shard_groups = kind == SCENE_SPLIT ? 1 : 4;
  options.allocator = cmap__allocator_default;
  CHECK_OK(table_begin(&scene->table, &scene->room, &options));
  if (boxes == SCENE_PACKED) { /* readers do not search for it */
    for (unsigned key = K0; key < SCENE_KEYS; key++)
      (void)packed_key(scene, number_of(scene, (enum scene_key)key));
  }
  for (unsigned i = 0; i < fillers; i++) {
    if (i == fillers / 2)
      put(scene, K0);
    put_number(scene, filler(scene, i), 0);
  }
}

void scene_end(struct scene *scene)
{
  cmap__table_destroy(&scene->table);
}

bool scene_look(struct scene *scene, enum scene_key key, scene_read *read,
                uint64_t *words)
{
  struct cmap__probe probe;
  struct key_bytes bytes;

  probe_of(scene, number_of(scene, key), &bytes, &probe);
  return read(&scene->table, &probe, words);
}

void scene_check(struct scene *scene, enum scene_key key, scene_read *read)
{
  struct scene_state *state = &scene->states[key];
  uint64_t words[SCENE_VALUE_WORDS];
  unsigned changes = atomic_load(&state->changes);
  bool present = atomic_load(&state->present);
  uint64_t done = atomic_load(&state->done);
  bool hit = scene_look(scene, key, read, words);

  if (hit) {
    CHECK(count_in(scene, words) >= done);
    CHECK(count_in(scene, words) <= atomic_load(&state->begun));
    for (unsigned i = 1; i < scene->table.layout.value_size / 8; i++)
      CHECK(words[i] == words[0]);
  }
  /* K0 never changes, so that it must always be found. */
  if (changes % 2 == 0 && atomic_load(&state->changes) == changes)
    CHECK(hit == present);
}

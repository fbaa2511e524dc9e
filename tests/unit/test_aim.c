/*
 * aim.h: what the short ways leave in a shard is what the general code leaves.
 */
#include "one_shard.h"
#include "random.h"
#include "table/aim.h"
#include "table/value.h"

/* Two shards alike, one for each code. */
struct pair {
  struct one_shard general, quick;
};

static void pair_begin(struct pair *pair, unsigned kind, int g)
{
  one_shard_begin(&pair->general, kind, SPREAD_GOOD, g);
  one_shard_begin(&pair->quick, kind, SPREAD_GOOD, g);
}

static void pair_end(struct pair *pair)
{
  one_shard_end(&pair->general);
  one_shard_end(&pair->quick);
}

/* The same tags, overflow bits, and entries. */
static void assert_same(const struct pair *pair)
{
  const struct cmap__layout *layout = &pair->quick.layout;
  struct cmap__cursor a = cmap__cursor_begin(pair->general.shard->block);
  struct cmap__cursor b = cmap__cursor_begin(pair->quick.shard->block);
  struct cmap__place x, y = {.slot = NULL};

  while (cmap__cursor_next(layout, &a, &x)) {
    assert_true(cmap__cursor_next(layout, &b, &y));
    assert_int_equal(a.at, b.at);
    assert_int_equal(x.index, y.index);
    assert_int_equal(x.group->lo, y.group->lo);
    assert_int_equal(x.group->hi, y.group->hi);
    for (unsigned i = 0; i < layout->slot_words; i++)
      assert_int_equal(x.slot[i], y.slot[i]);
  }
  assert_false(cmap__cursor_next(layout, &b, &y));
  assert_int_equal(pair->general.shard->inserted, pair->quick.shard->inserted);
  assert_int_equal(pair->general.shard->removed, pair->quick.shard->removed);
}

/* Where the key's home group is in a shard that is held. */
static struct cmap__aim aim_at(const struct one_shard *f, uint64_t hash)
{
  const struct cmap__form form = cmap__form_of(&f->layout, f->layout.shape);
  struct cmap__aim aim = cmap__aim_at(&form, f->shard->block, hash);

  aim.shard = f->shard;
  return aim;
}

/* The body of code that is compiled for the map's shape. */
static bool put(struct one_shard *f, struct cmap__probe *probe, uint64_t value)
{
  const struct cmap__aim aim = aim_at(f, probe->hash);
  const struct cmap__layout *layout = &f->layout;

  switch (layout->shape) {
  case CMAP__SHAPE_WORD:
    return cmap__aim_put(layout, CMAP__SHAPE_WORD, &aim, probe, &value);
  case CMAP__SHAPE_PLAIN:
    return cmap__aim_put(layout, CMAP__SHAPE_PLAIN, &aim, probe, &value);
  case CMAP__SHAPE_INTEGER:
    return cmap__aim_put(layout, CMAP__SHAPE_INTEGER, &aim, probe, &value);
  case CMAP__SHAPE_PAIR:
    return cmap__aim_put(layout, CMAP__SHAPE_PAIR, &aim, probe, &value);
  case CMAP__SHAPE_SHORT:
    return cmap__aim_put(layout, CMAP__SHAPE_SHORT, &aim, probe, &value);
  default:
    return cmap__aim_put(layout, CMAP__SHAPE_WORDS, &aim, probe, &value);
  }
}

/* The general code puts, and so does the short way if there is room at home. */
static bool put_both(struct pair *pair, uint64_t key)
{
  struct tables_key text;
  struct cmap__probe probe;
  struct cmap__place place;
  bool room;

  one_shard_probe(&pair->quick, key, &text, &probe);
  if (probe.boxed)
    return false;
  room = cmap__group_empty_held(aim_at(&pair->quick, probe.hash).group) != 0;
  assert_int_equal(put(&pair->quick, &probe, key + 1), room);
  if (room)
    assert_true(one_shard_put(&pair->general, key, &place));
  return room;
}

static void take_both(struct pair *pair, uint64_t key)
{
  struct cmap__aim aim = {.shard = pair->quick.shard};
  struct cmap__slot_image image;
  struct cmap__place place;

  assert_true(one_shard_find(&pair->general, key, &place));
  cmap__shard_take(&pair->general.layout, pair->general.shard, &place, false,
                   image.words);
  assert_int_equal(image.words[pair->general.layout.value_word], key + 1);
  assert_true(one_shard_find(&pair->quick, key, &place));
  aim.group = place.group;
  aim.hi = cmap__load_relaxed(&place.group->hi);
  aim.index = place.index;
  cmap__aim_take(&aim);
}

static const unsigned kinds[] = {CMAP_U32, CMAP_U64, CMAP_FIXED, CMAP_STRING,
                                 CMAP_BYTES};

/* Puts and takes in random order; a full home group is left to others. */
static void entries_come_and_go_alike(void **state)
{
  struct random random;

  (void)state;
  random_begin(&random, 2);
  for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
    uint64_t keys[40], next = 0;
    struct pair pair;
    size_t n = 0;

    pair_begin(&pair, kinds[k], 2);
    for (unsigned round = 0; round < 2000; round++) {
      if (n < 40 && random_below(&random, 2) == 0) {
        if (put_both(&pair, next))
          keys[n++] = next;
        next++;
      } else if (n > 0) {
        size_t i = (size_t)random_below(&random, n);

        take_both(&pair, keys[i]);
        keys[i] = keys[--n];
      }
      assert_same(&pair);
    }
    pair_end(&pair);
  }
}

/* A shard that has reached its limit takes nothing. */
static void a_full_shard_takes_nothing(void **state)
{
  (void)state;
  for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
    struct cmap__probe probe;
    struct tables_key key;
    struct one_shard f;

    one_shard_begin(&f, kinds[k], SPREAD_GOOD, 0);
    one_shard_probe(&f, 0, &key, &probe);
    f.shard->limit = cmap__shard_count(f.shard);
    assert_false(put(&f, &probe, 1));
    f.shard->limit++;
    assert_true(put(&f, &probe, 1));
    one_shard_end(&f);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(entries_come_and_go_alike),
      cmocka_unit_test(a_full_shard_takes_nothing),
  };

  return cmocka_run_group_tests_name("aim", tests, NULL, NULL);
}

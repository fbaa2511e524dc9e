#include "one_shard.h"

void one_shard_begin(struct one_shard *f, unsigned kind, enum spread spread,
                     int g)
{
  struct cmap_options options;

  counting_alloc_begin(&f->alloc);
  f->setting = (struct tables_setting){kind, spread, &f->alloc};
  options = tables_options(&f->setting, 64);
  assert_ok(cmap__layout_init(&f->layout, &options, &f->user));
  assert_ok(cmap__pool_init(&f->pool));
  cmap__boxes_init(&f->boxes, &f->layout.allocator, false);
  f->layout.boxes = &f->boxes;
  f->shard = cmap__pool_take(&f->pool, &f->layout, g);
  assert_non_null(f->shard);
  f->shard->mask = f->shard->prefix = 0;
  f->shard->limit = (uint32_t)cmap__block_slot_count(f->shard->block);
  cmap__block_publish(f->shard->block);
}

void one_shard_end(struct one_shard *f)
{
  tables_unlock(f->shard);
  assert_int_equal(cmap__boxes_used(&f->boxes), 0);
  cmap__boxes_destroy(&f->boxes);
  cmap__pool_destroy(&f->pool);
  assert_true(counting_alloc_is_empty(&f->alloc));
  checks_assert();
}

void one_shard_probe(struct one_shard *f, uint64_t i, struct tables_key *key,
                     struct cmap__probe *probe)
{
  tables_key(key, f->layout.kind, i);
  assert_ok(cmap__probe_init(&f->layout, key->key, NULL, probe));
}

bool one_shard_find(struct one_shard *f, uint64_t i, struct cmap__place *place)
{
  struct cmap__probe probe;
  struct tables_key key;

  one_shard_probe(f, i, &key, &probe);
  return cmap__shard_find(&f->layout, f->shard, &probe, place);
}

bool one_shard_put(struct one_shard *f, uint64_t i, struct cmap__place *place)
{
  struct cmap__key_image image;
  struct cmap__probe probe;
  struct tables_key key;
  uint64_t value = i + 1;

  one_shard_probe(f, i, &key, &probe);
  if (!cmap__shard_vacancy(&f->layout, f->shard, probe.hash, place))
    return false;
  assert_ok(cmap__key_image_init(&f->layout, &probe, &image));
  cmap__shard_put(&f->layout, f->shard, place, false, &image, &value);
  return true;
}

/*
 * The public structs' sizes and members, where pointers have 64 bits: they are
 * part of what a program was compiled with. A struct that begins with `size`
 * may grow at its end; the others stay as they are. Compiling it is the test.
 */
#include <cmap.h>

#define SIZE(type, bytes)                                                      \
  _Static_assert(sizeof(struct type) == (bytes), "size of " #type)
#define AT(type, member, offset)                                               \
  _Static_assert(offsetof(struct type, member) == (offset),                    \
                 "offset of " #type "." #member)

#if __SIZEOF_POINTER__ == 8 && !defined(__ILP32__)

SIZE(cmap_key, 16);
AT(cmap_key, data, 0);
AT(cmap_key, size, 8);

SIZE(cmap_how, 40);
AT(cmap_how, size, 0);
AT(cmap_how, flags, 8);
AT(cmap_how, hash, 16);
AT(cmap_how, deadline_ns, 24);
AT(cmap_how, token, 32);

SIZE(cmap_allocator, 24);
AT(cmap_allocator, alloc, 0);
AT(cmap_allocator, free, 8);
AT(cmap_allocator, ctx, 16);

SIZE(cmap_options, 200);
AT(cmap_options, size, 0);
AT(cmap_options, key_kind, 8);
AT(cmap_options, flags, 12);
AT(cmap_options, key_size, 16);
AT(cmap_options, key_align, 24);
AT(cmap_options, value_size, 32);
AT(cmap_options, value_align, 40);
AT(cmap_options, inline_key_size, 48);
AT(cmap_options, inline_value_size, 56);
AT(cmap_options, capacity, 64);
AT(cmap_options, shard_groups, 72);
AT(cmap_options, shard_bytes, 80);
AT(cmap_options, seed, 88);
AT(cmap_options, key_hash, 104);
AT(cmap_options, key_equal, 112);
AT(cmap_options, key_copy, 120);
AT(cmap_options, key_destroy, 128);
AT(cmap_options, key_ctx, 136);
AT(cmap_options, value_destroy, 144);
AT(cmap_options, value_clone, 152);
AT(cmap_options, value_equal, 160);
AT(cmap_options, value_ctx, 168);
AT(cmap_options, allocator, 176);

SIZE(cmap_store_options, 328);
AT(cmap_store_options, size, 0);
AT(cmap_store_options, keys, 8);
AT(cmap_store_options, flags, 208);
AT(cmap_store_options, negative_ns, 216);
AT(cmap_store_options, max_failures, 224);
AT(cmap_store_options, object_destroy, 232);
AT(cmap_store_options, object_ctx, 240);
AT(cmap_store_options, max_objects, 248);
AT(cmap_store_options, max_cost, 256);
AT(cmap_store_options, cost, 264);
AT(cmap_store_options, ttl_ns, 272);
AT(cmap_store_options, idle_ns, 280);
AT(cmap_store_options, refresh_ns, 288);
AT(cmap_store_options, lifetime, 296);
AT(cmap_store_options, clock, 304);
AT(cmap_store_options, clock_ctx, 312);
AT(cmap_store_options, on_remove, 320);

SIZE(cmap_lifetime, 24);
AT(cmap_lifetime, ttl_ns, 0);
AT(cmap_lifetime, idle_ns, 8);
AT(cmap_lifetime, refresh_ns, 16);

SIZE(cmap_attempts, 12);
AT(cmap_attempts, max, 0);
AT(cmap_attempts, adds, 4);
AT(cmap_attempts, updates, 8);

SIZE(cmap_read_guard, 40);
AT(cmap_read_guard, key, 0);
AT(cmap_read_guard, value, 16);
AT(cmap_read_guard, internal, 24);

SIZE(cmap_write_guard, 40);
AT(cmap_write_guard, key, 0);
AT(cmap_write_guard, value, 16);
AT(cmap_write_guard, internal, 24);

SIZE(cmap_entry, 40);
AT(cmap_entry, key, 0);
AT(cmap_entry, value, 16);
AT(cmap_entry, internal, 24);

SIZE(cmap_want, 32);
AT(cmap_want, map, 0);
AT(cmap_want, key, 8);
AT(cmap_want, mode, 24);
AT(cmap_want, status, 28);

SIZE(cmap_multi, 24);
AT(cmap_multi, count, 0);
AT(cmap_multi, internal, 8);

SIZE(cmap_iter, 40);
AT(cmap_iter, key, 0);
AT(cmap_iter, value, 16);
AT(cmap_iter, internal, 24);

SIZE(cmap_scan_buffer, 64);
AT(cmap_scan_buffer, size, 0);
AT(cmap_scan_buffer, capacity, 8);
AT(cmap_scan_buffer, keys, 16);
AT(cmap_scan_buffer, values, 24);
AT(cmap_scan_buffer, text, 32);
AT(cmap_scan_buffer, text_size, 40);
AT(cmap_scan_buffer, count, 48);
AT(cmap_scan_buffer, text_used, 56);

SIZE(cmap_stats, 136);
AT(cmap_stats, size, 0);
AT(cmap_stats, entries, 8);
AT(cmap_stats, shards, 16);
AT(cmap_stats, slots, 24);
AT(cmap_stats, directory_entries, 32);
AT(cmap_stats, bytes, 40);
AT(cmap_stats, free_bytes, 48);
AT(cmap_stats, longest_probe, 56);
AT(cmap_stats, growths, 64);
AT(cmap_stats, splits, 72);
AT(cmap_stats, merges, 80);
AT(cmap_stats, rebuilds, 88);
AT(cmap_stats, lock_waits, 96);
AT(cmap_stats, lock_parks, 104);
AT(cmap_stats, whole_locks, 112);
AT(cmap_stats, read_retries, 120);
AT(cmap_stats, read_locks, 128);

SIZE(cmap_handle, 24);
AT(cmap_handle, object, 0);
AT(cmap_handle, internal, 8);

SIZE(cmap_store_stats, 160);
AT(cmap_store_stats, size, 0);
AT(cmap_store_stats, objects, 8);
AT(cmap_store_stats, hits, 16);
AT(cmap_store_stats, misses, 24);
AT(cmap_store_stats, running, 32);
AT(cmap_store_stats, waiters, 40);
AT(cmap_store_stats, done, 48);
AT(cmap_store_stats, failed, 56);
AT(cmap_store_stats, abandoned, 64);
AT(cmap_store_stats, overtaken, 72);
AT(cmap_store_stats, build_ns, 80);
AT(cmap_store_stats, remembered, 88);
AT(cmap_store_stats, bytes, 96);
AT(cmap_store_stats, evicted, 104);
AT(cmap_store_stats, expired, 112);
AT(cmap_store_stats, replaced, 120);
AT(cmap_store_stats, removed, 128);
AT(cmap_store_stats, cleared, 136);
AT(cmap_store_stats, too_dear, 144);
AT(cmap_store_stats, cost, 152);

SIZE(cmap_ticket, 16);
AT(cmap_ticket, internal, 0);

#endif

int main(void)
{
  return 0;
}

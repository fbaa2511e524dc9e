/*
 * The benchmark's loops over a C++ map, written once.
 *
 * An adapter wraps its map in a class with small inline members, one for each
 * operation; the templates below put the loops around them, so that map,
 * hash and loop are compiled as one. An operation of the class that is absent
 * is one that the map does not offer. No exception may leave a loop: memory
 * that runs out ends the process, as in the other adapters.
 *
 * The members of an integer map, F being called with the value:
 *   bool get(uint64_t, F)          true if the key is present
 *   void insert(uint64_t key)      value = key, inserted or overwritten
 *   bool remove(uint64_t)          true if it was present
 *   bool update(uint64_t)          adds 1 if present, and says whether it is
 *   void count(uint64_t)           adds 1, or inserts 1
 *   size_t size()
 *   uint64_t get_batch(const uint64_t *, size_t)   sum of values; optional
 *   uint64_t iterate()                             sum of values; optional
 *   uint64_t read_guard(uint64_t), write_guard     the value or 0; optional
 * and of a string map: get, count, size as above with std::string_view, and
 *   uint64_t entry(std::string_view)   inserts 0 if absent; the value
 */
#ifndef CMAP_BENCH_PEERS_LOOPS_HPP
#define CMAP_BENCH_PEERS_LOOPS_HPP

#include "peers.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <new>
#include <string>
#include <string_view>

#include "hash.h"

namespace peers
{

/* The hash of integers as the containers want it; it needs no second mixing
 * (what boost asks by is_avalanching). */
struct IntHash {
  using is_avalanching = void;

  std::size_t operator()(std::uint64_t key) const noexcept
  {
    return peer_hash(key);
  }
};

/* std::hash of strings; looks up a std::string_view without making a string. */
struct StringHash {
  using is_avalanching = void;
  using is_transparent = void;

  std::size_t operator()(std::string_view key) const noexcept
  {
    return std::hash<std::string_view>()(key);
  }
};

template <class Map> void *create(std::size_t) noexcept
{
  return new (std::nothrow) Map();
}

template <class Map> void destroy(void *map) noexcept
{
  delete static_cast<Map *>(map);
}

template <class Map> std::size_t len(void *map) noexcept
{
  return static_cast<Map *>(map)->size();
}

inline std::string_view view(const bench_string &key) noexcept
{
  return {key.data, key.size};
}

template <class Map> std::uint64_t get(void *p, const trace *trace) noexcept
{
  Map &map = *static_cast<Map *>(p);
  std::uint64_t sum = 0;

  for (std::size_t i = 0; i < trace->count; i++)
    map.get(trace->keys[i], [&](std::uint64_t value) { sum += value; });
  return sum;
}

template <class Map> std::uint64_t insert(void *p, const trace *trace) noexcept
{
  Map &map = *static_cast<Map *>(p);

  for (std::size_t i = 0; i < trace->count; i++)
    map.insert(trace->keys[i]);
  return trace->count;
}

template <class Map> std::uint64_t remove(void *p, const trace *trace) noexcept
{
  Map &map = *static_cast<Map *>(p);
  std::uint64_t removed = 0;

  for (std::size_t i = 0; i < trace->count; i++)
    removed += map.remove(trace->keys[i]);
  return removed;
}

template <class Map> std::uint64_t mixed(void *p, const trace *trace) noexcept
{
  Map &map = *static_cast<Map *>(p);
  std::uint64_t hits = 0;

  for (std::size_t i = 0; i < trace->count; i++) {
    std::uint64_t key = trace->keys[i];
    switch (trace->ops[i]) {
    case OP_GET:
      hits += map.get(key, [](std::uint64_t) {});
      break;
    case OP_INSERT:
      map.insert(key);
      break;
    case OP_REMOVE:
      hits += map.remove(key);
      break;
    default:
      hits += map.update(key);
    }
  }
  return hits;
}

template <class Map> std::uint64_t count(void *p, const trace *trace) noexcept
{
  Map &map = *static_cast<Map *>(p);

  for (std::size_t i = 0; i < trace->count; i++)
    map.count(trace->keys[i]);
  return trace->count;
}

template <class Map>
std::uint64_t get_batch(void *p, const trace *trace) noexcept
{
  return static_cast<Map *>(p)->get_batch(trace->keys, trace->count);
}

template <class Map> std::uint64_t iterate(void *p) noexcept
{
  return static_cast<Map *>(p)->iterate();
}

template <class Map>
std::uint64_t read_guard(void *p, const trace *trace) noexcept
{
  Map &map = *static_cast<Map *>(p);
  std::uint64_t sum = 0;

  for (std::size_t i = 0; i < trace->count; i++)
    sum += map.read_guard(trace->keys[i]);
  return sum;
}

template <class Map>
std::uint64_t write_guard(void *p, const trace *trace) noexcept
{
  Map &map = *static_cast<Map *>(p);
  std::uint64_t sum = 0;

  for (std::size_t i = 0; i < trace->count; i++)
    sum += map.write_guard(trace->keys[i]);
  return sum;
}

template <class Map>
std::uint64_t string_get(void *p, const string_trace *trace) noexcept
{
  Map &map = *static_cast<Map *>(p);
  std::uint64_t sum = 0;

  for (std::size_t i = 0; i < trace->count; i++)
    map.get(view(trace->keys[i]), [&](std::uint64_t value) { sum += value; });
  return sum;
}

template <class Map>
std::uint64_t string_count(void *p, const string_trace *trace) noexcept
{
  Map &map = *static_cast<Map *>(p);

  for (std::size_t i = 0; i < trace->count; i++)
    map.count(view(trace->keys[i]));
  return trace->count;
}

template <class Map>
std::uint64_t string_entry(void *p, const string_trace *trace) noexcept
{
  Map &map = *static_cast<Map *>(p);
  std::uint64_t sum = 0;

  for (std::size_t i = 0; i < trace->count; i++)
    sum += map.entry(view(trace->keys[i]));
  return sum;
}

template <class Map>
std::uint64_t string_check_insert(void *p, const string_trace *trace) noexcept
{
  Map &map = *static_cast<Map *>(p);
  std::uint64_t sum = 0;
  auto add = [&](std::uint64_t value) { sum += value; };

  for (std::size_t i = 0; i < trace->count; i++) {
    std::string_view key = view(trace->keys[i]);
    if (!map.get(key, add))
      sum += map.entry(key);
  }
  return sum;
}

/* The tables that an adapter puts into its struct impl. */
template <class Map> constexpr impl_u64 u64_table()
{
  impl_u64 table = {};

  table.create = create<Map>;
  table.destroy = destroy<Map>;
  table.len = len<Map>;
  table.get = get<Map>;
  table.insert = insert<Map>;
  table.remove = remove<Map>;
  table.mixed = mixed<Map>;
  table.count = count<Map>;
  if constexpr (requires(Map & map) { map.get_batch(nullptr, 0); })
    table.get_batch = get_batch<Map>;
  if constexpr (requires(Map & map) { map.iterate(); })
    table.iterate = iterate<Map>;
  if constexpr (requires(Map & map) { map.read_guard(0); })
    table.read_guard = read_guard<Map>;
  if constexpr (requires(Map & map) { map.write_guard(0); })
    table.write_guard = write_guard<Map>;
  return table;
}

template <class Map> constexpr impl_string string_table()
{
  impl_string table = {};

  table.create = create<Map>;
  table.destroy = destroy<Map>;
  table.len = len<Map>;
  table.get = string_get<Map>;
  table.count = string_count<Map>;
  table.entry = string_entry<Map>;
  table.check_insert = string_check_insert<Map>;
  return table;
}

/* What an adapter exports. */
constexpr impl peer(const char *name, const char *title, const char *what,
                    const char *hash, const impl_u64 *u64,
                    const impl_string *string)
{
  impl peer = {};

  peer.name = name;
  peer.title = title;
  peer.what = what;
  peer.hash = hash;
  peer.u64 = u64;
  peer.string = string;
  return peer;
}

} // namespace peers

/* What C++ maps hash with. */
#define PEER_HASHES_NAME PEER_HASH_NAME "; strings: std::hash"

#endif

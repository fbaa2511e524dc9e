/*
 * The loops over C++ maps of all shapes (bench.h), written once.
 *
 * An adapter gives a class template of a map, Map<Key, Value, Hash>, with
 *   bool get(View, F)          F is called with the value if the key is present
 *   void put(View, const Value &)   inserted or overwritten
 *   bool remove(View)
 *   void count(View)           adds 1, or inserts 1; only of numbers
 *   size_t size()
 *   bool read_guard(View, F)   optional: F is called while a guard is held
 * where a View is what a key is looked up by: std::string_view of a
 * std::string, else the key itself. No exception may leave a loop.
 */
#ifndef CMAP_BENCH_PEERS_SHAPES_HPP
#define CMAP_BENCH_PEERS_SHAPES_HPP

#include "loops.hpp"

#include <cstring>
#include <type_traits>

constexpr bool operator==(const bench_fixed16 &a,
                          const bench_fixed16 &b) noexcept
{
  return a.word[0] == b.word[0] && a.word[1] == b.word[1];
}

namespace peers
{

struct Nothing {
};

template <std::size_t n> struct Words {
  std::uint64_t word[n];
};

template <key_class keys> struct KeyOf;
template <> struct KeyOf<KEYS_U64> {
  using Key = std::uint64_t;
  using View = std::uint64_t;
  using Item = std::uint64_t;
};
template <> struct KeyOf<KEYS_U32> {
  using Key = std::uint32_t;
  using View = std::uint32_t;
  using Item = std::uint32_t;
};
template <> struct KeyOf<KEYS_FIXED16> {
  using Key = bench_fixed16;
  using View = const bench_fixed16 &;
  using Item = bench_fixed16;
};
template <> struct KeyOf<KEYS_STRING> {
  using Key = std::string;
  using View = std::string_view;
  using Item = bench_string;
};

template <std::size_t size>
using ValueOf = std::conditional_t<
    size == 0, Nothing,
    std::conditional_t<
        size == 4, std::uint32_t,
        std::conditional_t<size == 8, std::uint64_t, Words<(size + 7) / 8>>>>;

struct ShapeHash {
  using is_avalanching = void;
  using is_transparent = void;

  std::size_t operator()(std::uint64_t key) const noexcept
  {
    return peer_hash(key);
  }
  std::size_t operator()(const bench_fixed16 &key) const noexcept
  {
    return peer_hash(peer_hash(key.word[0]) ^ key.word[1]);
  }
  std::size_t operator()(std::string_view key) const noexcept
  {
    return std::hash<std::string_view>()(key);
  }
};

inline std::uint64_t word_of_key(std::uint64_t key) noexcept
{
  return key;
}
inline std::uint64_t word_of_key(const bench_fixed16 &key) noexcept
{
  return key.word[0];
}
inline std::uint64_t word_of_key(std::string_view key) noexcept
{
  std::uint64_t word;
  std::memcpy(&word, key.data() + key.size() - sizeof word, sizeof word);
  return word;
}

template <class Value> Value value_of(std::uint64_t word) noexcept
{
  Value value{};
  if constexpr (std::is_integral_v<Value>)
    value = static_cast<Value>(word);
  else if constexpr (!std::is_same_v<Value, Nothing>)
    for (auto &each : value.word)
      each = word;
  return value;
}

template <class Value> std::uint64_t word_of(const Value &value) noexcept
{
  if constexpr (std::is_same_v<Value, Nothing>)
    return 1;
  else if constexpr (std::is_integral_v<Value>)
    return value;
  else
    return value.word[0];
}

/* Copies all of the value out, as cmap_get does, although one word is used. */
template <class Value> std::uint64_t copy_out(const Value &value) noexcept
{
  Value copy = value;
  if constexpr (sizeof copy > sizeof(std::uint64_t))
    __asm__ volatile("" : : "r"(&copy) : "memory");
  return word_of(copy);
}

template <key_class keys>
typename KeyOf<keys>::View key_at(const trace *trace, std::size_t i) noexcept
{
  const void *all = trace->keys;
  const auto &item = static_cast<const typename KeyOf<keys>::Item *>(all)[i];
  if constexpr (keys == KEYS_STRING)
    return {item.data, item.size};
  else
    return item;
}

template <class Map, key_class keys, class Value> struct ShapeLoops {
  static std::uint64_t get(void *p, const trace *trace) noexcept
  {
    Map &map = *static_cast<Map *>(p);
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < trace->count; i++)
      map.get(key_at<keys>(trace, i),
              [&](const Value &value) { sum += copy_out(value); });
    return sum;
  }

  static std::uint64_t insert(void *p, const trace *trace) noexcept
  {
    Map &map = *static_cast<Map *>(p);
    for (std::size_t i = 0; i < trace->count; i++) {
      decltype(auto) key = key_at<keys>(trace, i);
      map.put(key, value_of<Value>(word_of_key(key)));
    }
    return trace->count;
  }

  static std::uint64_t remove(void *p, const trace *trace) noexcept
  {
    Map &map = *static_cast<Map *>(p);
    std::uint64_t removed = 0;
    for (std::size_t i = 0; i < trace->count; i++)
      removed += map.remove(key_at<keys>(trace, i));
    return removed;
  }

  static std::uint64_t count(void *p, const trace *trace) noexcept
  {
    Map &map = *static_cast<Map *>(p);
    for (std::size_t i = 0; i < trace->count; i++)
      map.count(key_at<keys>(trace, i));
    return trace->count;
  }

  static std::uint64_t read_guard(void *p, const trace *trace) noexcept
  {
    Map &map = *static_cast<Map *>(p);
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < trace->count; i++)
      map.read_guard(key_at<keys>(trace, i),
                     [&](const Value &value) { sum += word_of(value); });
    return sum;
  }
};

template <template <class, class, class> class MapOf, key_class keys,
          std::size_t value_size>
constexpr impl_u64 shape_table()
{
  using Key = typename KeyOf<keys>::Key;
  using Value = ValueOf<value_size>;
  using Map = MapOf<Key, Value, ShapeHash>;
  using Loops = ShapeLoops<Map, keys, Value>;
  impl_u64 table = {};

  table.create = create<Map>;
  table.destroy = destroy<Map>;
  table.len = len<Map>;
  table.get = Loops::get;
  table.insert = Loops::insert;
  table.remove = Loops::remove;
  if constexpr (std::is_integral_v<Value>)
    table.count = Loops::count;
  if constexpr (requires(Map & map, typename KeyOf<keys>::View key) {
                  map.read_guard(key, [](const Value &) {});
                })
    table.read_guard = Loops::read_guard;
  return table;
}

template <template <class, class, class> class MapOf> struct Shapes {
#define SHAPE_TABLE(id, keys, key_size, value_size)                            \
  static constexpr impl_u64 id = shape_table<MapOf, KEYS_##keys, value_size>();
  BENCH_SHAPES(SHAPE_TABLE)
#undef SHAPE_TABLE
#define SHAPE_ADDRESS(id, keys, key_size, value_size) &id,
  static constexpr const impl_u64 *tables[] = {BENCH_SHAPES(SHAPE_ADDRESS)};
#undef SHAPE_ADDRESS
};

/* The same map, with those tables. */
template <template <class, class, class> class MapOf>
constexpr impl with_shapes(impl peer)
{
  peer.shapes = Shapes<MapOf>::tables;
  return peer;
}

} // namespace peers

#endif

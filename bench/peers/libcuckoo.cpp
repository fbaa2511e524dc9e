/*
 * libcuckoo's cuckoohash_map: a flat table of buckets of 4 slots, two buckets
 * for each key, and striped spin locks that readers take, too.
 */
#include "shapes.hpp"

#include <functional>
#include <string>
#include <string_view>

#include <libcuckoo/cuckoohash_map.hh>

namespace
{

class IntMap
{
  libcuckoo::cuckoohash_map<std::uint64_t, std::uint64_t, peers::IntHash> table;

public:
  template <class F> bool get(std::uint64_t key, F f)
  {
    return table.find_fn(key, f);
  }

  void insert(std::uint64_t key)
  {
    table.insert_or_assign(key, key);
  }

  bool remove(std::uint64_t key)
  {
    return table.erase(key);
  }

  bool update(std::uint64_t key)
  {
    return table.update_fn(key, [](std::uint64_t &value) { value++; });
  }

  void count(std::uint64_t key)
  {
    table.upsert(
        key, [](std::uint64_t &value) { value++; }, 1U);
  }

  std::size_t size() const
  {
    return table.size();
  }

  /* The table's own way to iterate: all its locks are held meanwhile. */
  std::uint64_t iterate()
  {
    std::uint64_t sum = 0;
    auto locked = table.lock_table();
    for (const auto &entry : locked)
      sum += entry.second;
    return sum;
  }
};

class StringMap
{
  libcuckoo::cuckoohash_map<std::string, std::uint64_t, peers::StringHash,
                            std::equal_to<>>
      table;

public:
  template <class F> bool get(std::string_view key, F f)
  {
    return table.find_fn(key, f);
  }

  void count(std::string_view key)
  {
    table.upsert(
        key, [](std::uint64_t &value) { value++; }, 1U);
  }

  std::uint64_t entry(std::string_view key)
  {
    std::uint64_t present = 0;
    table.upsert(
        key, [&](std::uint64_t &value) { present = value; }, 0U);
    return present;
  }

  std::size_t size() const
  {
    return table.size();
  }
};

template <class Key, class Value, class Hash> class ShapeMap
{
  libcuckoo::cuckoohash_map<Key, Value, Hash, std::equal_to<>> table;

public:
  template <class View, class F> bool get(const View &key, F f)
  {
    return table.find_fn(key, f);
  }

  template <class View> void put(const View &key, const Value &value)
  {
    table.insert_or_assign(key, value);
  }

  template <class View> bool remove(const View &key)
  {
    return table.erase(key);
  }

  template <class View> void count(const View &key)
  {
    table.upsert(
        key, [](Value &value) { value++; }, 1U);
  }

  std::size_t size() const
  {
    return table.size();
  }
};

constexpr impl_u64 u64 = peers::u64_table<IntMap>();
constexpr impl_string string = peers::string_table<StringMap>();

} // namespace

constinit const struct impl bench_impl_libcuckoo =
    peers::with_shapes<ShapeMap>(peers::peer(
        "libcuckoo", "libcuckoo", "cuckoohash_map of libcuckoo " PEER_VERSION,
        PEER_HASHES_NAME, &u64, &string));

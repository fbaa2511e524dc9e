/*
 * boost::concurrent_flat_map: an open-addressing table of groups of 15 slots
 * with a reader-writer spin lock per group. It has no iterators; functions
 * visit the elements under their group's lock.
 */
#include "shapes.hpp"

#include <algorithm>
#include <functional>
#include <string>
#include <string_view>

#include <boost/unordered/concurrent_flat_map.hpp>
#include <boost/version.hpp>

namespace
{

class IntMap
{
  using Table =
      boost::concurrent_flat_map<std::uint64_t, std::uint64_t, peers::IntHash>;
  Table table;

public:
  template <class F> bool get(std::uint64_t key, F f)
  {
    return table.cvisit(key, [&](const auto &entry) { f(entry.second); }) != 0;
  }

  void insert(std::uint64_t key)
  {
    table.insert_or_assign(key, key);
  }

  bool remove(std::uint64_t key)
  {
    return table.erase(key) != 0;
  }

  bool update(std::uint64_t key)
  {
    return table.visit(key, [](auto &entry) { entry.second++; }) != 0;
  }

  void count(std::uint64_t key)
  {
    table.try_emplace_or_visit(key, 1U, [](auto &entry) { entry.second++; });
  }

  std::size_t size() const
  {
    return table.size();
  }

#if BOOST_VERSION >= 108400 /* bulk visits came with 1.84 */
  std::uint64_t get_batch(const std::uint64_t *keys, std::size_t n)
  {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < n; i += Table::bulk_visit_size) {
      std::size_t end = std::min(n, i + Table::bulk_visit_size);
      table.cvisit(keys + i, keys + end,
                   [&](const auto &entry) { sum += entry.second; });
    }
    return sum;
  }
#endif

  std::uint64_t iterate()
  {
    std::uint64_t sum = 0;
    table.cvisit_all([&](const auto &entry) { sum += entry.second; });
    return sum;
  }
};

class StringMap
{
  boost::concurrent_flat_map<std::string, std::uint64_t, peers::StringHash,
                             std::equal_to<>>
      table;

public:
  template <class F> bool get(std::string_view key, F f)
  {
    return table.cvisit(key, [&](const auto &entry) { f(entry.second); }) != 0;
  }

  void count(std::string_view key)
  {
    table.try_emplace_or_visit(key, 1U, [](auto &entry) { entry.second++; });
  }

  std::uint64_t entry(std::string_view key)
  {
    std::uint64_t present = 0;
    table.try_emplace_or_cvisit(
        key, 0U, [&](const auto &entry) { present = entry.second; });
    return present;
  }

  std::size_t size() const
  {
    return table.size();
  }
};

template <class Key, class Value, class Hash> class ShapeMap
{
  boost::concurrent_flat_map<Key, Value, Hash, std::equal_to<>> table;

public:
  template <class View, class F> bool get(const View &key, F f)
  {
    return table.cvisit(key, [&](const auto &entry) { f(entry.second); }) != 0;
  }

  template <class View> void put(const View &key, const Value &value)
  {
    table.insert_or_assign(Key(key), value);
  }

  template <class View> bool remove(const View &key)
  {
    return table.erase(key) != 0;
  }

  template <class View> void count(const View &key)
  {
    table.try_emplace_or_visit(Key(key), 1U,
                               [](auto &entry) { entry.second++; });
  }

  std::size_t size() const
  {
    return table.size();
  }
};

constexpr impl_u64 u64 = peers::u64_table<IntMap>();
constexpr impl_string string = peers::string_table<StringMap>();

} // namespace

constinit const struct impl bench_impl_boost = peers::with_shapes<ShapeMap>(
    peers::peer("boost", "Boost concurrent_flat_map",
                "boost::concurrent_flat_map " PEER_VERSION, PEER_HASHES_NAME,
                &u64, &string));

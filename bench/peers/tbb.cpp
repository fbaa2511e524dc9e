/*
 * oneTBB's concurrent_hash_map: a chained table with a reader-writer spin lock
 * per bucket and per element. Every access but the plain insert and erase goes
 * through an accessor, which holds the element's lock. Its nodes come from
 * TBB's scalable allocator if libtbbmalloc is installed.
 */
#include "shapes.hpp"

#include <string>
#include <string_view>

#include <tbb/concurrent_hash_map.h>
#include <tbb/version.h>

namespace
{

struct IntCompare {
  std::size_t hash(std::uint64_t key) const noexcept
  {
    return peer_hash(key);
  }
  bool equal(std::uint64_t a, std::uint64_t b) const noexcept
  {
    return a == b;
  }
};

struct StringCompare {
  using is_transparent = void;

  std::size_t hash(std::string_view key) const noexcept
  {
    return peers::StringHash()(key);
  }
  bool equal(std::string_view a, std::string_view b) const noexcept
  {
    return a == b;
  }
};

class IntMap
{
  using Table =
      tbb::concurrent_hash_map<std::uint64_t, std::uint64_t, IntCompare>;
  Table table;

public:
  template <class F> bool get(std::uint64_t key, F f)
  {
    Table::const_accessor at;
    if (!table.find(at, key))
      return false;
    f(at->second);
    return true;
  }

  void insert(std::uint64_t key)
  {
    Table::accessor at;
    if (!table.insert(at, Table::value_type(key, key)))
      at->second = key;
  }

  bool remove(std::uint64_t key)
  {
    return table.erase(key);
  }

  bool update(std::uint64_t key)
  {
    Table::accessor at;
    if (!table.find(at, key))
      return false;
    at->second++;
    return true;
  }

  void count(std::uint64_t key)
  {
    Table::accessor at;
    table.insert(at, key); /* a new value is 0 */
    at->second++;
  }

  std::size_t size() const
  {
    return table.size();
  }

  std::uint64_t read_guard(std::uint64_t key)
  {
    Table::const_accessor at;
    return table.find(at, key) ? at->second : 0;
  }

  std::uint64_t write_guard(std::uint64_t key)
  {
    Table::accessor at;
    return table.find(at, key) ? at->second : 0;
  }
};

class StringMap
{
  using Table =
      tbb::concurrent_hash_map<std::string, std::uint64_t, StringCompare>;
  Table table;

public:
  template <class F> bool get(std::string_view key, F f)
  {
    Table::const_accessor at;
    if (!table.find(at, key))
      return false;
    f(at->second);
    return true;
  }

  void count(std::string_view key)
  {
    Table::accessor at;
    table.insert(at, key);
    at->second++;
  }

  std::uint64_t entry(std::string_view key)
  {
    Table::const_accessor at; /* no need to write to a value that is there */
    table.insert(at, key);
    return at->second;
  }

  std::size_t size() const
  {
    return table.size();
  }
};

template <class Hash> struct ShapeCompare {
  using is_transparent = void;

  template <class K> std::size_t hash(const K &key) const noexcept
  {
    return Hash()(key);
  }
  template <class A, class B> bool equal(const A &a, const B &b) const noexcept
  {
    return a == b;
  }
};

template <class Key, class Value, class Hash> class ShapeMap
{
  using Table = tbb::concurrent_hash_map<Key, Value, ShapeCompare<Hash>>;
  Table table;

public:
  template <class View, class F> bool get(const View &key, F f)
  {
    typename Table::const_accessor at;
    if (!table.find(at, key))
      return false;
    f(at->second);
    return true;
  }

  template <class View> void put(const View &key, const Value &value)
  {
    typename Table::accessor at;
    table.insert(at, key);
    at->second = value;
  }

  template <class View> bool remove(const View &key)
  {
    return table.erase(key);
  }

  template <class View> void count(const View &key)
  {
    typename Table::accessor at;
    table.insert(at, key); /* a new value is 0 */
    at->second++;
  }

  std::size_t size() const
  {
    return table.size();
  }

  template <class View, class F> bool read_guard(const View &key, F f)
  {
    return get(key, f);
  }
};

constexpr impl_u64 u64 = peers::u64_table<IntMap>();
constexpr impl_string string = peers::string_table<StringMap>();

} // namespace

constinit const struct impl bench_impl_tbb = peers::with_shapes<ShapeMap>(
    peers::peer("tbb", "oneTBB concurrent_hash_map",
                "concurrent_hash_map of oneTBB " TBB_VERSION_STRING,
                PEER_HASHES_NAME, &u64, &string));

/*
 * What people write themselves: 64 stripes, each a std::unordered_map under
 * one pthread_rwlock_t, chosen by the hash's top bits. A string is hashed once
 * for both.
 */
#include "shapes.hpp"

#include <string>
#include <string_view>
#include <unordered_map>

#include <pthread.h>

namespace
{

constexpr unsigned stripe_bits = 6;

class ReadLock
{
  pthread_rwlock_t &lock;

public:
  explicit ReadLock(pthread_rwlock_t &which) : lock(which)
  {
    pthread_rwlock_rdlock(&lock);
  }
  ~ReadLock()
  {
    pthread_rwlock_unlock(&lock);
  }
};

class WriteLock
{
  pthread_rwlock_t &lock;

public:
  explicit WriteLock(pthread_rwlock_t &which) : lock(which)
  {
    pthread_rwlock_wrlock(&lock);
  }
  ~WriteLock()
  {
    pthread_rwlock_unlock(&lock);
  }
};

/* A stripe has its cache lines for itself. */
template <class Map> struct alignas(64) Stripe {
  mutable pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
  Map map;
};

template <class Map> class Stripes
{
  Stripe<Map> stripes[1U << stripe_bits];

public:
  Stripe<Map> &at(std::size_t hash)
  {
    return stripes[hash >> (64 - stripe_bits)];
  }

  std::size_t size() const
  {
    std::size_t n = 0;
    for (const Stripe<Map> &stripe : stripes) {
      ReadLock hold(stripe.lock);
      n += stripe.map.size();
    }
    return n;
  }

  std::uint64_t sum() const
  {
    std::uint64_t sum = 0;
    for (const Stripe<Map> &stripe : stripes) {
      ReadLock hold(stripe.lock);
      for (const auto &entry : stripe.map)
        sum += entry.second;
    }
    return sum;
  }
};

class IntMap
{
  using Table =
      std::unordered_map<std::uint64_t, std::uint64_t, peers::IntHash>;
  Stripes<Table> stripes;

public:
  template <class F> bool get(std::uint64_t key, F f)
  {
    auto &stripe = stripes.at(peer_hash(key));
    ReadLock hold(stripe.lock);
    auto found = stripe.map.find(key);
    if (found == stripe.map.end())
      return false;
    f(found->second);
    return true;
  }

  void insert(std::uint64_t key)
  {
    auto &stripe = stripes.at(peer_hash(key));
    WriteLock hold(stripe.lock);
    stripe.map.insert_or_assign(key, key);
  }

  bool remove(std::uint64_t key)
  {
    auto &stripe = stripes.at(peer_hash(key));
    WriteLock hold(stripe.lock);
    return stripe.map.erase(key) != 0;
  }

  bool update(std::uint64_t key)
  {
    auto &stripe = stripes.at(peer_hash(key));
    WriteLock hold(stripe.lock);
    auto found = stripe.map.find(key);
    if (found == stripe.map.end())
      return false;
    found->second++;
    return true;
  }

  void count(std::uint64_t key)
  {
    auto &stripe = stripes.at(peer_hash(key));
    WriteLock hold(stripe.lock);
    stripe.map[key]++;
  }

  std::size_t size() const
  {
    return stripes.size();
  }

  std::uint64_t iterate()
  {
    return stripes.sum();
  }
};

/* A key to look up, with the hash that chose its stripe. */
struct HashedView {
  std::string_view text;
  std::size_t hash;
};

/* Not noexcept, for which libstdc++ keeps the hash in each node. */
struct HashOf {
  using is_transparent = void;

  std::size_t operator()(const std::string &key) const
  {
    return peers::StringHash()(key);
  }
  std::size_t operator()(const HashedView &key) const
  {
    return key.hash;
  }
};

struct SameText {
  using is_transparent = void;

  bool operator()(const std::string &a, const std::string &b) const
  {
    return a == b;
  }
  bool operator()(const HashedView &a, const std::string &b) const
  {
    return a.text == b;
  }
  bool operator()(const std::string &a, const HashedView &b) const
  {
    return a == b.text;
  }
};

class StringMap
{
  using Table =
      std::unordered_map<std::string, std::uint64_t, HashOf, SameText>;
  Stripes<Table> stripes;

  static HashedView hashed(std::string_view key)
  {
    return {key, peers::StringHash()(key)};
  }

  /* The value of the key, new ones being 0. Only a new key is made a string,
   * for which the map is searched a second time. */
  template <class F> std::uint64_t with_entry(std::string_view text, F f)
  {
    HashedView key = hashed(text);
    auto &stripe = stripes.at(key.hash);
    WriteLock hold(stripe.lock);
    auto found = stripe.map.find(key);
    if (found == stripe.map.end())
      found = stripe.map.try_emplace(std::string(text), 0U).first;
    return f(found->second);
  }

public:
  template <class F> bool get(std::string_view text, F f)
  {
    HashedView key = hashed(text);
    auto &stripe = stripes.at(key.hash);
    ReadLock hold(stripe.lock);
    auto found = stripe.map.find(key);
    if (found == stripe.map.end())
      return false;
    f(found->second);
    return true;
  }

  void count(std::string_view text)
  {
    with_entry(text, [](std::uint64_t &value) { return value++; });
  }

  std::uint64_t entry(std::string_view text)
  {
    return with_entry(text, [](std::uint64_t &value) { return value; });
  }

  std::size_t size() const
  {
    return stripes.size();
  }
};

template <class Key, class Value, class Hash> class ShapeMap
{
  using Table = std::unordered_map<Key, Value, Hash, std::equal_to<>>;
  Stripes<Table> stripes;

  template <class View> Stripe<Table> &at(const View &key)
  {
    return stripes.at(Hash()(key));
  }

public:
  template <class View, class F> bool get(const View &key, F f)
  {
    auto &stripe = at(key);
    ReadLock hold(stripe.lock);
    auto found = stripe.map.find(key);
    if (found == stripe.map.end())
      return false;
    f(found->second);
    return true;
  }

  template <class View> void put(const View &key, const Value &value)
  {
    auto &stripe = at(key);
    WriteLock hold(stripe.lock);
    auto found = stripe.map.find(key);
    if (found == stripe.map.end())
      stripe.map.emplace(key, value);
    else
      found->second = value;
  }

  template <class View> bool remove(const View &key)
  {
    auto &stripe = at(key);
    WriteLock hold(stripe.lock);
    auto found = stripe.map.find(key);
    if (found == stripe.map.end())
      return false;
    stripe.map.erase(found);
    return true;
  }

  template <class View> void count(const View &key)
  {
    auto &stripe = at(key);
    WriteLock hold(stripe.lock);
    auto found = stripe.map.find(key);
    if (found == stripe.map.end())
      stripe.map.emplace(key, 1U);
    else
      found->second++;
  }

  std::size_t size() const
  {
    return stripes.size();
  }

  template <class View, class F> bool read_guard(const View &key, F f)
  {
    return get(key, f);
  }
};

constexpr impl_u64 u64 = peers::u64_table<IntMap>();
constexpr impl_string string = peers::string_table<StringMap>();

} // namespace

constinit const struct impl bench_impl_stripes =
    peers::with_shapes<ShapeMap>(peers::peer(
        "stripes", "64 std::unordered_maps, each locked",
        "64 x std::unordered_map under a pthread_rwlock_t, " PEER_VERSION,
        PEER_HASHES_NAME, &u64, &string));

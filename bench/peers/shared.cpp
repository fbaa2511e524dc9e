/*
 * What people write themselves for shared objects: 64 stripes, each a
 * std::unordered_map of std::shared_ptr under one std::mutex, which is held
 * while a missing object is built.
 */
#include "bench.h"
#include "peers.h"
#include "hash.h"

#include <chrono>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <new>
#include <thread>
#include <unordered_map>

namespace
{

constexpr unsigned stripe_bits = 6;

using Object = std::shared_ptr<const std::uint64_t>;

class Shared
{
  struct alignas(64) Stripe {
    std::mutex mutex;
    std::unordered_map<std::uint64_t, Object> objects;
  };
  Stripe stripes[1U << stripe_bits];

  Stripe &at(std::uint64_t key)
  {
    return stripes[peer_hash(key) >> (64 - stripe_bits)];
  }

public:
  Object get(std::uint64_t key)
  {
    Stripe &stripe = at(key);
    std::lock_guard<std::mutex> hold(stripe.mutex);
    auto found = stripe.objects.find(key);
    return found == stripe.objects.end() ? Object() : found->second;
  }

  template <class Build> Object get_or_create(std::uint64_t key, Build build)
  {
    Stripe &stripe = at(key);
    std::lock_guard<std::mutex> hold(stripe.mutex);
    Object &object = stripe.objects[key];
    if (!object)
      object = build(key);
    return object;
  }

  std::size_t size()
  {
    std::size_t n = 0;
    for (Stripe &stripe : stripes) {
      std::lock_guard<std::mutex> hold(stripe.mutex);
      n += stripe.objects.size();
    }
    return n;
  }
};

Object object_of(std::uint64_t key)
{
  return std::make_shared<const std::uint64_t>(key | 1);
}

void *create(std::size_t) noexcept
{
  return new (std::nothrow) Shared();
}

void destroy(void *map) noexcept
{
  delete static_cast<Shared *>(map);
}

std::size_t len(void *map) noexcept
{
  return static_cast<Shared *>(map)->size();
}

std::uint64_t get(void *map, const struct trace *trace) noexcept
{
  std::uint64_t sum = 0;

  for (std::size_t i = 0; i < trace->count; i++)
    if (Object object = static_cast<Shared *>(map)->get(trace->keys[i]))
      sum += *object;
  return sum;
}

std::uint64_t insert(void *map, const struct trace *trace) noexcept
{
  for (std::size_t i = 0; i < trace->count; i++)
    static_cast<Shared *>(map)->get_or_create(trace->keys[i], object_of);
  return trace->count;
}

std::uint64_t share(void *map, const struct trace *trace) noexcept
{
  std::uint64_t sum = 0;

  for (std::size_t i = 0; i < trace->count; i++)
    sum += *static_cast<Shared *>(map)->get_or_create(
        trace->keys[i], [](std::uint64_t key) {
          std::this_thread::sleep_for(std::chrono::nanoseconds(BENCH_BUILD_NS));
          return object_of(key);
        });
  return sum;
}

constexpr impl_u64 make_table()
{
  impl_u64 table = {};
  table.create = create;
  table.destroy = destroy;
  table.len = len;
  table.get = get;
  table.insert = insert;
  table.share = share;
  return table;
}

constexpr impl_u64 u64 = make_table();

constexpr impl make_impl()
{
  impl made = {};
  made.name = "shared";
  made.title = "64 std::unordered_maps of shared_ptr, each locked";
  made.what = "64 x std::unordered_map of shared_ptr under a std::mutex, "
              "built under it, " PEER_VERSION;
  made.hash = PEER_HASH_NAME;
  made.u64 = &u64;
  made.shares_only = true;
  made.role = ROLE_PEER;
  return made;
}

} // namespace

constinit const struct impl bench_impl_shared = make_impl();

/*
 * libcmap - an embeddable concurrent hash map for C.
 *
 * SPDX-FileCopyrightText: 2026 The libcmap authors
 * SPDX-License-Identifier: MIT
 *
 * This is the only header of the library, and the whole of its contract.
 *
 *   1. Rules that hold for every call     10. Entries
 *   2. Status codes                       11. Several keys at once
 *   3. Keys, `how`, callbacks             12. The whole map
 *   4. Options                            13. Iterators and scans
 *   5. Create and destroy                 14. Batches
 *   6. Reading                            15. Seeing inside
 *   7. Writing                            16. The store: get or create
 *   8. Read-modify-write                  17. The typed layer (CMAP_DEFINE)
 *   9. Guards; deadlock
 *
 * -------------------------------------------------------------------------
 * 1. Rules that hold for every call
 * -------------------------------------------------------------------------
 *
 * Status. Every call that can fail returns enum cmap_status, and must be
 * checked where the compiler says so (cmap_ignore). CMAP_OK is 0, the library's
 * other codes are negative, and values above 0 belong to the user: a callback
 * may return one, and it comes out of the call unchanged. Unless a call says
 * otherwise, whatever is not CMAP_OK has changed nothing, and its outputs are
 * untouched, but for what was to hold something, which is empty then: a new
 * map, store or snapshot is NULL, and a guard, entry, iterator, hold, handle or
 * ticket is CMAP_INIT (what was in it before is not released). The library
 * never aborts, exits or prints.
 *
 * Checked misuse. A NULL map, key or required pointer, a key size that does
 *   not fit the key kind, an unknown option, flag or enum value and a wrong
 *   `size` field are CMAP_EINVAL. A program that was compiled
 *   with an older header says a smaller `size`: what it does not know has its
 *   default, and of an answer it is given what it knows. `size` is wrong if no
 *   header had it; or where a struct goes in, if it is more than the library's
 *   and what lies behind is not zero; so never set it to more than there is.
 * Wild pointers, a destroyed map, copies of a handle or a ticket that are used
 * after the first was given up, and a callback that leaves by longjmp or a C++
 *   exception cannot be checked.
 *
 * Outputs. An output that a call is of use without may be NULL: a copied,
 *   replaced or removed value (`value`, `old`, `present`, `before`), `event`,
 *   `removed`, `broken`, `attempts`, and the handle of cmap_store_put and
 *   cmap_store_refresh. What a call is there for may not, and is CMAP_EINVAL: a
 *   new map, store or snapshot, what holds something (guards, entries,
 *   iterators, handles, tickets), an answer (a hash, a length, `equal`, a
 *   cursor), and a value that also goes in.
 *
 * Threads. Every call on a map may be made from any number of threads at
 *   once, except cmap_destroy, which must be the last. No thread registers.
 *
 * Fork. The child has only the thread that called fork; what that thread holds
 *   it holds in both processes. The child may use
 *     - maps and stores that it creates,
 *     - those of which no other thread held anything, or was in a call,
 *     - maps that the thread had all in its hands: cmap_fork_begin (section
 *       12). Any number of other threads may use them, and go on in the parent.
 *   All others it must leave alone, not even destroy: what another thread was
 *   about to do is half done there, and its locks are never released. Memory
 *   that other threads had in hand is lost to the child. A child that calls
 *   nothing but exec or _exit needs nothing. After vfork, _Fork or the bare
 *   system call the child must not use the library. Allocators must be ready
 *   for fork themselves; libc's and jemalloc's are.
 *
 * Signals. A handler may call cmap_get and cmap_contains, with CMAP_TRY, on a
 *   map and a key whose reads are lock-free (Locks), and nothing else; and only
 *   if the library was built with CMAP_LOCK=futex. The interrupted thread may
 *   be in any call on other maps; of this map, in calls on one key without a
 *   callback, and hold nothing: it blocks the signal around all others.
 *   CMAP_BUSY: somebody, maybe the interrupted thread, is just writing there.
 *
 * Cancellation. While a thread's cancellation is asynchronous
 *   (PTHREAD_CANCEL_ASYNCHRONOUS) it may call nothing of the library.
 *
 * Ownership. Keys are copied in. Values are moved in as bytes: once a call
 *   that stores a value has returned CMAP_OK the map owns what the value
 *   points to and releases it with value_destroy. A value that comes out
 *   is the caller's own: removed and replaced values are moved out (when an
 *   output is given; else they are destroyed), values that stay in the map are
 *   copied, by value_clone if there is one. A map with value_destroy but
 *   without value_clone cannot copy values out: such a call is CMAP_ENOTSUP;
 *   look at the value in place instead (cmap_view).
 *   Keys, values and what they hold may move in memory by memcpy.
 *   Destructors run after the lock is released, and may call the library.
 *
 * Locks. The map is divided into shards by the hash of the key; each has one
 *   reader/writer lock. Which keys share a shard is not visible and changes:
 *   "another key" may always live in the shard that is locked. Each call names
 *   the lock it takes: "none", "read" or "write". Plain reads take none, and
 *   write no shared memory; they are called lock-free below. A read lock, of a
 *   guard or a view, is a note in the thread's own memory where nobody writes.
 *   The next writer asks all threads for theirs, which takes some microseconds
 *   (membarrier(2)), also if it only tries; and a thread that lets go of a read
 *   lock meanwhile waits until that is done. Custom keys,
 *   values with value_clone, and keys and values beyond 8 KiB are read under
 *   the read lock; so are others when writers keep changing the same 11 entries
 *   during the read.
 *
 * Callbacks. A callback that is called under a lock may read any map. It may
 *   write to other maps; to write to its own map is CMAP_EDEADLK if the key
 *   lives in the locked shard and works if not, so do not. What may be called
 *   under which lock is the table of section 9. If the thread ends inside a
 *   callback, the shard is given up ("Ended threads" in section 9).
 *   key_hash, key_equal, key_copy, value_equal and value_clone must not call
 *   the library, nor may an allocator, which must not end the thread either.
 *
 * Waiting. Readers and writers wait for a lock in no fixed order; neither can
 *   starve the other. Every call that may wait takes `how` (section 3).
 *   No call waits for a table to be rebuilt: only one shard, a few hundred
 *   entries, is ever locked for growing. A wait that would never end is
 *   refused with CMAP_EDEADLK (section 9).
 *
 * Copies. A program and the libraries in it may each have a copy of this
 *   library inside (libcmap.a). What one copy has made, maps, guards, handles
 *   and all else, may be given to that copy only. What a thread waits for and
 *   holds in another copy is not seen (section 9).
 *
 * Ordering guarantees.
 *   A.1  Calls on one key are linearizable: each takes effect at one moment
 *        between its begin and its return.
 *   A.2  All that a thread did before a write happens before everything that
 *        another thread does after a call that saw that write; also if the
 *        call returned no more than a number that the write has changed
 *        (cmap_len, cmap_is_empty, cmap_get_stats ...). A call that only had
 *        to wait for the write, or was refused because of it (CMAP_BUSY,
 *        CMAP_TIMEDOUT, CMAP_EDEADLK), has not seen it.
 *   A.3  A call that writes returns only after a full memory barrier: if one
 *        thread inserts x and then gets y while another inserts y and
 *        then gets x, at least one of them finds the other's key.
 *   A.4  Two threads that only read may see writes of two other threads to
 *        two different keys in different orders on processors that allow it
 *        (not on x86 or ARMv8).
 *   B.1  Calls on the whole map, iterators and scans visit one shard at a time
 *        and are not one moment, except cmap_len_exact and
 *        cmap_snapshot_create. For each entry that they show, A.1 and A.2
 *        hold.
 *   B.2  A batch is as many calls on one key, made in the order of the
 *        index; A.1 to A.4 hold for each of them.
 *
 * Memory. When memory runs out, the call returns CMAP_ENOMEM and the map is
 *   as it was. Removing, reading and cmap_clear never need memory to succeed
 *   for plain values.
 */
#ifndef LIBCMAP_H
#define LIBCMAP_H

#if !defined(__cplusplus) && __STDC_VERSION__ < 201112L
#  error "cmap.h needs C11 (-std=c11, -std=gnu11 or later)"
#endif

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
#  include <exception>
extern "C" {
#endif

#define CMAP_VERSION_MAJOR 0
#define CMAP_VERSION_MINOR 1
#define CMAP_VERSION_PATCH 0
/* One number that grows: of this header, to be compared with cmap_version(). */
#define CMAP_VERSION                                                           \
  (CMAP_VERSION_MAJOR * 1000000 + CMAP_VERSION_MINOR * 1000 +                  \
   CMAP_VERSION_PATCH)

#if defined(__GNUC__)
/* To compile the library into a program or library of yours define CMAP_HIDDEN:
   its functions stay in there, and do not mix with another copy's. */
#  ifdef CMAP_HIDDEN
#    define CMAP_API __attribute__((visibility("hidden")))
#  else
#    define CMAP_API __attribute__((visibility("default")))
#  endif
#  define CMAP_MUST_CHECK __attribute__((warn_unused_result))
/* The linker's name: corosync's libcmap exports cmap_get and others. */
#  define CMAP__STR2(x)   #  x
#  define CMAP__STR(x)    CMAP__STR2(x)
#  define CMAP_SYMBOL(name)                                                    \
    __asm__(CMAP__STR(__USER_LABEL_PREFIX__) "libcmap_" #name)
#else
#  error "libcmap needs gcc or clang"
#endif

/* Of callbacks: in C++ they are noexcept (section 3). */
#if defined(__cpp_noexcept_function_type)
#  define CMAP_NOEXCEPT noexcept
#else
#  define CMAP_NOEXCEPT
#endif

/* CMAP_INIT: the empty initialiser of C and of C++. */
#ifdef __cplusplus
#  define CMAP_INIT                                                            \
    {                                                                          \
    }
#  define CMAP__AS(type, value) static_cast<type>(value)
#  define CMAP__AT(type, value) cmap__at<type>(value)
#  define CMAP__NULL            nullptr
#else
#  define CMAP_INIT                                                            \
    {                                                                          \
      0                                                                        \
    }
#  define CMAP__AS(type, value) ((type)(value))
#  define CMAP__AT(type, value) (&(const type){value})
#  define CMAP__NULL            NULL
#endif

/* -------------------------------------------------------------------------
 * 2. Status codes
 * ------------------------------------------------------------------------- */

/* X(name, value, text); the values never change. */
#define CMAP_STATUS_MAP(X)                                                     \
  X(CMAP_OK, 0, "success")                                                     \
  X(CMAP_NOT_FOUND, -1, "the key is absent")                                   \
  X(CMAP_EXISTS, -2, "the key is present")                                     \
  X(CMAP_MISMATCH, -3, "the value is not the expected one")                    \
  X(CMAP_BUSY, -4, "the call would have had to wait")                          \
  X(CMAP_TIMEDOUT, -5, "the deadline passed while waiting")                    \
  X(CMAP_EDEADLK, -6, "waiting would never have ended")                        \
  X(CMAP_EABANDONED, -7, "the thread waited for has ended")                    \
  X(CMAP_ENOMEM, -8, "out of memory")                                          \
  X(CMAP_EINVAL, -9, "an argument is not valid")                               \
  X(CMAP_ENOTSUP, -10, "this map's options do not allow the call")             \
  X(CMAP_ENOSPC, -11, "the buffer is too small")                               \
  X(CMAP_FROZEN, -12, "the map is frozen")                                     \
  X(CMAP_EBROKEN, -13, "an invariant of the map does not hold")                \
  X(CMAP_ENORANDOM, -14, "the system gave no random numbers")                  \
  X(CMAP_ECANCELED, -15, "the token was cancelled while waiting")

enum cmap_status {
#define CMAP__STATUS(name, value, text) name = value,
  CMAP_STATUS_MAP(CMAP__STATUS)
#undef CMAP__STATUS
      CMAP_STATUS_LAST = INT_MAX /* values above 0 are the user's own */
};

/* CMAP_VERSION of the library that runs: not less than the header's, or it
 * lacks what the header has. */
CMAP_API unsigned cmap_version(void) CMAP_SYMBOL(version);

/*
 * The name of a status ("CMAP_NOT_FOUND"), and one sentence about it. For
 * values above 0 "user status" (their number tells which); for unknown ones
 * "unknown status". Static strings; never NULL.
 */
CMAP_API const char *cmap_status_name(enum cmap_status status)
    CMAP_SYMBOL(status_name);
CMAP_API const char *cmap_status_text(enum cmap_status status)
    CMAP_SYMBOL(status_text);

/*
 * What was wrong with the arguments of the calling thread's last call that gave
 * CMAP_EINVAL: a sentence for a log, such as "how->size is wrong". Calls that
 * end otherwise leave it as it is. Only a library that is built with
 * -DCMAP_CHECK=1 knows; others say that. A static string; never NULL.
 */
CMAP_API const char *cmap_last_error(void) CMAP_SYMBOL(last_error);

/* For a status that may be any: cmap_ignore(cmap_clear(map, NULL)); */
static inline void cmap_ignore(enum cmap_status status)
{
  (void)status;
}

/* A status of the user's own, for callbacks; `number` is above 0. */
static inline enum cmap_status cmap_status_user(int number)
{
  return CMAP__AS(enum cmap_status, number);
}

/* What a call that returned CMAP_OK did to the entry. */
enum cmap_event {
  CMAP_FOUND,    /* the key was present and its entry is unchanged */
  CMAP_INSERTED, /* the key was absent and is now present */
  CMAP_UPDATED,  /* the key was present and its value changed */
  CMAP_REMOVED   /* the key was present and is now absent */
};

/* -------------------------------------------------------------------------
 * 3. Keys, `how`, callbacks
 * ------------------------------------------------------------------------- */

struct cmap; /* a map */

/*
 * A key, or a part of a larger string used as one. `data` need not be
 * terminated or aligned. It is read during the call only. In callbacks it
 * describes the stored key; stored strings and bytes are followed by a 0 byte.
 */
struct cmap_key {
  const void *data;
  size_t size; /* bytes; of a string without its terminator */
};

/* A key of so many bytes, which stay where they are. */
static inline struct cmap_key cmap_key_bytes(const void *data, size_t size)
{
  struct cmap_key key;
  key.data = data;
  key.size = size;
  return key;
}

/* Of maps of CMAP_U32: the number that is there. */
static inline struct cmap_key cmap_key_u32(const uint32_t *key)
{
  return cmap_key_bytes(key, sizeof *key);
}

/* Of maps of CMAP_U64. */
static inline struct cmap_key cmap_key_u64(const uint64_t *key)
{
  return cmap_key_bytes(key, sizeof *key);
}

/*
 * The same of a number itself: cmap_get(map, CMAP_KEY_U64(7), &value, NULL).
 * It lives to the end of the block in C, and of the call in C++.
 */
#define CMAP_KEY_U32(number) cmap_key_u32(CMAP__AT(uint32_t, number))
#define CMAP_KEY_U64(number) cmap_key_u64(CMAP__AT(uint64_t, number))

/* NULL gives the key (NULL, 0), which every call refuses. */
static inline struct cmap_key cmap_key_string(const char *string)
{
  return cmap_key_bytes(string, string ? strlen(string) : 0);
}

/* What a stored key is, in a callback, a guard, a buffer: of maps of CMAP_U32.
 */
static inline uint32_t cmap_key_as_u32(struct cmap_key key)
{
  uint32_t number;
  memcpy(&number, key.data, sizeof number);
  return number;
}

/* Of maps of CMAP_U64. */
static inline uint64_t cmap_key_as_u64(struct cmap_key key)
{
  uint64_t number;
  memcpy(&number, key.data, sizeof number);
  return number;
}

/* Of maps of CMAP_STRING; it lives as long as the key. */
static inline const char *cmap_key_as_string(struct cmap_key key)
{
  return CMAP__AS(const char *, key.data);
}

/* Flags of struct cmap_how; they may be combined. */
enum {
  CMAP_TRY = 1,      /* never wait: CMAP_BUSY instead, whatever deadline or
                        token there is */
  CMAP_DEADLINE = 2, /* wait until deadline_ns at the most: CMAP_TIMEDOUT */
  CMAP_HASHED = 4,   /* `hash` is the key's hash, from cmap_hash, or of a
                        store from cmap_store_hash */
  CMAP_TOKEN = 8     /* wait until `token` is cancelled at the most:
                        CMAP_ECANCELED */
};

struct cmap_token; /* ends waits, when any thread cancels it */

/*
 * How a call waits and hashes; NULL stands for "as long as it takes". A
 * deadline and a token bound waiting, not the caller's own callbacks; together
 * the first of them does. TRY with one of them is TRY. A wrong hash spoils
 * results, but never memory; a library built with CMAP_CHECK says CMAP_EINVAL.
 * Calls on the whole map ignore the hash. Set `size` to sizeof(struct
 * cmap_how).
 */
struct cmap_how {
  size_t size;
  unsigned flags;
  uint64_t hash;
  uint64_t deadline_ns; /* absolute, CLOCK_MONOTONIC, nanoseconds */
  struct cmap_token *token;
};

/* Not to wait. */
static inline struct cmap_how cmap_how_try(void)
{
  struct cmap_how how = CMAP_INIT;
  how.size = sizeof how;
  how.flags = CMAP_TRY;
  return how;
}

/* To wait until then, as of CLOCK_MONOTONIC. */
static inline struct cmap_how cmap_how_until(uint64_t deadline_ns)
{
  struct cmap_how how = CMAP_INIT;
  how.size = sizeof how;
  how.flags = CMAP_DEADLINE;
  how.deadline_ns = deadline_ns;
  return how;
}

/* With a hash that is known, from cmap_hash or cmap_store_hash. */
static inline struct cmap_how cmap_how_hashed(uint64_t hash)
{
  struct cmap_how how = CMAP_INIT;
  how.size = sizeof how;
  how.flags = CMAP_HASHED;
  how.hash = hash;
  return how;
}

/* The time that many nanoseconds from now, by CLOCK_MONOTONIC: a deadline_ns.
 * It is UINT64_MAX - 1 at most. */
CMAP_API uint64_t cmap_deadline(uint64_t timeout_ns) CMAP_SYMBOL(deadline);

/* A deadline that many nanoseconds from now. */
static inline struct cmap_how cmap_how_within(uint64_t timeout_ns)
{
  return cmap_how_until(cmap_deadline(timeout_ns));
}

/* To wait until the token is cancelled. */
static inline struct cmap_how cmap_how_with(struct cmap_token *token)
{
  struct cmap_how how = CMAP_INIT;
  how.size = sizeof how;
  how.flags = CMAP_TOKEN;
  how.token = token;
  return how;
}

/*
 * Cancellation tokens: a deadline that is not known before. A token goes into
 * any number of calls, of any threads, on any maps and stores. Once a thread
 * has cancelled it none of them waits any more: a call that has begun to wait,
 * or would have to, gives up with CMAP_ECANCELED, and has done nothing; one
 * that need not wait succeeds. It stays cancelled. A constructor that was begun
 * goes on; it may ask the token itself (cmap_token_is_canceled), and whether
 * anybody else still waits (cmap_store_waiters).
 *
 * Thread safety: any thread at any time, but not in a signal handler;
 * cmap_token_destroy is the last call. In a child of fork a token may be used
 * if no other thread used it meanwhile.
 */

/* A new token, in the default allocator's memory. CMAP_EINVAL: NULL;
 * CMAP_ENOMEM: *token is NULL. */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_token_create(struct cmap_token **token) CMAP_SYMBOL(token_create);

/* Destroys it; NULL is none. CMAP_BUSY: a call waits with it, and nothing is
 * done. */
CMAP_API enum cmap_status cmap_token_destroy(struct cmap_token *token)
    CMAP_SYMBOL(token_destroy);

/*
 * Cancels it, once and for all; NULL does nothing. Wakes those who sleep with
 * it, and returns when they are awake: that takes moments. All that the caller
 * did before happens before what a call does that gives up. O(n) of n sleepers.
 * Lock: none, and it may be called with guards held, and in callbacks.
 */
CMAP_API void cmap_token_cancel(struct cmap_token *token)
    CMAP_SYMBOL(token_cancel);

/* Was it cancelled? NULL: no. All that was done before that happens before. No
 * lock. */
CMAP_API bool cmap_token_is_canceled(const struct cmap_token *token)
    CMAP_SYMBOL(token_is_canceled);

/*
 * A file descriptor for poll and its kin, which can be read from (on Linux an
 * eventfd; no need to) from the moment on that the token is cancelled. It is
 * the token's, which closes it in the end; the same at each call.
 *   CMAP_EINVAL  a NULL
 *   CMAP_ENOMEM  the system has no more descriptors (Windows: none), or no
 *                memory
 */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_token_fd(struct cmap_token *token, int *fd) CMAP_SYMBOL(token_fd);

/*
 * Callbacks. Each is called with the stored key, or with the caller's where
 * none is stored yet, and ends with the caller's ctx. Pointers are valid during
 * the call only. A status other than CMAP_OK ends the operation and is its
 * result; use values above 0. Each operation says which lock is held.
 *
 * C++. These types are noexcept: what throws is refused by the compiler, and a
 * thread that ends inside such a callback ends the program. Callbacks of the
 * typed layer (section 17) may throw: the call ends as with a status, lets go
 * of what it has locked, and the exception goes on from there; and a thread may
 * end inside. What was changed in place before stays changed; retain keeps the
 * entry and those after it, drain still gives to `take` what it has removed.
 */

/* Looks at an entry. */
typedef enum cmap_status cmap_view_fn(struct cmap_key key, const void *value,
                                      void *ctx) CMAP_NOEXCEPT;
/* Makes a value (all of it; it starts zeroed), or changes one in place. */
typedef enum cmap_status cmap_value_fn(struct cmap_key key, void *value,
                                       void *ctx) CMAP_NOEXCEPT;
/* Decides about an entry; may change the value. */
typedef bool cmap_test_fn(struct cmap_key key, void *value,
                          void *ctx) CMAP_NOEXCEPT;

/* What a cmap_compute_fn wants done. */
enum cmap_action {
  CMAP_KEEP,  /* leave the entry, or its absence, as it is */
  CMAP_PUT,   /* store *fresh */
  CMAP_REMOVE /* remove the entry */
};

/*
 * Computes the new value *fresh from *old (NULL: the key is absent). fresh
 * starts as a copy of the old bytes, or zeroed if the key is absent or the map
 * has value_destroy. *action starts as CMAP_KEEP.
 */
typedef enum cmap_status cmap_compute_fn(struct cmap_key key, const void *old,
                                         void *fresh, enum cmap_action *action,
                                         void *ctx) CMAP_NOEXCEPT;

/* -------------------------------------------------------------------------
 * 4. Options
 * ------------------------------------------------------------------------- */

enum cmap_key_kind {
  CMAP_U32 = 1, /* uint32_t */
  CMAP_U64,     /* uint64_t */
  CMAP_FIXED,   /* key_size bytes, compared as bytes (mind padding) */
  CMAP_STRING,  /* bytes without 0 */
  CMAP_BYTES,   /* any bytes, of any length from 0 */
  CMAP_CUSTOM   /* an object of key_size bytes with key_hash and key_equal */
};

/* Flags of struct cmap_options; they may be combined. */
enum {
  CMAP_HASH_IS_GOOD = 1, /* key_hash spreads over all 64 bits: do not mix it */
  CMAP_HASH_FAST = 2,    /* a faster hash of strings and bytes, without
                            protection from keys chosen to collide; no effect on
                            other keys */
  CMAP_FIXED_SEED = 4,   /* use `seed`: the same order in every run, and no
                            protection from keys chosen to collide */
  CMAP_HUGE_PAGES = 8,   /* once the map has some 1 MiB, ask the system for huge
                            pages, 2 MiB at a time: random access to millions
                            of entries is faster, but single inserts may take
                            ms. Maps with an allocator ignore it */
  CMAP_AUTO_SHRINK = 16, /* removals merge and shrink shards, and give memory
                            back to the system (cmap_shrink_to_fit), one shard
                            and some 64 KiB at a time; 1 MiB is kept at hand */
  CMAP_HASH_SIPHASH = 32, /* SipHash for integer and fixed keys, too: whoever
                             does not know the seed cannot choose keys that
                             collide, even if he sees how long calls take */
  CMAP_STRICT = 64        /* for tests: what a thread holds of the map counts as
                             if the other key always lived in the same shard
                             (section 9). So a write under a guard of one's own
                             is CMAP_EDEADLK in every run, where it would be one
                             time in thousands. Slower. Stores refuse it */
};

/*
 * Where a map gets its memory. alloc returns at least `size` bytes aligned to
 * `align` (a power of two), or NULL; free gets the same size and align again.
 * Both may be called from any thread, with a lock of the map held; they must
 * not call the library. Both NULL: jemalloc if built with it, else libc, and
 * anonymous mappings for large parts.
 */
struct cmap_allocator {
  void *(*alloc)(size_t size, size_t align, void *ctx)CMAP_NOEXCEPT;
  void (*free)(void *memory, size_t size, size_t align,
               void *ctx) CMAP_NOEXCEPT;
  void *ctx;
};

/*
 * Options of cmap_create. Zero means the default wherever zero makes no sense
 * as a value. Begin with
 *     struct cmap_options options = CMAP_INIT;
 *     options.size = sizeof options;
 * or with cmap_options_init.
 */
struct cmap_options {
  size_t size;       /* sizeof(struct cmap_options) */
  unsigned key_kind; /* enum cmap_key_kind; required */
  unsigned flags;
  size_t key_size;    /* FIXED, CUSTOM: 1 ... 256 bytes; else 0 or the size */
  size_t key_align;   /* CUSTOM: how stored keys are aligned, a power of two up
                         to 64; default: as malloc would, the largest power of
                         two up to 16 that divides key_size. Others: 0 */
  size_t value_size;  /* bytes, from 0 (a set) */
  size_t value_align; /* power of two up to 64, less than 8 is 8; default 8. But
                         4, unless 8 is asked for, where key (U32, FIXED) and
                         value have up to 4 bytes each: they share 8 */
  size_t inline_key_size;   /* STRING, BYTES: longest key that lies in the
                               slot, up to 63, rounded up to 23, 31, 39 ...;
                               default 23 */
  size_t inline_value_size; /* larger values lie behind a pointer; up to
                               1024, less than 8 is 8; default 256 */
  size_t capacity;     /* entries to make room for at once (cmap_reserve) */
  size_t shard_groups; /* upper size of a shard in groups of 11 entries: power
                          of two up to 4096; default 64 */
  size_t shard_bytes;  /* upper size of a shard in bytes; default 64 KiB */
  uint64_t seed[2];    /* with CMAP_FIXED_SEED; else 0 */

  /* Hash of a key. CUSTOM needs it, other kinds may have it. Pure: if it
     is not, entries are not found, but none is lost, and no memory spoilt.
     Unless CMAP_HASH_IS_GOOD its result goes through a keyed mixer. */
  uint64_t (*key_hash)(struct cmap_key key, void *ctx) CMAP_NOEXCEPT;
  /* CUSTOM, required: are two keys equal? Pure. Called under the lock. */
  bool (*key_equal)(struct cmap_key stored, struct cmap_key key,
                    void *ctx) CMAP_NOEXCEPT;
  /* CUSTOM: makes the stored key (key_size bytes) from the caller's; NULL: the
     bytes are copied. Called under the lock. A status other than CMAP_OK is
     the result of the inserting call. Needs key_destroy. */
  enum cmap_status (*key_copy)(struct cmap_key key, void *stored,
                               void *ctx) CMAP_NOEXCEPT;
  /* CUSTOM: releases a stored key. Called without a lock. */
  void (*key_destroy)(void *stored, void *ctx) CMAP_NOEXCEPT;
  void *key_ctx;

  /* Releases what a value owns. Called without a lock. */
  void (*value_destroy)(void *value, void *ctx) CMAP_NOEXCEPT;
  /* Makes *copy from *value; needs value_destroy. Called under the read or
     the write lock. */
  enum cmap_status (*value_clone)(const void *value, void *copy,
                                  void *ctx) CMAP_NOEXCEPT;
  /* Are two values equal? NULL: compared as bytes. Called under the lock. */
  bool (*value_equal)(const void *a, const void *b, void *ctx) CMAP_NOEXCEPT;
  void *value_ctx;

  struct cmap_allocator allocator;
};

/* All defaults: key_kind and value_size are set, the rest is zero. */
static inline void cmap_options_init(struct cmap_options *options,
                                     enum cmap_key_kind key_kind,
                                     size_t value_size)
{
  memset(options, 0, sizeof *options);
  options->size = sizeof *options;
  options->key_kind = CMAP__AS(unsigned, key_kind);
  options->value_size = value_size;
}

/* -------------------------------------------------------------------------
 * 5. Create and destroy
 * ------------------------------------------------------------------------- */

/*
 * Makes an empty map into *map.
 *   CMAP_EINVAL   an option is not valid, or two do not go together
 *   CMAP_ENOMEM   out of memory
 *   CMAP_ENORANDOM  the system gave no random seed, by getrandom or by
 *                 /dev/urandom; CMAP_FIXED_SEED needs none
 * Cost: about 4 KiB; storage for entries comes with the first of them.
 */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_create(const struct cmap_options *options, struct cmap **map)
    CMAP_SYMBOL(create);

/*
 * Destroys all entries and the map. No other thread may use the map, nor this
 * one from a callback. NULL is allowed.
 */
CMAP_API void cmap_destroy(struct cmap *map) CMAP_SYMBOL(destroy);

/*
 * Writes the options in force, defaults filled in, the seed zeroed unless
 * CMAP_FIXED_SEED. options->size must be set by the caller.
 *   CMAP_EINVAL   a NULL, or options->size is wrong (section 1)
 */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_get_options(const struct cmap *map, struct cmap_options *options)
    CMAP_SYMBOL(get_options);

/*
 * The hash of a key in this map, for CMAP_HASHED, and to compute it once for
 * several calls. The same for the map's whole life; differs between maps.
 *   CMAP_EINVAL   a NULL, or the key does not fit the map
 */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_hash(const struct cmap *map, struct cmap_key key, uint64_t *hash)
    CMAP_SYMBOL(hash);

/*
 * Statuses of all calls below, not repeated there:
 *   CMAP_EINVAL    checked misuse (section 1)
 *   CMAP_BUSY      CMAP_TRY, and the lock is not free
 *   CMAP_TIMEDOUT  CMAP_DEADLINE, and the lock was not free in time
 *   CMAP_ECANCELED CMAP_TOKEN, and the lock was not free before
 *   CMAP_EDEADLK   waiting would never have ended (section 9)
 *   CMAP_EABANDONED  a thread has ended that held what the call needs
 *   CMAP_FROZEN    the map is frozen (section 12), and the call would write
 *   > 0            a callback's own status
 * and, of calls that may insert or copy a value:
 *   CMAP_ENOMEM    out of memory
 *   CMAP_ENOTSUP   the value would have to be copied (value_destroy without
 *                  value_clone); nothing is done
 */

/* -------------------------------------------------------------------------
 * 6. Reading
 * ------------------------------------------------------------------------- */

/*
 * Copies the value of the key to *value (value_size bytes; NULL: only asks).
 * Unless CMAP_OK, *value is unspecified if the value is larger than 8 bytes or
 * has value_clone.
 *   CMAP_NOT_FOUND  the key is absent
 * Lock: none where reads are lock-free (section 1), else read. O(1).
 */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_get(struct cmap *map, struct cmap_key key, void *value,
         const struct cmap_how *how) CMAP_SYMBOL(get);

/* CMAP_OK if the key is present, else CMAP_NOT_FOUND. Lock: as cmap_get. */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_contains(struct cmap *map, struct cmap_key key, const struct cmap_how *how)
    CMAP_SYMBOL(contains);

/*
 * Calls view with the stored key and value; no copy is made.
 *   CMAP_NOT_FOUND  the key is absent; view was not called
 * Lock: read, while view runs.
 */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_view(struct cmap *map, struct cmap_key key, cmap_view_fn *view, void *ctx,
          const struct cmap_how *how) CMAP_SYMBOL(view);

/* -------------------------------------------------------------------------
 * 7. Writing
 *
 * `value` is value_size bytes (may be NULL if that is 0).
 *
 * Whose is a value that goes in? Of this and all later sections:
 *   const void *value: the map's if it was stored, that is, with CMAP_OK but
 *   without the event CMAP_FOUND or an entry that was occupied before. Else it
 *   is the caller's as before: after the hit of insert_new, get_or_insert_ref
 *   and entry_or_insert, and after any failure.
 *   void *value, which goes in and comes out (get_or_insert, swap): it changes
 *   hands on CMAP_OK. What went in is the map's, which keeps or destroys it;
 *   what came out is the caller's. On failure nothing has changed.
 * ------------------------------------------------------------------------- */

/*
 * Stores the value, whether the key is present or not. A present entry keeps
 * its stored key; its old value is moved to *old.
 * event: CMAP_INSERTED or CMAP_UPDATED. Lock: write.
 */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_insert(struct cmap *map, struct cmap_key key, const void *value, void *old,
            enum cmap_event *event, const struct cmap_how *how)
    CMAP_SYMBOL(insert);

/*
 * Stores the value if the key is absent ("try add").
 *   CMAP_EXISTS  the key is present: nothing was stored, the caller keeps the
 *                value, and the present value is copied to *present (NULL: not)
 * Lock: write; a hit only as cmap_get.
 */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_insert_new(struct cmap *map, struct cmap_key key, const void *value,
                void *present, const struct cmap_how *how)
    CMAP_SYMBOL(insert_new);

/*
 * Gets the value of the key, or inserts *value if the key is absent; either
 * way *value is then a copy of what the map holds. With value_destroy the copy
 * is a clone, and on a hit the value that went in is destroyed.
 * event: CMAP_FOUND or CMAP_INSERTED. Lock: write; a hit only as cmap_get.
 */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_get_or_insert(struct cmap *map, struct cmap_key key, void *value,
                   enum cmap_event *event, const struct cmap_how *how)
    CMAP_SYMBOL(get_or_insert);

/*
 * Gets the value of the key, or inserts the one that make makes, and copies
 * it to *value (NULL: not). make is called at most once, only if the key is
 * absent, and no other call on the key comes between; a slow make holds up
 * every key of the shard. A status from make: nothing is inserted.
 * Lock: write, while make runs; a hit only as cmap_get.
 */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_get_or_insert_with(struct cmap *map, struct cmap_key key, void *value,
                        enum cmap_event *event, cmap_value_fn *make, void *ctx,
                        const struct cmap_how *how)
    CMAP_SYMBOL(get_or_insert_with);

/*
 * The same, but make runs outside every lock: it may take its time and use the
 * map. Several threads may each make a value; one is inserted, the others'
 * are destroyed, and all get the one that was inserted.
 * Lock: none while make runs; write to insert.
 */
CMAP_MUST_CHECK CMAP_API enum cmap_status cmap_get_or_insert_with_unlocked(
    struct cmap *map, struct cmap_key key, void *value, enum cmap_event *event,
    cmap_value_fn *make, void *ctx, const struct cmap_how *how)
    CMAP_SYMBOL(get_or_insert_with_unlocked);

/*
 * Removes the entry and moves its value to *old.
 *   CMAP_NOT_FOUND  the key is absent
 * Who wants it gone and holds nothing of the map need not look at the status.
 * Lock: write; maybe none if the key is absent and cmap_get would take none:
 * that is a read, without the barrier of a call that writes.
 */
CMAP_API enum cmap_status cmap_remove(struct cmap *map, struct cmap_key key,
                                      void *old, const struct cmap_how *how)
    CMAP_SYMBOL(remove);

/*
 * Removes the entry if test says true. test may change the value; a changed
 * value stays changed if test says false.
 *   CMAP_NOT_FOUND  the key is absent; test was not called
 *   CMAP_MISMATCH   test said false
 * Lock: write, while test runs.
 */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_remove_if(struct cmap *map, struct cmap_key key, cmap_test_fn *test,
               void *ctx, void *old, const struct cmap_how *how)
    CMAP_SYMBOL(remove_if);

/*
 * Removes the entry if its value equals *expected (value_equal or bytes).
 *   CMAP_NOT_FOUND, CMAP_MISMATCH
 * Lock: write.
 */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_remove_if_equal(struct cmap *map, struct cmap_key key,
                     const void *expected, const struct cmap_how *how)
    CMAP_SYMBOL(remove_if_equal);

/* -------------------------------------------------------------------------
 * 8. Read-modify-write
 * ------------------------------------------------------------------------- */

/*
 * Replaces the value by *value if it equals *expected ("try update"). The old
 * value is destroyed.
 *   CMAP_NOT_FOUND  the key is absent
 *   CMAP_MISMATCH   the value is another; the caller keeps *value
 * Lock: write.
 */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_compare_exchange(struct cmap *map, struct cmap_key key,
                      const void *expected, const void *value,
                      const struct cmap_how *how) CMAP_SYMBOL(compare_exchange);

/*
 * Replaces the value by *value if test says true; the old one is moved to
 * *old. Statuses as cmap_remove_if. Lock: write, while test runs.
 */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_replace_if(struct cmap *map, struct cmap_key key, cmap_test_fn *test,
                void *ctx, const void *value, void *old,
                const struct cmap_how *how) CMAP_SYMBOL(replace_if);

/*
 * Exchanges the caller's value with the map's: on CMAP_UPDATED *value is the
 * old value. On CMAP_INSERTED the key was absent, and *value is untouched (the
 * map owns it). Nothing is copied or destroyed. Lock: write.
 */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_swap(struct cmap *map, struct cmap_key key, void *value,
          enum cmap_event *event, const struct cmap_how *how) CMAP_SYMBOL(swap);

/*
 * Calls compute once, whether the key is present or not, and does what it
 * says. A status from compute: nothing is changed. The resulting value is
 * copied to *value; on CMAP_REMOVED the removed value is moved there.
 *   CMAP_NOT_FOUND  the key was absent and still is
 * event: CMAP_FOUND (kept), CMAP_INSERTED, CMAP_UPDATED, CMAP_REMOVED.
 * Lock: write, while compute runs.
 */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_compute(struct cmap *map, struct cmap_key key, void *value,
             enum cmap_event *event, cmap_compute_fn *compute, void *ctx,
             const struct cmap_how *how) CMAP_SYMBOL(compute);

/*
 * Makes the value of an absent key with add, or the new value of a present one
 * from its old value with update; stores it, and copies it to *value (NULL:
 * not). Exactly one of the two callbacks runs, once per call, and no other
 * call on the key comes between. A status from it: nothing is changed.
 * *fresh starts as in cmap_compute_fn.
 * event: CMAP_INSERTED or CMAP_UPDATED. Lock: write, while the callback runs.
 */
typedef enum cmap_status cmap_update_fn(struct cmap_key key, const void *old,
                                        void *fresh, void *ctx) CMAP_NOEXCEPT;
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_add_or_update(struct cmap *map, struct cmap_key key, void *value,
                   enum cmap_event *event, cmap_value_fn *add,
                   cmap_update_fn *update, void *ctx,
                   const struct cmap_how *how) CMAP_SYMBOL(add_or_update);

/* Of cmap_add_or_update_unlocked: what it may do, and what it did. */
struct cmap_attempts {
  unsigned max;     /* in: attempts, each of one callback; 0: 100,000 */
  unsigned adds;    /* out: how often add was called */
  unsigned updates; /* out: how often update was called */
};

/*
 * The same, but the callbacks run outside every lock, on a copy of the value
 * (by value_clone; else of its bytes: what a pointer in it points to is the
 * live thing): they may take their time and use the map. The result is stored
 * only if the key is still absent, or its value still equals the copy
 * (value_equal, or bytes); else it is destroyed, and the call begins again with
 * another look. So A CALLBACK MAY RUN SEVERAL TIMES IN ONE CALL: it must
 * compute *fresh from its arguments and have no other effect. "Equal" is not
 * "unchanged": a value that went from A to B and back to A in between is taken
 * for unchanged. `attempts` may be NULL; its counts are set whatever the
 * status.
 *   CMAP_BUSY     as many attempts as allowed have failed. Values that never
 *                 equal their copy (padding, NaN in value_equal) end so.
 *   CMAP_TIMEDOUT the deadline passed while it waited, or between two attempts
 *   CMAP_ENOTSUP  value_destroy without value_clone and value_equal
 * event: CMAP_INSERTED or CMAP_UPDATED. Lock: none while a callback runs, write
 * to store.
 */
CMAP_MUST_CHECK CMAP_API enum cmap_status cmap_add_or_update_unlocked(
    struct cmap *map, struct cmap_key key, void *value, enum cmap_event *event,
    cmap_value_fn *add, cmap_update_fn *update, void *ctx,
    struct cmap_attempts *attempts, const struct cmap_how *how)
    CMAP_SYMBOL(add_or_update_unlocked);

/*
 * Lets alter change the value in place. There is no roll-back: what alter has
 * changed stays, whatever status it returns.
 *   CMAP_NOT_FOUND  the key is absent; alter was not called
 * Lock: write, while alter runs; lock-free readers of a few other keys wait
 * with it. An absent key maybe without, as with cmap_remove.
 */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_alter(struct cmap *map, struct cmap_key key, cmap_value_fn *alter,
           void *ctx, const struct cmap_how *how) CMAP_SYMBOL(alter);

/*
 * Combines an unsigned integer value of 4 or 8 bytes with operand, wrapping.
 * An absent key counts as 0 and is inserted. The value before comes out in
 * *before (NULL: not). The operand of a 4-byte value must fit into 4 bytes,
 * except that cmap_fetch_add and cmap_fetch_sub take it modulo 2^32.
 *   CMAP_ENOTSUP  value_size is neither 4 nor 8, or value_destroy is set
 * Lock: write.
 */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_fetch_add(struct cmap *map, struct cmap_key key, uint64_t operand,
               uint64_t *before, const struct cmap_how *how)
    CMAP_SYMBOL(fetch_add);
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_fetch_sub(struct cmap *map, struct cmap_key key, uint64_t operand,
               uint64_t *before, const struct cmap_how *how)
    CMAP_SYMBOL(fetch_sub);
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_fetch_and(struct cmap *map, struct cmap_key key, uint64_t operand,
               uint64_t *before, const struct cmap_how *how)
    CMAP_SYMBOL(fetch_and);
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_fetch_or(struct cmap *map, struct cmap_key key, uint64_t operand,
              uint64_t *before, const struct cmap_how *how)
    CMAP_SYMBOL(fetch_or);
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_fetch_max(struct cmap *map, struct cmap_key key, uint64_t operand,
               uint64_t *before, const struct cmap_how *how)
    CMAP_SYMBOL(fetch_max);
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_fetch_min(struct cmap *map, struct cmap_key key, uint64_t operand,
               uint64_t *before, const struct cmap_how *how)
    CMAP_SYMBOL(fetch_min);

/* -------------------------------------------------------------------------
 * 9. Guards
 *
 * A guard is a lock and a pointer: while it is out, the entry stays where it
 * is, and nobody else changes it (read guard) or sees it (write guard).
 *
 *     CMAP_AUTO(cmap_write_guard, account);
 *     status = cmap_get_mut(bank, key, &account, NULL);
 *     if (status == CMAP_OK)
 *       ((struct account *)account.value)->cents += 5;
 *     // released where `account` goes out of scope
 *
 * A guard belongs to the thread that took it: a release by another thread does
 * nothing. One that is CMAP_INIT, or was released, may be released again, and
 * so may copies of it: only the first time counts. To take a guard into a
 * struct that holds another is a leak of that other.
 *
 * What may be called while a guard is out. "Another key" may always live in the
 * shard that the guard holds; the table says what happens when it does, and
 * also when it is the same key. Keys of other shards, and of other maps, are
 * as if there was no guard.
 *
 *                            | this thread holds   | another thread holds
 *                            | read    | write     | read    | write
 *   -------------------------+---------+-----------+---------+-----------
 *   get, contains, a hit     | works   | works     | works   | may wait
 *    without a lock [1]      |         |           |         |
 *   view, view_all, clone,   | works   | works     | works   | waits
 *    equal, len_exact, scan, |         |           |         |
 *    for_each, snapshot,     |         |           |         |
 *    check                   |         |           |         |
 *   get_ref, lock_many to    | works   | EDEADLK   | works   | waits
 *    read, get_or_insert_ref |         |           |         |
 *    with a hit, iter_next   |         |           |         |
 *    to read                 |         |           |         |
 *   all that writes: insert, | EDEADLK | EDEADLK   | waits   | waits
 *    remove, get_mut, entry, |         |           |         |
 *    lock_many to write,     |         |           |         |
 *    add_or_update, clear,   |         |           |         |
 *    retain, reserve, drain, |         |           |         |
 *    pop [2], freeze,        |         |           |         |
 *    fork_begin,             |         |           |         |
 *    iter_next to write ...  |         |           |         |
 *   len, is_empty, hash,     | works   | works     | works   | works
 *    capacity, statistics    |         |           |         |
 *
 *   "Holds read": a read guard, a key locked to read, an iterator to read at
 *   an entry, or a callback that runs under the read lock (view ...). "Holds
 *   write": a write guard, an entry, a key locked to write or as entry, an
 *   iterator to write at an entry, or a callback under the write lock. Batches
 *   are as their single calls.
 *   With CMAP_TRY every "waits" and every "EDEADLK" is CMAP_BUSY. "Waits" ends
 *   with CMAP_EDEADLK if it would never end (see Deadlock).
 *   [1] Where reads are lock-free (section 1), also the hit of insert_new and
 *   of get_or_insert. Elsewhere get, contains and the hit of
 *   get_or_insert_with_unlocked are as view, and the other hits as all that
 *   writes. "May wait": for the key that is held, and for those whose search
 *   passes by the same group of 11 entries. So may remove and alter where
 *   another thread holds: they need not wait to find a key absent.
 *   [2] Only if no shard that is free has an entry of the part.
 *
 * Deadlock. A wait that would never end is refused with CMAP_EDEADLK: a thread
 *   that waits for itself, and a circle of threads over any number of maps, in
 *   which each holds what the next one waits for. Exactly one thread of the
 *   circle, the one that closes it, gets CMAP_EDEADLK, and has what it held;
 *   the others go on waiting until it lets go. It should release its guards and
 *   begin again: that ends, if it waited for others. But a second guard in the
 *   shard of the first is refused however often it is asked for: for several
 *   keys of one map take cmap_lock_many, or give up after a few attempts and
 *   take it then. The same goes for CMAP_TRY and CMAP_BUSY. Nobody is refused
 *   if another thread of the circle waits with a deadline: that wait ends.
 *   Nor for what cmap_len_exact, cmap_snapshot_create and cmap_equal have
 *   locked so far, while they wait for more: they lend it to who waits to
 *   write there, and lock it again later.
 *   Waits for something else (a mutex of your own, pthread_join, another
 *   process, a map of another copy of this library) are not seen: give such
 *   calls a deadline.
 *
 * Ended threads. A thread that ends (pthread_exit, cancellation) while it holds
 *   a guard, or inside a callback under a lock, leaves the shard locked for
 *   ever: who needs it, or waits for it already, gets CMAP_EABANDONED; if it
 *   was locked to read, only who writes. The rest of the map goes on.
 *   Of the call whose callback did not return there remains:
 *     - The entry that a callback changes in place (alter, alter_all,
 *       replace_if, remove_if, retain, and_modify) is as the callback left it,
 *       and is not removed or replaced. Nobody reads it any more.
 *     - What a callback makes (compute, add_or_update, get_or_insert_with,
 *       or_insert_with, key_copy, value_clone) is not in the map.
 *     - Entries that the call had done with stay changed, or removed.
 *     - Memory that it had in hand is lost, and what it had removed and was to
 *       destroy is not destroyed.
 *   The same holds for key_hash, key_equal and value_equal. Where a callback
 *   is called without a lock (cmap_for_each, cmap_drain, cmap_pop, destructors,
 *   the calls named ..._unlocked) no shard is given up.
 *   Cleanup handlers, and destructors of thread-specific data, may use the
 *   library while the thread ends: what it holds it still holds, and can
 *   release. A guard that is taken in a destructor of thread-specific data is
 *   to be released in that, and is not to be taken in the last round of them.
 *   (Where the C library tells nobody that a thread begins to end, as musl, a
 *   thread that has taken none before takes its first in the first round only.)
 *   cmap_destroy frees what guards of such threads have left behind.
 * ------------------------------------------------------------------------- */

/*
 * A guard, entry, iterator, hold of several keys or handle that holds nothing
 * yet, and is released where it goes out of scope, also if a C++ exception is
 * what leaves it:
 *     CMAP_AUTO(cmap_read_guard, guard);
 * As a call that fails leaves what it was to fill CMAP_INIT, the release is
 * right whatever happened.
 */
#define CMAP_AUTO(type, variable)                                              \
  __attribute__((cleanup(type##_release))) struct type variable = CMAP_INIT

/* An entry that nobody changes meanwhile. `internal` is the library's. */
struct cmap_read_guard {
  struct cmap_key key; /* the stored key */
  const void *value;
  uintptr_t internal[2];
};

/* An entry that nobody else reads or changes meanwhile. */
struct cmap_write_guard {
  struct cmap_key key;
  void *value; /* may be changed until the release */
  uintptr_t internal[2];
};

/*
 * Takes a read guard of the key's entry. Other threads may read it too.
 *   CMAP_NOT_FOUND   the key is absent; nothing is held
 *   CMAP_ENOMEM      no memory to note the hold; nothing is held
 *   CMAP_EABANDONED  as of every call: see above
 * Lock: read, until the release.
 */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_get_ref(struct cmap *map, struct cmap_key key,
             struct cmap_read_guard *guard, const struct cmap_how *how)
    CMAP_SYMBOL(get_ref);

/*
 * Takes a write guard of the key's entry. Lock-free readers of other keys go
 * on, except of those whose search passes by the same group of 11 entries.
 * Statuses as cmap_get_ref. Lock: write, until the release.
 */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_get_mut(struct cmap *map, struct cmap_key key,
             struct cmap_write_guard *guard, const struct cmap_how *how)
    CMAP_SYMBOL(get_mut);

/*
 * Takes a read guard of the key's entry, which is inserted with *value if the
 * key is absent. Looks under the read lock first, and takes the write lock only
 * if the key is absent; no other write comes between insertion and guard.
 * event: CMAP_INSERTED, or CMAP_FOUND: then *value was not stored, and is still
 * the caller's. Lock: read, until the release; write to insert.
 */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_get_or_insert_ref(struct cmap *map, struct cmap_key key, const void *value,
                       struct cmap_read_guard *guard, enum cmap_event *event,
                       const struct cmap_how *how)
    CMAP_SYMBOL(get_or_insert_ref);

/*
 * Ends a guard, which becomes CMAP_INIT. Never waits; a full barrier if the
 * guard was one to write. NULL, and a guard that holds nothing, are allowed.
 *   CMAP_EINVAL  the guard is another thread's: it stays as it is, and only
 *                that thread can end it, or hand it over (cmap_*_guard_detach)
 */
CMAP_API enum cmap_status cmap_read_guard_release(struct cmap_read_guard *guard)
    CMAP_SYMBOL(read_guard_release);
CMAP_API enum cmap_status
cmap_write_guard_release(struct cmap_write_guard *guard)
    CMAP_SYMBOL(write_guard_release);

/*
 * Hands a guard over. Detached it belongs to no thread: the struct may be given
 * to another one, by means that order what both do (a queue, a mutex), and
 * whichever thread has it may release it, or make it its own by attaching it,
 * also the one that detached it. Other calls on a detached guard are as on one
 * that holds nothing. Copies of the struct that were made before either call
 * hold nothing.
 *   The shard stays locked meanwhile; but while the guard is nobody's, a wait
 * for it is never CMAP_EDEADLK, also if that thread waits that was to release
 * it, and no thread's end makes it CMAP_EABANDONED: what is not released stays
 * locked until cmap_destroy, which frees it. So attach it soon, or give waits a
 * deadline. Attached it is as if this thread had taken it.
 *   CMAP_EINVAL  a NULL; the guard holds nothing (any more), or for another
 *                thread; to detach: it is nobody's already
 *   CMAP_ENOMEM  no memory to note the hold: nothing has changed
 * All that was done before the detach happens before what follows the attach,
 * or the release. Never waits. Cost: a mutex of the library's.
 */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_read_guard_detach(struct cmap_read_guard *guard)
    CMAP_SYMBOL(read_guard_detach);
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_write_guard_detach(struct cmap_write_guard *guard)
    CMAP_SYMBOL(write_guard_detach);
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_read_guard_attach(struct cmap_read_guard *guard)
    CMAP_SYMBOL(read_guard_attach);
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_write_guard_attach(struct cmap_write_guard *guard)
    CMAP_SYMBOL(write_guard_attach);

/*
 * Makes a read guard into *to of a write guard, which becomes CMAP_INIT. No
 * write comes between. Never waits.
 *   CMAP_EINVAL  a NULL, or `from` holds nothing
 */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_write_guard_downgrade(struct cmap_write_guard *from,
                           struct cmap_read_guard *to)
    CMAP_SYMBOL(write_guard_downgrade);

/*
 * Removes the guard's entry and ends the guard. The value is moved to *old, or
 * destroyed, after the lock is released, if that is NULL.
 *   CMAP_EINVAL  a NULL, or the guard holds nothing
 */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_write_guard_remove(struct cmap_write_guard *guard, void *old)
    CMAP_SYMBOL(write_guard_remove);

/* The index of the shard that is held, as of cmap_shard_index; for metrics. 0
   if nothing is held. */
CMAP_API size_t cmap_read_guard_shard_index(const struct cmap_read_guard *guard)
    CMAP_SYMBOL(read_guard_shard_index);
CMAP_API size_t cmap_write_guard_shard_index(
    const struct cmap_write_guard *guard) CMAP_SYMBOL(write_guard_shard_index);

/* -------------------------------------------------------------------------
 * 10. Entries
 *
 * An entry is a key's place, occupied or vacant, under one hash and one write
 * lock: look, decide, and store without anybody coming between.
 *
 *     CMAP_AUTO(cmap_entry, entry);
 *     status = cmap_entry_begin(counts, key, &entry, NULL);
 *     if (status == CMAP_OK)
 *       status = cmap_entry_or_insert(cmap_entry_and_modify(&entry, add_one,
 *                                                           NULL), &one);
 *
 * entry.value is NULL while the entry is vacant, and else points to the value,
 * which may be changed until the release. Room for a vacant key is made when
 * the entry is taken: storing a plain value in it cannot fail.
 *
 * As a guard, an entry belongs to its thread, keeps the lock until it is
 * released, and may be released again. On one that holds nothing every call is
 * CMAP_EINVAL. What the calls remove or replace is destroyed after the release.
 * A status that is not CMAP_OK leaves the entry as it was, and still held.
 * ------------------------------------------------------------------------- */

struct cmap_entry {
  struct cmap_key key; /* the stored key; of a vacant entry: to be stored */
  void *value;         /* NULL: vacant */
  uintptr_t internal[2];
};

/*
 * Takes the key's entry, whether it is present or not.
 *   CMAP_ENOMEM  no memory to note the hold, or for a vacant key; nothing is
 *                held
 * Lock: write, until the release.
 */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_entry_begin(struct cmap *map, struct cmap_key key,
                 struct cmap_entry *entry, const struct cmap_how *how)
    CMAP_SYMBOL(entry_begin);

/* Ends an entry, which becomes CMAP_INIT. Never waits. NULL is allowed.
   CMAP_EINVAL: it is another thread's, or one of several keys; it stays. To
   hand it over, make a guard of it. */
CMAP_API enum cmap_status cmap_entry_release(struct cmap_entry *entry)
    CMAP_SYMBOL(entry_release);

/*
 * Lets modify change the value of an occupied entry in place; does nothing on a
 * vacant one. Returns the entry. A status from modify is kept: the next call on
 * the entry that returns a status does nothing and returns it
 * (cmap_entry_status, if there is nothing else to do).
 */
CMAP_API struct cmap_entry *cmap_entry_and_modify(struct cmap_entry *entry,
                                                  cmap_value_fn *modify,
                                                  void *ctx)
    CMAP_SYMBOL(entry_and_modify);

/* The status that cmap_entry_and_modify has kept, which is told with that; else
 * CMAP_OK. */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_entry_status(struct cmap_entry *entry) CMAP_SYMBOL(entry_status);

/*
 * Stores *value if the entry is vacant. Afterwards entry->value points to the
 * value that is there. If it is occupied, *value stays the caller's: ask for
 * entry->value == NULL before, or use cmap_entry_or_insert_with, if the value
 * owns something.
 */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_entry_or_insert(struct cmap_entry *entry, const void *value)
    CMAP_SYMBOL(entry_or_insert);

/*
 * The same with a value that make makes, only if the entry is vacant. A status
 * from make: the entry stays vacant, and the status comes out.
 * ("or_insert_with" and "or_try_insert_with" elsewhere.)
 */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_entry_or_insert_with(struct cmap_entry *entry, cmap_value_fn *make,
                          void *ctx) CMAP_SYMBOL(entry_or_insert_with);

/* The same with a value of zeroes. */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_entry_or_default(struct cmap_entry *entry) CMAP_SYMBOL(entry_or_default);

/*
 * Stores *value, whether the entry is vacant or not. A value that was there is
 * moved to *old; if that is NULL it is destroyed after the release.
 *   CMAP_ENOMEM  only with value_destroy, `old` NULL, and an occupied entry: no
 *                memory to keep the old value until the release
 */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_entry_insert(struct cmap_entry *entry, const void *value, void *old)
    CMAP_SYMBOL(entry_insert);

/*
 * Removes an occupied entry, which is vacant then, and may be filled again. The
 * value is moved to *old; if that is NULL it is destroyed after the release.
 * entry->key stays.
 *   CMAP_NOT_FOUND  the entry is vacant
 *   CMAP_ENOMEM     as cmap_entry_insert
 */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_entry_remove(struct cmap_entry *entry, void *old)
    CMAP_SYMBOL(entry_remove);

/*
 * The same, and the stored key too is moved to the caller: its key_size bytes
 * to *key, which is not destroyed then (CMAP_CUSTOM). The entry is released:
 * without a key it is of no use.
 *   CMAP_NOT_FOUND  the entry is vacant; it is still held
 *   CMAP_ENOTSUP    keys of CMAP_STRING and CMAP_BYTES: copy entry->key
 */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_entry_remove_entry(struct cmap_entry *entry, void *key, void *old)
    CMAP_SYMBOL(entry_remove_entry);

/*
 * Replaces the stored key by a copy of an equal one, and the value by *value.
 * The old key is destroyed after the release; the old value as in
 * cmap_entry_insert.
 *   CMAP_NOT_FOUND  the entry is vacant
 *   CMAP_EINVAL     `key` is another key
 *   CMAP_ENOMEM     no memory for the key, or to keep the old one
 */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_entry_replace_entry(struct cmap_entry *entry, struct cmap_key key,
                         const void *value, void *old)
    CMAP_SYMBOL(entry_replace_entry);

/*
 * Makes a write guard of an occupied entry, which becomes CMAP_INIT.
 *   CMAP_NOT_FOUND  the entry is vacant; it is still held
 */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_entry_into_guard(struct cmap_entry *entry, struct cmap_write_guard *guard)
    CMAP_SYMBOL(entry_into_guard);

/* As cmap_read_guard_shard_index. */
CMAP_API size_t cmap_entry_shard_index(const struct cmap_entry *entry)
    CMAP_SYMBOL(entry_shard_index);

/* -------------------------------------------------------------------------
 * 11. Several keys at once
 *
 * Nested guards of two threads in two orders end in CMAP_EDEADLK, and ordering
 * the keys by name does not help: they lie in shards. cmap_lock_many takes
 * them all, in an order of its own that is the same for all threads.
 *
 *     struct cmap_want wants[2] = {
 *       {bank, from, CMAP_WRITE, CMAP_OK}, {bank, to, CMAP_WRITE, CMAP_OK}};
 *     CMAP_AUTO(cmap_multi, held);
 *     status = cmap_lock_many(wants, 2, &held, NULL);
 *     if (status == CMAP_NOT_FOUND)
 *       ... wants[0].status and wants[1].status say which one is missing
 * ------------------------------------------------------------------------- */

enum cmap_mode {
  CMAP_READ = 1, /* the key must be present; to look at */
  CMAP_WRITE,    /* the key must be present; to change its value */
  CMAP_ENTRY     /* the key may be absent; as an entry */
};

/* One key that is wanted. The same key may be wanted several times. */
struct cmap_want {
  struct cmap *map;
  struct cmap_key key;
  enum cmap_mode mode;
  enum cmap_status status; /* out */
};

/* Several keys, held. As a guard, it belongs to its thread. */
struct cmap_multi {
  size_t count; /* the number of wants; 0: nothing is held */
  uintptr_t internal[2];
};

/*
 * Locks all keys that are wanted, of any maps: all of them or none. Threads
 * that hold only what one such call has given them never deadlock, whatever the
 * order of their wants. With guards out that were taken one by one, by this
 * thread or by others, CMAP_EDEADLK may come from here too: release what you
 * hold, and call again. If a key is wanted twice, the
 * strongest mode holds for both. CMAP_HASHED is ignored.
 * Until the release other threads see nothing of what is changed, but for the
 * numbers of cmap_len, cmap_is_empty and cmap_get_stats.
 *   CMAP_NOT_FOUND  a key that must be present is absent
 *   CMAP_EINVAL     a NULL; n is 0; an unknown mode; a key that does not fit
 *                   its map
 *   CMAP_ENOMEM, CMAP_BUSY, CMAP_TIMEDOUT, CMAP_EDEADLK, CMAP_EABANDONED
 * Each want's status is CMAP_OK, CMAP_NOT_FOUND if its key must be present and
 * is not, or the call's status at the want where it failed; untouched if the
 * call is CMAP_EINVAL.
 * Lock: read or write of each key's shard, until the release. Cost: O(n log n)
 * and one allocation.
 */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_lock_many(struct cmap_want *wants, size_t n, struct cmap_multi *held,
               const struct cmap_how *how) CMAP_SYMBOL(lock_many);

/*
 * The same of n keys of one map in one mode. `keys` is an array of what they
 * are: uint32_t (CMAP_U32), uint64_t, const char * (CMAP_STRING), struct
 * cmap_key (CMAP_BYTES), or objects of key_size bytes (CMAP_FIXED,
 * CMAP_CUSTOM). Key i is want i of `held`.
 *   CMAP_EINVAL  also if the map or `keys` is NULL
 * Statuses, lock and cost as cmap_lock_many.
 */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_lock_keys(struct cmap *map, const void *keys, size_t n,
               enum cmap_mode mode, struct cmap_multi *held,
               const struct cmap_how *how) CMAP_SYMBOL(lock_keys);

/* The value of want i; NULL if the entry is vacant, i is not below n, or
   nothing is held. To be changed only if it was wanted to write. */
CMAP_API void *cmap_multi_value(const struct cmap_multi *held, size_t i)
    CMAP_SYMBOL(multi_value);

/*
 * Want i as an entry, for the calls of section 10; it lives as long as `held`.
 * NULL if i is not below n, the key is held to read, or nothing is held.
 * cmap_entry_release, cmap_entry_into_guard and cmap_entry_remove_entry of it
 * are CMAP_EINVAL.
 */
CMAP_API struct cmap_entry *cmap_multi_entry(const struct cmap_multi *held,
                                             size_t i) CMAP_SYMBOL(multi_entry);

/* Ends all holds; *held becomes CMAP_INIT. Never waits. NULL is allowed.
   CMAP_EINVAL: they are another thread's; they stay. */
CMAP_API enum cmap_status cmap_multi_release(struct cmap_multi *held)
    CMAP_SYMBOL(multi_release);

/*
 * Gives the entry of old_key the key new_key; the value moves with it. Nobody
 * sees both or neither.
 *   CMAP_NOT_FOUND  old_key is absent
 *   CMAP_EXISTS     new_key is present, and another key
 * Lock: write, of both keys' shards. CMAP_HASHED is ignored.
 */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_rename(struct cmap *map, struct cmap_key old_key, struct cmap_key new_key,
            const struct cmap_how *how) CMAP_SYMBOL(rename);

/*
 * Exchanges the values of two keys. Nobody sees one exchanged only.
 *   CMAP_NOT_FOUND  one of them is absent
 * Lock: write, of both keys' shards. CMAP_HASHED is ignored.
 */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_swap_values(struct cmap *map, struct cmap_key a, struct cmap_key b,
                 const struct cmap_how *how) CMAP_SYMBOL(swap_values);

/* -------------------------------------------------------------------------
 * 12. The whole map
 *
 * One shard is locked at a time unless a call says otherwise, so that these
 * are not one moment: an entry that is there from begin to end is met exactly
 * once, one that comes or goes meanwhile at most once. If a call ends early
 * (CMAP_BUSY, CMAP_TIMEDOUT, CMAP_EDEADLK, CMAP_ENOMEM or a callback's
 * status), what it had done stays done.
 * ------------------------------------------------------------------------- */

/*
 * The number of entries: a sum over the shards without any lock. Exact when no
 * thread writes; else somewhere near. Never waits. Cost: one cache line per
 * shard (about one per 500 entries). 0 for NULL.
 */
CMAP_API size_t cmap_len(const struct cmap *map) CMAP_SYMBOL(len);

/*
 * The number of entries at one moment of the call. Lock: read, all shards at
 * once; no other thread gets CMAP_EDEADLK for those, and the caller gets it
 * only for what it holds itself. Waits for who holds a shard to write, one
 * after the other.
 */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_len_exact(struct cmap *map, size_t *len, const struct cmap_how *how)
    CMAP_SYMBOL(len_exact);

/*
 * Was the map empty? true: at one moment of the call it had no entry. false:
 * it had one, or one whose insertion or removal had not returned yet. true for
 * NULL. Takes no lock of a shard, so that it is right under any hold, and
 * beside threads that have ended; if shards are being replaced during 100 looks
 * in a row, it keeps others from doing so for two looks. What is stored and
 * removed under a hold (sections 10 and 11) counts at once: whoever moves an
 * entry there by hand stores it before he removes it, as cmap_rename does.
 * Cost: a cache line per shard up to the first that has entries.
 */
CMAP_API bool cmap_is_empty(const struct cmap *map) CMAP_SYMBOL(is_empty);

/*
 * The number of entries that the present shards hold before one of them
 * grows, if keys are spread evenly. Never waits.
 */
CMAP_API size_t cmap_capacity(const struct cmap *map) CMAP_SYMBOL(capacity);

/*
 * The number of shards, and the index in hash order, below that number, of
 * the shard where keys with this hash live: for metrics. Both may change
 * whenever a thread writes. Cost: one cache line per 4 shards.
 */
CMAP_API size_t cmap_shard_count(const struct cmap *map)
    CMAP_SYMBOL(shard_count);
CMAP_API size_t cmap_shard_index(const struct cmap *map, uint64_t hash)
    CMAP_SYMBOL(shard_index);

/*
 * Calls view for every entry; a status ends the walk and is returned.
 * Lock: read, a shard at a time, while view runs.
 */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_view_all(struct cmap *map, cmap_view_fn *view, void *ctx,
              const struct cmap_how *how) CMAP_SYMBOL(view_all);

/*
 * Lets alter change every value in place, without roll-back.
 * Lock: write, a shard at a time, while alter runs.
 */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_alter_all(struct cmap *map, cmap_value_fn *alter, void *ctx,
               const struct cmap_how *how) CMAP_SYMBOL(alter_all);

/*
 * Keeps the entries for which keep says true, and removes the others. keep may
 * change the value. The number removed comes out in *removed (NULL: not), also
 * when the call ends early. Removed entries are destroyed after each shard's
 * lock is released. With value_destroy, key_destroy or keys beyond
 * inline_key_size it needs memory: CMAP_ENOMEM before a shard is begun.
 * Lock: write, a shard at a time, while keep runs.
 */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_retain(struct cmap *map, cmap_test_fn *keep, void *ctx, size_t *removed,
            const struct cmap_how *how) CMAP_SYMBOL(retain);

/*
 * Removes every entry that was there when the call reached its shard. Keeps
 * the storage for new entries (cmap_shrink_to_fit gives it back). Never fails
 * for want of memory. Lock: write, a shard at a time.
 */
CMAP_MUST_CHECK CMAP_API enum cmap_status cmap_clear(struct cmap *map,
                                                     const struct cmap_how *how)
    CMAP_SYMBOL(clear);

/*
 * Makes room for `entries` entries in all, if keys are spread evenly: about as
 * much as a map takes that has grown to so many. Until there are so many,
 * inserts take no memory (but for long keys and values, which lie behind
 * pointers) and split no shard, but for one in some ten thousand that chance
 * fills more than others.
 *   CMAP_ENOMEM  what was made so far stays
 * Lock: write, a shard at a time.
 */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_reserve(struct cmap *map, size_t entries, const struct cmap_how *how)
    CMAP_SYMBOL(reserve);

/*
 * Merges and shrinks shards to what the entries need. The storage that this
 * frees goes back to the system, if the map has it from there: whole pages of
 * it, and of all but the headers of shards (64 bytes each), the directory and
 * the first 64 KiB. With an allocator of your own it is kept for this map until
 * cmap_destroy, and shards of any size use it again. A neighbour that is in use
 * is not merged.
 *   CMAP_ENOMEM  no memory for a smaller copy of a shard; the map is usable
 * Lock: write, two neighbouring shards at a time; waits for none but the
 * first. Nobody else waits for more than one shard.
 */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_shrink_to_fit(struct cmap *map, const struct cmap_how *how)
    CMAP_SYMBOL(shrink_to_fit);

/*
 * Removes every entry that was there when the call reached its shard, and gives
 * each to `take` after the lock is released. The value is take's own; the
 * key lives during the call. A status of take is returned, but the other
 * entries that were removed together with that one are given to take before.
 * Never fails for want of memory. Lock: write, a shard at a time; none while
 * take runs.
 */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_drain(struct cmap *map, cmap_value_fn *take, void *ctx,
           const struct cmap_how *how) CMAP_SYMBOL(drain);

/*
 * Removes one entry, any, of part `part` of `parts` (section 13; 0 of 1: of the
 * whole map), and gives it to `take` after the lock is released, as cmap_drain
 * does: the value is take's own, the key lives during the call. NULL: the entry
 * is destroyed. A status of take is returned, and the entry is removed.
 *   CMAP_NOT_FOUND  there is none, unless it came or went during the call
 *   CMAP_EINVAL     also if `part` is not below `parts`
 * Never fails for want of memory. Which entry it is follows from the hashes,
 * and is neither the oldest nor one at random. Lock: write, of a shard that is
 * free, if one of those with entries is; else of one after the other, and waits
 * (cmap_is_empty locks nothing). None while take runs.
 * Cost: O(1) amortised, as a removal, also when a part is emptied: pops of a
 * part go round it, each from where the last one was. (Of more than 16 parts
 * some have that place in common, and begin anew.)
 */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_pop(struct cmap *map, size_t part, size_t parts, cmap_value_fn *take,
         void *ctx, const struct cmap_how *how) CMAP_SYMBOL(pop);

/* What a snapshot has of each entry. */
enum cmap_snapshot_parts {
  CMAP_KEYS_AND_VALUES,
  CMAP_KEYS_ONLY,
  CMAP_VALUES_ONLY
};

/* Copies of all entries as they were at one moment. */
struct cmap_snapshot;

/*
 * Copies all entries, or their keys or values, as they are at one moment of the
 * call: what other threads change under one hold (cmap_lock_many, rename ...)
 * is in it whole or not at all. Values are copied by value_clone.
 *   CMAP_ENOTSUP  values, or keys with key_destroy and without key_copy,
 *                 cannot be copied, and were asked for
 *   CMAP_ENOMEM, or a status of value_clone or key_copy: no snapshot
 * Memory for the entries that there are is taken, and touched, before the first
 * lock, so that writers wait for the copying only; that of long keys, large
 * values and clones is taken while they are copied. Lock: read, all shards at
 * once, while entries are copied; for those nobody gets CMAP_EDEADLK
 * (cmap_len_exact). Cost: O(n), also if it ends with CMAP_BUSY.
 */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_snapshot_create(struct cmap *map, enum cmap_snapshot_parts parts,
                     struct cmap_snapshot **snapshot,
                     const struct cmap_how *how) CMAP_SYMBOL(snapshot_create);

/* The number of entries; 0 for NULL. */
CMAP_API size_t cmap_snapshot_count(const struct cmap_snapshot *snapshot)
    CMAP_SYMBOL(snapshot_count);

/*
 * Key and value of entry i, in no particular order; they live as long as the
 * snapshot. (NULL, 0) and NULL if i is not below the count, or the snapshot was
 * made without them.
 */
CMAP_API struct cmap_key cmap_snapshot_key(const struct cmap_snapshot *snapshot,
                                           size_t i) CMAP_SYMBOL(snapshot_key);
CMAP_API const void *cmap_snapshot_value(const struct cmap_snapshot *snapshot,
                                         size_t i) CMAP_SYMBOL(snapshot_value);

/* Destroys the copies. May outlive the map's entries, not the map. NULL is
   allowed. */
CMAP_API void cmap_snapshot_destroy(struct cmap_snapshot *snapshot)
    CMAP_SYMBOL(snapshot_destroy);

/*
 * Makes the map read-only: waits until nobody holds anything of it, then
 * refuses all calls that may write with CMAP_FROZEN until cmap_thaw, whatever
 * they would find and before their callbacks run; but for calls that insert
 * what is absent (cmap_insert_new, cmap_get_or_insert and their kin), whose hit
 * is a read here. Read guards and iterators take no lock meanwhile, but are
 * counted, each thread's in a place of its own. Other reads are as ever.
 *
 * While the call waits, writers may get CMAP_FROZEN already, also if it fails
 * in the end: those who want no part in a freeze that fails try again.
 *   CMAP_FROZEN    it is frozen already
 *   CMAP_BUSY      another thread is just freezing or thawing it
 *   CMAP_EDEADLK   the caller itself holds something of this map
 *   CMAP_ENOMEM    no memory for the counts (2 KiB, at the first freeze)
 * On failure the map is not frozen. Lock: write, a shard at a time.
 */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_freeze(struct cmap *map, const struct cmap_how *how) CMAP_SYMBOL(freeze);

/*
 * Ends that. Waits, for ever if need be, until the read guards and iterators
 * that were taken while the map was frozen have been released, or have left
 * their entries: what they show does not change before. Those that are taken
 * while it waits hold the read lock, as ever, and are not waited for; writers
 * get CMAP_FROZEN until it is done.
 *   CMAP_EINVAL      NULL, or the map is not frozen
 *   CMAP_BUSY        another thread is just freezing or thawing it
 *   CMAP_EDEADLK     the caller itself holds such a guard, or waiting would
 *                    never end (section 9)
 *   CMAP_EABANDONED  a thread has ended that holds one
 * On failure the map stays frozen. Lock: none, but what is waited for is as if
 * it was locked to read.
 */
CMAP_MUST_CHECK CMAP_API enum cmap_status cmap_thaw(struct cmap *map)
    CMAP_SYMBOL(thaw);

/*
 * Before a fork, so that the child may use the map, too: waits until nobody
 * holds anything of it, and locks all of it for the calling thread. Then fork,
 * in this thread, then cmap_fork_end in the parent (also if fork fails) and in
 * the child, if that uses the map:
 *     status = cmap_fork_begin(map, NULL);
 *     if (status != CMAP_OK)
 *       return status;
 *     child = fork();
 *     (void)cmap_fork_end(map);
 *     if (child == 0)
 *       write_down(map); // as it was, whatever the parent does
 * In between it is a write guard of every key: other threads' writers wait, and
 * reads without a lock go on. Several maps may be locked, and released in
 * any order. Both may be called in handlers of pthread_atfork, if those were
 * set after the library was loaded. See also Fork in section 1.
 *   CMAP_FROZEN    the map is frozen, or another thread is just freezing it
 *   CMAP_EDEADLK   the caller itself holds something of this map, or waiting
 *                  would never end
 *   CMAP_EABANDONED  a thread has ended that holds something of this map
 *   CMAP_BUSY, CMAP_TIMEDOUT, CMAP_ENOMEM
 * On failure nothing is locked. Lock: write, all shards at once. Cost:
 * O(shards).
 */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_fork_begin(struct cmap *map, const struct cmap_how *how)
    CMAP_SYMBOL(fork_begin);

/*
 * Ends that. CMAP_EINVAL: NULL, or the calling thread has not begun it.
 */
CMAP_API enum cmap_status cmap_fork_end(struct cmap *map) CMAP_SYMBOL(fork_end);

/*
 * Makes a new map into *copy with the same options, the same seed and a copy of
 * every entry, by key_copy and value_clone where the options have them. Shards
 * are copied as they are, but for those with few entries, which take less room
 * there. Keys have the same hash in both (cmap_hash). The copy of a frozen map
 * is not frozen. On failure there is no copy.
 *   CMAP_ENOMEM, or a status of value_clone or key_copy
 * Lock: read, a shard at a time, while its entries are copied. Cost: for 8
 * bytes of key and value some 15 ns an entry, and its pages.
 */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_clone(struct cmap *map, struct cmap **copy, const struct cmap_how *how)
    CMAP_SYMBOL(clone);

/*
 * Do two maps hold the same keys with equal values (value_equal of `a`)? Exact
 * if nobody writes meanwhile. Keys must be of one kind and size, values of one
 * size: else CMAP_EINVAL. For CMAP_CUSTOM keys both maps must have the same
 * key_hash and key_equal.
 * Lock: read, a shard of each map, the map of the lower address first; for
 * these nobody gets CMAP_EDEADLK (cmap_len_exact).
 */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_equal(struct cmap *a, struct cmap *b, bool *equal,
           const struct cmap_how *how) CMAP_SYMBOL(equal);

/*
 * Inserts a copy of every entry of `from` into `into`. Where both have the
 * key, the value is replaced, or, if conflict is not NULL, conflict is called
 * with the value of `into` to change in place and ctx, and with the other value
 * as *from_value. The same conditions as cmap_equal; the same map twice is
 * CMAP_EINVAL. Lock: read, a shard of `from`, while its entries are copied;
 * after that write on `into`, also while conflict runs. Never both.
 */
typedef enum cmap_status cmap_merge_fn(struct cmap_key key, void *value,
                                       const void *from_value,
                                       void *ctx) CMAP_NOEXCEPT;
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_merge(struct cmap *into, struct cmap *from, cmap_merge_fn *conflict,
           void *ctx, const struct cmap_how *how) CMAP_SYMBOL(merge);

/* -------------------------------------------------------------------------
 * 13. Iterators and scans
 *
 *   cmap_iter   holds one shard while it is at an entry: look at it in place,
 *               change it, remove it. Nobody else gets at that shard, so
 *               do little.
 *   cmap_scan   copies a buffer full, and holds nothing between two calls: for
 *               long walks, and to go on another day. The position is
 *               a number.
 *   cmap_for_each  the same with a callback.
 *
 * All three go in the order of the hash, which has nothing to do with the order
 * of the keys, and keep the same promise: an entry that is there from begin to
 * end is met exactly once, one that comes or goes meanwhile at most once,
 * whatever else happens to the map. (An entry that is removed and comes again
 * is a new one, but it has its old place: it is not met twice either.) Shards
 * that one walk has found empty the next ones pass over, until an entry comes.
 *
 * Parts. To walk with several threads, give each one part of the map: part
 * i of n has the entries whose hash lies in the i-th n-th of all hashes.
 * ------------------------------------------------------------------------- */

/*
 * An iterator, at an entry or not. As a guard, it belongs to its thread.
 *
 *     CMAP_AUTO(cmap_iter, iter);
 *     status = cmap_iter_begin(map, CMAP_WRITE, 0, 1, &iter);
 *     if (status == CMAP_OK)
 *       while ((status = cmap_iter_next(&iter, NULL)) == CMAP_OK)
 *         ... iter.key, iter.value
 *     if (status != CMAP_NOT_FOUND)
 *       ... it did not come to the end
 */
struct cmap_iter {
  struct cmap_key key; /* of the present entry, stored */
  void *value;         /* to be changed only with CMAP_WRITE; NULL: at none */
  uintptr_t internal[2];
};

/*
 * Makes an iterator before the first entry of part `part` of `parts` (0 of 1:
 * the whole map). `mode` is CMAP_READ or CMAP_WRITE. What was in *iter is
 * not released.
 *   CMAP_EINVAL  also another mode, or `part` is not below `parts`
 *   CMAP_ENOMEM
 * Lock: none yet.
 */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_iter_begin(struct cmap *map, enum cmap_mode mode, size_t part,
                size_t parts, struct cmap_iter *iter) CMAP_SYMBOL(iter_begin);

/*
 * Goes to the next entry.
 *   CMAP_NOT_FOUND  there is none; the iterator is at none and holds nothing
 * After any other failure but CMAP_EINVAL it is at no entry and holds nothing,
 * and the next call tries again: nothing is left out.
 * Lock: read or write, of the entry's shard, until the iterator leaves it.
 * Destructors of what was removed run when it does.
 */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_iter_next(struct cmap_iter *iter, const struct cmap_how *how)
    CMAP_SYMBOL(iter_next);

/*
 * Removes the present entry; its value goes to *old, or is destroyed (NULL).
 * The iterator is at no entry then, until cmap_iter_next.
 *   CMAP_EINVAL  also if it is at no entry, or to read
 *   CMAP_ENOMEM  only with value_destroy, key_destroy, keys beyond
 *                inline_key_size or values beyond inline_value_size
 */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_iter_remove(struct cmap_iter *iter, void *old) CMAP_SYMBOL(iter_remove);

/*
 * Turns the present entry into a guard, and ends the iterator; nobody comes
 * in between.
 *   CMAP_EINVAL  also if it is at no entry, or of the other mode
 */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_iter_into_read_guard(struct cmap_iter *iter, struct cmap_read_guard *guard)
    CMAP_SYMBOL(iter_into_read_guard);
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_iter_into_write_guard(struct cmap_iter *iter,
                           struct cmap_write_guard *guard)
    CMAP_SYMBOL(iter_into_write_guard);

/* Lets go of what it holds and goes back before the first entry. CMAP_EINVAL
   if it was released. */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_iter_restart(struct cmap_iter *iter) CMAP_SYMBOL(iter_restart);

/* Ends it; *iter becomes CMAP_INIT. Never waits. NULL, and one that was
   released, are allowed. CMAP_EINVAL: it is another thread's; it stays. */
CMAP_API enum cmap_status cmap_iter_release(struct cmap_iter *iter)
    CMAP_SYMBOL(iter_release);

/*
 * Where a scan puts what it finds. `keys` is an array of `capacity` keys:
 *   U32, U64, FIXED, CUSTOM   of key_size bytes each
 *   STRING, BYTES             of struct cmap_key; the bytes go to `text`, each
 *                             key's followed by a 0
 * CUSTOM keys are made by key_copy, values by value_clone: both are the
 * caller's own. Behind the first `count` of either, up to `capacity`, anything
 * may be written. Set `size` to sizeof(struct cmap_scan_buffer).
 */
struct cmap_scan_buffer {
  size_t size;
  size_t capacity;  /* entries; at least 1 */
  void *keys;       /* NULL: keys are not wanted */
  void *values;     /* capacity x value_size bytes; NULL: not wanted */
  char *text;       /* for STRING and BYTES, if keys are wanted */
  size_t text_size; /* bytes */
  size_t count;     /* out: entries; with CMAP_ENOSPC: the capacity needed */
  size_t text_used; /* out: bytes; with CMAP_ENOSPC: the text_size needed */
};

/* Room for so many keys and values, either of which may be NULL: not wanted.
   `text` is none: set it for keys of STRING and BYTES. */
static inline void cmap_scan_buffer_init(struct cmap_scan_buffer *buffer,
                                         size_t capacity, void *keys,
                                         void *values)
{
  memset(buffer, 0, sizeof *buffer);
  buffer->size = sizeof *buffer;
  buffer->capacity = capacity;
  buffer->keys = keys;
  buffer->values = values;
}

/*
 * Copies entries from position *cursor on, as many as the buffer has room for,
 * and moves *cursor behind them. A scan begins with the cursor 0, and goes to
 * `end` (0: to the end of the map). No state is kept in between: a cursor may
 * be stored, and is good for this map for its whole life.
 *   CMAP_OK         buffer->count entries, at least one
 *   CMAP_NOT_FOUND  none is left; *cursor is not below the end
 *   CMAP_ENOSPC     the entries at the next position (their keys have equal
 *                   hashes; nearly always it is one) do not fit into the
 *                   buffer; its `count` and `text_used` say what they need
 *   CMAP_ENOTSUP    values, or keys, cannot be copied, and were asked for
 *   CMAP_ENOMEM, or a status of value_clone or key_copy
 * Unless CMAP_OK or CMAP_NOT_FOUND *cursor is as it was, and what was copied
 * has been released again. What the buffer holds behind the entries, whatever
 * the status, is unspecified: entries that were removed, or any bytes.
 * Lock: read, a shard at a time. Best with room for 1,000 entries: with less,
 * some of a shard's entries are searched for again by the next call.
 */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_scan(struct cmap *map, uint64_t *cursor, uint64_t end,
          struct cmap_scan_buffer *buffer, const struct cmap_how *how)
    CMAP_SYMBOL(scan);

/*
 * The cursor and the end of part `part` of `parts`, for cmap_scan.
 *   CMAP_EINVAL  a NULL, or `part` is not below `parts`
 */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_scan_part(size_t part, size_t parts, uint64_t *cursor, uint64_t *end)
    CMAP_SYMBOL(scan_part);

/*
 * Calls view for a copy of every entry of part `part` of `parts` (0 of 1: of
 * all). view holds no lock, and may do anything but destroy the map; what it
 * shows may have changed meanwhile. A status of view ends the walk and
 * is returned.
 *   CMAP_EINVAL   also if `part` is not below `parts`
 *   CMAP_ENOTSUP  keys or values cannot be copied
 *   CMAP_ENOMEM, or a status of value_clone or key_copy: the walk ended there
 * Lock: read, a shard at a time, while its entries are copied.
 */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_for_each(struct cmap *map, size_t part, size_t parts, cmap_view_fn *view,
              void *ctx, const struct cmap_how *how) CMAP_SYMBOL(for_each);

/* -------------------------------------------------------------------------
 * 14. Batches
 *
 * Many keys in one call: while one key's memory is on its way, the next ones'
 * is asked for. In maps beyond the processor's caches that is about twice as
 * fast as single calls, whatever the order of the keys.
 *
 *   keys      n keys
 *   hashes    their hashes, from cmap_hash; NULL: computed. Maps of integers
 *             may compute them in either case, which takes no longer.
 *   statuses  n of them, out: what the single call would have returned; so
 *             CMAP_EINVAL for a key that does not fit. One key's failure does
 *             not stop the others.
 *   how       for each key; CMAP_HASHED is ignored
 *
 * A batch is n single calls in the order of the index (also if a key comes
 * twice), not one moment: cmap_lock_many is one. It returns CMAP_OK if all
 * statuses are, else the first that is not. If the map or an array that is
 * required is NULL, or `how` is not valid, it does nothing, leaves `statuses`
 * untouched and returns CMAP_EINVAL. n 0 is allowed. Cost: O(n).
 * ------------------------------------------------------------------------- */

/* cmap_get; `values`: n x value_size bytes, of which those of keys whose status
   is not CMAP_OK are as cmap_get leaves them. NULL: only asks. */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_get_many(struct cmap *map, const struct cmap_key *keys,
              const uint64_t *hashes, size_t n, void *values,
              enum cmap_status *statuses, const struct cmap_how *how)
    CMAP_SYMBOL(get_many);

/* cmap_contains. */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_contains_many(struct cmap *map, const struct cmap_key *keys,
                   const uint64_t *hashes, size_t n, enum cmap_status *statuses,
                   const struct cmap_how *how) CMAP_SYMBOL(contains_many);

/* cmap_insert; `values`: n x value_size bytes. A value belongs to the map
   if its status is CMAP_OK. Replaced values are destroyed. */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_insert_many(struct cmap *map, const struct cmap_key *keys,
                 const uint64_t *hashes, size_t n, const void *values,
                 enum cmap_status *statuses, const struct cmap_how *how)
    CMAP_SYMBOL(insert_many);

/* cmap_remove; `olds`: n x value_size bytes, of which those of absent keys are
   untouched. NULL: removed values are destroyed. */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_remove_many(struct cmap *map, const struct cmap_key *keys,
                 const uint64_t *hashes, size_t n, void *olds,
                 enum cmap_status *statuses, const struct cmap_how *how)
    CMAP_SYMBOL(remove_many);

/* cmap_fetch_add; `operands`: n of them; NULL: 1 each. `befores`: n, of which
   those of keys whose status is not CMAP_OK are untouched; NULL: not wanted. A
   key that comes twice is added to twice. */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_fetch_add_many(struct cmap *map, const struct cmap_key *keys,
                    const uint64_t *hashes, size_t n, const uint64_t *operands,
                    uint64_t *befores, enum cmap_status *statuses,
                    const struct cmap_how *how) CMAP_SYMBOL(fetch_add_many);

/* -------------------------------------------------------------------------
 * 15. Seeing inside
 * ------------------------------------------------------------------------- */

/* What a map is made of, and what happened to it since cmap_create. */
struct cmap_stats {
  size_t size; /* sizeof(struct cmap_stats), set by the caller */

  uint64_t entries;
  uint64_t shards;
  uint64_t slots;             /* room for entries; load = entries / slots */
  uint64_t directory_entries; /* 16 bytes each */
  uint64_t bytes;             /* of memory in all, that of long keys and values
                                 included; bytes / entries is what one takes */
  uint64_t free_bytes;        /* of those: storage that no shard uses */
  uint64_t longest_probe;     /* groups of 11 slots that a search goes through
                                 at worst, in the shards that were looked at */

  uint64_t growths;      /* shards replaced by larger ones */
  uint64_t splits;       /* by two or more */
  uint64_t merges;       /* two replaced by one */
  uint64_t rebuilds;     /* replaced by one of the same size, or a smaller */
  uint64_t lock_waits;   /* locks that were not free at once */
  uint64_t lock_parks;   /* of those: times that a thread slept */
  uint64_t whole_locks;  /* times that all shards were locked at once */
  uint64_t read_retries; /* lock-free reads that met a writer, about */
  uint64_t read_locks;   /* of those: reads that took the lock then */
};

/* All zero, but for the size. */
static inline void cmap_stats_init(struct cmap_stats *stats)
{
  memset(stats, 0, sizeof *stats);
  stats->size = sizeof *stats;
}

/*
 * Takes the statistics, without waiting for anybody: exact if no thread writes,
 * else near it. The longest probe is that of up to 64 shards. Counting writes
 * no shared memory in a read that meets no writer.
 *   CMAP_EINVAL  a NULL, or stats->size is wrong (section 1)
 * Cost: a cache line per shard, and some 0.2 ms.
 */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_get_stats(struct cmap *map, struct cmap_stats *stats)
    CMAP_SYMBOL(get_stats);

/* Takes one line of text, without a newline. */
typedef void cmap_line_fn(const char *line, void *ctx) CMAP_NOEXCEPT;

/*
 * Describes the map in lines for people to read: its options, statistics, and
 * how its shards differ in size and load. Never waits. No lock is held while
 * `line` runs.
 *   CMAP_EINVAL  a NULL
 */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_dump(struct cmap *map, cmap_line_fn *line, void *ctx) CMAP_SYMBOL(dump);

/*
 * Verifies every invariant of the map's storage, one shard at a time.
 *   CMAP_EBROKEN  one does not hold: *broken names it, in a static string
 *                 (NULL: not). Memory was overwritten, a key_hash or key_equal
 *                 is not pure, a hash given with CMAP_HASHED was wrong, or
 *                 libcmap has a bug.
 * Lock: read, a shard at a time. Cost: O(entries), each key is hashed.
 */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_check(struct cmap *map, const char **broken, const struct cmap_how *how)
    CMAP_SYMBOL(check);

/* -------------------------------------------------------------------------
 * 16. The store: get or create
 *
 * A store keeps shared objects by key that are slow to build: connections,
 * compiled expressions, loaded files. Each is built once, whoever asks; who
 * asks for the same key meanwhile waits for it, and nobody else waits for
 * anything. A handle keeps its object alive, also when that has been removed
 * from the store. With a bound or with times in its options it is a cache.
 *
 *     static enum cmap_status load(struct cmap_key key, void **object,
 *                                  void *ctx);     // takes a second
 *
 *     CMAP_AUTO(cmap_handle, file);
 *     status = cmap_store_get_or_create(files, key, &file, load, NULL, NULL);
 *     if (status == CMAP_OK)
 *       use(file.object);
 *
 * Constructors run with no lock of the library's held, and may use this store
 * and others, maps and their guards. One that asks, over any chain of threads,
 * stores and maps, for what waits for it gets CMAP_EDEADLK (section 9). One
 * whose thread ends (pthread_exit, cancellation) has failed with
 * CMAP_EABANDONED. It must not leave by longjmp or a C++ exception. Other
 * callbacks return: a cancellation of their thread takes effect after the call
 * that runs them, or after the callback.
 *
 * What happens to a construction in flight when
 *   it succeeds   its caller and all who wait get the object.
 *   it fails      its caller gets the status, unchanged. With the policy
 *                 "retry" one of those who wait goes on with its own
 *                 constructor, and the others wait for that; with "share" all
 *                 who wait get the status. See negative_ns.
 *   put           the object that was put is what everybody gets, at once; what
 *                 the constructor makes is destroyed.
 *   remove,       its caller and all who wait get the object, but it is not in
 *    clear,       the store; who comes later begins anew.
 *    forget
 *   destroy       CMAP_BUSY; nothing is done.
 *
 * Waiting with a deadline ends with CMAP_TIMEDOUT for that thread alone, with a
 * token that is cancelled it ends with CMAP_ECANCELED; with
 * CMAP_TRY there is no waiting: CMAP_BUSY if another thread builds. Waiting is
 * no cancellation point. Objects are destroyed once, outside every lock, by the
 * thread that gives up the last reference.
 *
 * Ordering: what a constructor did happens before everything after a call that
 * returned its object, and all use of an object before its destructor.
 * ------------------------------------------------------------------------- */

struct cmap_store; /* a store */

/* A reference to an object. It may be used and released on any thread, but
   unlike a guard only once, whatever copies of the struct there are, which is
   not checked: for another reference there is cmap_handle_copy. */
struct cmap_handle {
  void *object;
  uintptr_t internal[2];
};

/* Flags of struct cmap_how, for calls on stores, and of struct
   cmap_store_options: one or none. */
enum {
  CMAP_SHARE_FAILURE = 16, /* all who wait get the status of the failure */
  CMAP_RETRY_FAILURE = 32  /* one of them goes on with its own constructor */
};

/* Why an object is no longer in the store. */
enum cmap_removal {
  CMAP_EVICTED,  /* the bound asked for it */
  CMAP_EXPIRED,  /* its time was over */
  CMAP_REPLACED, /* by put, or by a refresh */
  CMAP_DELETED,  /* by cmap_store_remove */
  CMAP_CLEARED   /* by cmap_store_clear, or with the store */
};

/* The times of an object, as in struct cmap_store_options. */
struct cmap_lifetime {
  uint64_t ttl_ns;
  uint64_t idle_ns;
  uint64_t refresh_ns;
};

struct cmap_store_options {
  size_t size;              /* sizeof(struct cmap_store_options) */
  struct cmap_options keys; /* of the keys; all about values must be
                               zero. Its size says where the rest begins */
  unsigned flags;           /* CMAP_SHARE_FAILURE; or CMAP_RETRY_FAILURE, the
                               default */
  uint64_t negative_ns; /* a failure is remembered for so long: who comes gets
                           its status; 0: not. CMAP_BUSY, CMAP_TIMEDOUT,
                           CMAP_ECANCELED, CMAP_EDEADLK, CMAP_EABANDONED,
                           CMAP_ENOMEM and CMAP_FROZEN, which pass, are not
                           remembered */
  size_t max_failures;  /* so many are remembered at once, and one more for each
                           thread: the oldest go; 0: 65,536. Those that are out
                           of date go by and by as constructions end */
  /* Releases an object; NULL: nothing is to be done. No lock is held; it may
     use the store. */
  void (*object_destroy)(void *object, void *ctx) CMAP_NOEXCEPT;
  void *object_ctx; /* of all callbacks but the clock */

  /* A bound, of one kind or none (docs/store.md says who is evicted): */
  size_t max_objects; /* so many; 0: no bound */
  uint64_t max_cost;  /* what they cost in all; 0: no bound */
  /* With max_cost, and only then: what an object costs, in any unit, for as
     long as the store has it. Called once for each, with no lock held, while
     others wait for the object: it must not call the library. One that costs
     more than max_cost is handed out, and not kept. max_cost is INT64_MAX / 2
     at most. */
  uint64_t (*cost)(struct cmap_key key, const void *object,
                   void *ctx) CMAP_NOEXCEPT;

  /* Times since an object was built or put; 0: none. */
  uint64_t ttl_ns;     /* it expires then */
  uint64_t idle_ns;    /* it expires so long after the last call that found it,
                          or up to a sixteenth of that later */
  uint64_t refresh_ns; /* get_or_create and begin let the first who asks build
                          it anew then, and give all others the old one */
  /* Other times for an object: *lifetime has the three above, and may be
     changed. Called once for each, with no lock held; like cost it must not
     call the library. NULL: none */
  void (*lifetime)(struct cmap_key key, const void *object,
                   struct cmap_lifetime *lifetime, void *ctx) CMAP_NOEXCEPT;
  /* Nanoseconds by which all times here and negative_ns go, never decreasing,
     for tests; NULL: CLOCK_MONOTONIC, and a tick of the system behind it (1 to
     10 ms) where an object is found. Deadlines do not go by it. No lock is
     held; it must not call the library. */
  uint64_t (*clock)(void *clock_ctx) CMAP_NOEXCEPT;
  void *clock_ctx;

  /* Told of each object that was in the store, once, when it is there no more;
     NULL: not. It may still have handles, and is not destroyed before the call
     has ended. No lock is held; it may use the store, also for this key. */
  void (*on_remove)(struct cmap_key key, void *object, enum cmap_removal reason,
                    void *ctx) CMAP_NOEXCEPT;
};

/* All defaults, for keys of key_kind, and objects that object_destroy ends. */
static inline void cmap_store_options_init(
    struct cmap_store_options *options, enum cmap_key_kind key_kind,
    void (*object_destroy)(void *object, void *ctx) CMAP_NOEXCEPT)
{
  memset(options, 0, sizeof *options);
  options->size = sizeof *options;
  cmap_options_init(&options->keys, key_kind, 0);
  options->object_destroy = object_destroy;
}

/* Builds the object of a key into *object, which is not NULL then. The key is
   the caller's. No lock is held. */
typedef enum cmap_status cmap_build_fn(struct cmap_key key, void **object,
                                       void *ctx) CMAP_NOEXCEPT;

/*
 * Makes an empty store into *store.
 *   CMAP_EINVAL  an option is not valid; CUSTOM keys with key_destroy need
 *                key_copy, because a construction has a key of its own; both
 *                bounds, max_cost without cost, cost without max_cost,
 *                max_cost above INT64_MAX / 2, or clock_ctx without clock
 *   CMAP_ENOMEM, CMAP_ENORANDOM  as of cmap_create
 */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_store_create(const struct cmap_store_options *options,
                  struct cmap_store **store) CMAP_SYMBOL(store_create);

/*
 * Destroys the store and its objects. No other thread may use it; destructors
 * may. NULL is CMAP_OK.
 *   CMAP_BUSY  a construction runs, or there is a ticket or a handle, or
 *              something is borrowed: nothing is done. Or a destructor has kept
 *              a handle: the store is empty.
 */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_store_destroy(struct cmap_store *store) CMAP_SYMBOL(store_destroy);

/* Gives a handle up; it becomes CMAP_INIT, and may be released again. NULL is
   allowed. The last one of a removed object destroys it. */
CMAP_API void cmap_handle_release(struct cmap_handle *handle)
    CMAP_SYMBOL(handle_release);

/* One more handle of the same object. CMAP_EINVAL: a NULL, or `from` has none.
 */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_handle_copy(const struct cmap_handle *from, struct cmap_handle *to)
    CMAP_SYMBOL(handle_copy);

/* What the call did that has filled a handle. */
enum cmap_origin {
  CMAP_HIT,    /* the object was there, or the call was put */
  CMAP_BUILT,  /* the call, or its ticket, has built it */
  CMAP_WAITED, /* it is of another call's construction, or of a put meanwhile */
  CMAP_STALE /* it was there and is to be built anew: somebody does so, or this
                call has failed to, or is one that does not build */
};

/* How the call got it that filled the handle, or the one that it was copied
   from. CMAP_HIT if there is none, or `handle` is NULL. */
CMAP_API enum cmap_origin cmap_handle_origin(const struct cmap_handle *handle)
    CMAP_SYMBOL(handle_origin);

/*
 * Gets a handle of the key's object, if it is there.
 *   CMAP_NOT_FOUND  it is absent, or being built, or has expired
 * Never waits for a construction. Lock: none, if the key can be read without
 * one (section 1). Cost: two reads of a map and two atomic additions, with the
 * release.
 */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_store_get(struct cmap_store *store, struct cmap_key key,
               struct cmap_handle *handle, const struct cmap_how *how)
    CMAP_SYMBOL(store_get);

/*
 * An object that a thread has borrowed: a reference for a moment, which belongs
 * to the thread, as a guard does. No count is written: threads that borrow the
 * same object at a time do not slow each other down. The object lives at least
 * until it is given back, also when it has left the store.
 *
 * It is used and released by the thread that has borrowed it, once, whatever
 * copies of the struct there are; on another thread cmap_borrowed_release does
 * nothing. When the thread ends it is given back, and not to be used any more.
 */
struct cmap_borrowed {
  void *object;
  uintptr_t internal[2];
};

/*
 * Borrows the key's object, if it is there: as cmap_store_get, with the same
 * statuses, but cheaper where many threads want one object. Keep few, and not
 * for long: beyond two of a store at once, and of keys that are read under a
 * lock, it is a counted reference; and who takes objects out of the store looks
 * through what the threads have borrowed. CMAP_ENOMEM: no memory for such a
 * reference. Lock: as cmap_store_get. Cost: two
 * atomic exchanges in the thread's own memory, with the release.
 */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_store_borrow(struct cmap_store *store, struct cmap_key key,
                  struct cmap_borrowed *borrowed, const struct cmap_how *how)
    CMAP_SYMBOL(store_borrow);

/* Gives it back; it becomes CMAP_INIT, and may be released again. NULL is
   allowed. If the object has left the store and nobody else has it, this
   destroys it. */
CMAP_API void cmap_borrowed_release(struct cmap_borrowed *borrowed)
    CMAP_SYMBOL(borrowed_release);

/*
 * Gets a handle of the key's object; builds it if it is absent, or waits for
 * whoever builds it.
 *   CMAP_BUSY, CMAP_TIMEDOUT, CMAP_ECANCELED, CMAP_EDEADLK  of the wait
 *   CMAP_EABANDONED  the thread that built has ended (with "share")
 *   CMAP_EINVAL      build returned CMAP_OK without an object; or misuse
 *   any other        build's status; or a failure that is remembered
 */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_store_get_or_create(struct cmap_store *store, struct cmap_key key,
                         struct cmap_handle *handle, cmap_build_fn *build,
                         void *ctx, const struct cmap_how *how)
    CMAP_SYMBOL(store_get_or_create);

/*
 * Builds the objects of n keys, which are the caller's, into `objects`, which
 * has n NULLs. A key whose object is NULL in the end has failed, with its
 * status in `statuses`, which has n times CMAP_OK; or if it has none there,
 * with what the call returns. No lock is held.
 */
typedef enum cmap_status cmap_build_many_fn(const struct cmap_key *keys,
                                            size_t n, void **objects,
                                            enum cmap_status *statuses,
                                            void *ctx) CMAP_NOEXCEPT;

/*
 * cmap_store_get_or_create of n keys: those that are absent, and that nobody
 * builds, are built by one call of `build`, each of them once. Then the call
 * waits for what others build, holding nothing, so that no two of these calls
 * wait in a circle. If the construction that it waits for fails and it is this
 * call that goes on, `build` is called once more, for that key; so it is if one
 * has failed before the call waited for it. Callbacks that run in the call
 * beside `build` (on_remove, object_destroy) and ask for a key that it has yet
 * to build get CMAP_EDEADLK. A cancellation outside of `build` waits until the
 * call is over.
 *   keys      n keys; the same one may come more than once
 *   handles   n of them, out
 *   statuses  n of them, out: what the single call would have returned. One
 *             key's failure does not stop the others
 *   how       for each key; CMAP_HASHED is ignored
 * It returns CMAP_OK if all statuses are, else the first that is not. If an
 * argument is NULL (with n above 0), or `how` is not valid, it does nothing,
 * leaves both arrays untouched and returns CMAP_EINVAL. If a key is absent:
 *   CMAP_ENOMEM  of that key: no memory for some 80 bytes a key
 * Not one moment: it is n calls. Cost: O(n).
 */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_store_get_many(struct cmap_store *store, const struct cmap_key *keys,
                    size_t n, struct cmap_handle *handles,
                    enum cmap_status *statuses, cmap_build_many_fn *build,
                    void *ctx, const struct cmap_how *how)
    CMAP_SYMBOL(store_get_many);

/*
 * Builds a new object for the key, present or not, and puts it. Others get the
 * old object meanwhile, and wait if there is none. Threads that refresh one key
 * at a time build once: the others wait for it, and get what it makes; but what
 * cmap_store_get_or_create or cmap_store_begin is building already is not
 * waited for: this call builds on its own then, and puts, also over what others
 * have put, removed or cleared meanwhile. Otherwise what happens meanwhile does
 * what it does to a construction in flight; a failure leaves the old object
 * there. `handle` may be NULL. Statuses as of cmap_store_get_or_create.
 */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_store_refresh(struct cmap_store *store, struct cmap_key key,
                   struct cmap_handle *handle, cmap_build_fn *build, void *ctx,
                   const struct cmap_how *how) CMAP_SYMBOL(store_refresh);

/*
 * Lets the store have an object, in place of what the key had. `handle` may be
 * NULL.
 *   CMAP_ENOMEM  the key has what it had, and the object is still the caller's;
 *                a bound may have made room already, so that others are evicted
 */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_store_put(struct cmap_store *store, struct cmap_key key, void *object,
               struct cmap_handle *handle, const struct cmap_how *how)
    CMAP_SYMBOL(store_put);

/*
 * Removes the key's object, or lets a construction in flight go on outside the
 * store. A failure that is remembered is forgotten.
 *   CMAP_NOT_FOUND  there was neither object nor construction
 */
CMAP_API enum cmap_status cmap_store_remove(struct cmap_store *store,
                                            struct cmap_key key,
                                            const struct cmap_how *how)
    CMAP_SYMBOL(store_remove);

/*
 * The same, but an object that is there stays.
 *   CMAP_NOT_FOUND  there was neither construction nor failure
 */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_store_forget(struct cmap_store *store, struct cmap_key key,
                  const struct cmap_how *how) CMAP_SYMBOL(store_forget);

/* Removes every key that was there when the call reached it. CMAP_EINVAL: NULL.
 */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_store_clear(struct cmap_store *store) CMAP_SYMBOL(store_clear);

/*
 * Makes room for so many objects in all, but not for more than max_objects: for
 * their keys, as cmap_reserve, and for their headers. Until there are so many
 * cmap_store_put takes memory no more for what grows with their number, but for
 * keys as there. It may still take a page of headers, since each thread keeps a
 * free one for itself, and a thread's first call its part of the statistics.
 * Constructions take some for themselves.
 *   CMAP_EINVAL  NULL
 *   CMAP_ENOMEM  what was made so far stays
 * Lock: as cmap_reserve; others wait for moments.
 */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_store_reserve(struct cmap_store *store, size_t objects)
    CMAP_SYMBOL(store_reserve);

/*
 * Gives memory back to the system that the store does not need now. Failures
 * that are out of date are forgotten, and storage of keys is made as small as
 * by cmap_shrink_to_fit. Headers of objects (32 bytes each) go by pages in
 * which no object has one; but for some 64 KiB they do so by themselves as
 * objects are destroyed. With CMAP_AUTO_SHRINK among the flags of the keys the
 * storage of keys goes by itself, too. With an allocator of your own all but
 * the failures is kept for this store.
 *   CMAP_EINVAL  NULL
 *   CMAP_ENOMEM  as of cmap_shrink_to_fit
 * Lock: as cmap_shrink_to_fit; others wait for moments.
 */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_store_shrink_to_fit(struct cmap_store *store)
    CMAP_SYMBOL(store_shrink_to_fit);

/*
 * Takes out the objects and the failures whose time is over. They go by and by
 * as others are asked for and put in; this is for a store that nobody uses for
 * a while, and for a program that wants them gone by a certain time. With
 * CMAP_TRY some 32 objects and 32 failures are looked at, and the next call
 * goes on from there; so it is with a deadline or a token.
 *   CMAP_BUSY, CMAP_TIMEDOUT, CMAP_ECANCELED  not all were looked at
 *   CMAP_EINVAL  NULL
 * Lock: none for longer than 32 objects take. Cost: O(n).
 */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_store_maintain(struct cmap_store *store, const struct cmap_how *how)
    CMAP_SYMBOL(store_maintain);

/* The number of objects in the store, among them those whose time is over and
   that were not taken out yet. Exact when no thread changes it; with a bound or
   times an object may be counted moments before it can be found. */
CMAP_API size_t cmap_store_len(const struct cmap_store *store)
    CMAP_SYMBOL(store_len);

/*
 * Calls visit for each object, with no lock held: it may use the store, also to
 * remove what it is shown. An object that is there from begin to end is visited
 * once, one that comes or goes meanwhile at most once. A status ends the walk
 * and is returned.
 *   CMAP_ENOMEM   some were not visited
 */
typedef enum cmap_status cmap_object_fn(struct cmap_key key, void *object,
                                        void *ctx) CMAP_NOEXCEPT;
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_store_for_each(struct cmap_store *store, cmap_object_fn *visit, void *ctx)
    CMAP_SYMBOL(store_for_each);

/* The hash of a key in this store, for CMAP_HASHED, as cmap_hash. CMAP_EINVAL:
   a NULL, or the key does not fit. */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_store_hash(const struct cmap_store *store, struct cmap_key key,
                uint64_t *hash) CMAP_SYMBOL(store_hash);

/* How many threads wait for the key's construction; 0 if there is none. Neither
   who builds is counted, though it wants the object too, nor a
   cmap_store_get_many that still builds others, nor who is to be told by a
   cmap_notify_fn, nor who waits for a refresh of a present object. */
CMAP_API size_t cmap_store_waiters(struct cmap_store *store,
                                   struct cmap_key key)
    CMAP_SYMBOL(store_waiters);

struct cmap_store_stats {
  size_t size;      /* in: sizeof(struct cmap_store_stats) */
  uint64_t objects; /* in the store */
  uint64_t hits;    /* calls that found the object there */
  uint64_t misses;  /* calls that did not */
  uint64_t running; /* constructions and tickets now */
  uint64_t waiters; /* threads that wait for one now */
  /* Constructions and tickets, each in one of these once it has ended: */
  uint64_t done;       /* that gave the object */
  uint64_t failed;     /* that gave a status */
  uint64_t abandoned;  /* whose thread ended, or whose ticket was given up */
  uint64_t overtaken;  /* that put came before, however they ended then */
  uint64_t build_ns;   /* time in constructors */
  uint64_t remembered; /* failures, now; some may be out of date */
  uint64_t bytes;      /* of memory in all, without the objects themselves */
  /* Objects that have left the store, by their reasons (enum cmap_removal): */
  uint64_t evicted;
  uint64_t expired;
  uint64_t replaced;
  uint64_t removed;
  uint64_t cleared;
  uint64_t too_dear; /* that were not kept, for what they cost */
  uint64_t cost;     /* with a bound or with times: what the objects cost in
                        all, or their number */
};

/* All zero, but for the size. */
static inline void cmap_store_stats_init(struct cmap_store_stats *stats)
{
  memset(stats, 0, sizeof *stats);
  stats->size = sizeof *stats;
}

/* Sums over all threads' counts, exact when no thread uses the store. Never
 * waits. Cost as cmap_get_stats. CMAP_EINVAL: a NULL, or stats->size is
 * wrong (section 1). */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_store_get_stats(const struct cmap_store *store,
                     struct cmap_store_stats *stats)
    CMAP_SYMBOL(store_get_stats);

/*
 * Tickets, for event loops: a construction that no thread waits for. Whoever
 * has the ticket completes it, on any thread; threads that ask for the key
 * wait as they would for a constructor. It is ended once, whatever copies of
 * the struct there are, which is not checked.
 *
 * The thread that began it is taken for the one that will end it: if it asks
 * for the key where it would wait, that is CMAP_EDEADLK. If it hands the ticket
 * over and then wants to wait, it calls cmap_ticket_unbind first, or the other
 * thread cmap_ticket_bind. Longer circles are found if a thread is bound to the
 * ticket.
 */
struct cmap_ticket {
  uintptr_t internal[2];
};

enum cmap_begin {
  CMAP_PRESENT, /* *handle is a handle of the object */
  CMAP_YOURS,   /* *ticket: complete it, let it fail, or abandon it */
  CMAP_PENDING  /* somebody else builds: notify will be called */
};

/*
 * Tells how a construction has ended. With CMAP_OK *handle is a handle, which
 * the callee releases or keeps (by copying the struct); with any other status
 * it is CMAP_INIT, which may be released as well. It is never NULL. Called
 * once, by the thread that ended it, with no lock held; an eventfd is written
 * to from here. With the policy "retry" a failure is told only if no thread
 * goes on.
 */
typedef void cmap_notify_fn(enum cmap_status status, struct cmap_handle *handle,
                            void *ctx) CMAP_NOEXCEPT;

/*
 * Asks for the key's object without ever waiting. *outcome says which of
 * `handle` and `ticket` was filled. notify may be NULL.
 * A failure that is remembered is the result, as of get_or_create.
 */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_store_begin(struct cmap_store *store, struct cmap_key key,
                 struct cmap_handle *handle, struct cmap_ticket *ticket,
                 enum cmap_begin *outcome, cmap_notify_fn *notify, void *ctx,
                 const struct cmap_how *how) CMAP_SYMBOL(store_begin);

/*
 * Ends the construction with an object: all who wait get it, and this call gets
 * a handle of it (of another one if put came first; this one is destroyed
 * then). The ticket becomes CMAP_INIT.
 *   CMAP_EINVAL      a NULL, no ticket, or another thread is bound to it
 *   CMAP_EABANDONED  the thread that was bound to it has ended; the ticket is
 *                    used up, and the object still the caller's
 */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_ticket_complete(struct cmap_ticket *ticket, void *object,
                     struct cmap_handle *handle) CMAP_SYMBOL(ticket_complete);

/* Ends it with a failure. Statuses as cmap_ticket_complete; CMAP_EINVAL also if
 * `why` is CMAP_OK. */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_ticket_fail(struct cmap_ticket *ticket, enum cmap_status why)
    CMAP_SYMBOL(ticket_fail);

/* Ends it with CMAP_EABANDONED. NULL, and no ticket, are allowed. */
CMAP_API void cmap_ticket_abandon(struct cmap_ticket *ticket)
    CMAP_SYMBOL(ticket_abandon);

/*
 * The calling thread is the one that builds: from now on deadlocks over it are
 * found, and only it may end the ticket. If it ends before, the ticket fails
 * with CMAP_EABANDONED.
 *   CMAP_EINVAL  no ticket, or bound already
 *   CMAP_ENOMEM
 */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_ticket_bind(struct cmap_ticket *ticket) CMAP_SYMBOL(ticket_bind);

/*
 * No thread is the one that builds, also not the one that began: any may end
 * the ticket, and any may wait for it.
 *   CMAP_EINVAL      no ticket, or another thread is bound to it
 *   CMAP_EABANDONED  the thread that was bound to it has ended; the ticket is
 *                    still to be ended
 */
CMAP_MUST_CHECK CMAP_API enum cmap_status
cmap_ticket_unbind(struct cmap_ticket *ticket) CMAP_SYMBOL(ticket_unbind);

/* -------------------------------------------------------------------------
 * 17. The typed layer
 *
 * CMAP_DEFINE(name, kind, value_type); at file scope makes a map of one type of
 * key and one type of value: `struct name`, and for every call cmap_x of the
 * sections 5 to 15 a function name_x (stores are below). They are thin inline
 * functions around the calls above, whose contracts hold for them. The compiler
 * refuses a map of another name, and a wrong key, value, output or callback: in
 * C the line makes errors of -Wint-conversion and -Wincompatible-pointer-types,
 * as newer compilers do by themselves, for all of the file that follows. All
 * names that begin with name_ are taken.
 *
 *     struct account {
 *       int64_t cents;
 *     };
 *     CMAP_DEFINE(bank, CMAP_STRING, struct account);
 *
 *     static enum cmap_status deposit(const char *owner,
 *                                     struct account *account, void *ctx)
 *     {
 *       (void)owner;
 *       account->cents += *(const int64_t *)ctx;
 *       return CMAP_OK;
 *     }
 *
 *     struct bank bank;
 *     struct account account = {100};
 *     int64_t cents = 5;
 *     status = bank_create(NULL, &bank);
 *     status = bank_insert(bank, "ada", account, NULL, NULL, NULL);
 *     status = bank_alter(bank, "ada", deposit, &cents, NULL);
 *     status = bank_get(bank, "ada", &account, NULL);
 *     bank_destroy(bank);
 *
 * Map. `struct name { struct cmap *map; }` is passed by value, because the
 *   compilers refuse a struct of another type, where of a pointer some only
 *   warn. It is a handle: copies of it mean the same map, which lives until
 *   name_destroy. A handle that is CMAP_INIT has no map: every call on it is
 *   CMAP_EINVAL, and name_destroy does nothing. Only name_create and name_clone
 *   take the address of a handle, and fill it in.
 *
 * Keys. The same type in calls and in callbacks:
 *     CMAP_DEFINE, CMAP_U32       uint32_t
 *     CMAP_DEFINE, CMAP_U64       uint64_t
 *     CMAP_DEFINE, CMAP_STRING    const char *, ended by 0
 *     CMAP_DEFINE, CMAP_BYTES     struct cmap_key: a slice of any bytes
 *     CMAP_DEFINE_FIXED(name, key_type, value_type);
 *                                 key_type, usually a struct, by value: up to
 *                                 256 bytes, compared as bytes
 *   Equal keys must be equal bytes. So key_type is no pointer to characters
 *   (CMAP_STRING compares what is pointed to; for addresses take uintptr_t) and
 *   no floating point type (0.0 and -0.0 are equal, but different bytes, and a
 *   NaN is never equal, but may be the same bytes; take the bits as an
 *   integer): the compiler refuses both. Beware of both as members of a
 *   struct, and of padding: equal members with different padding are different
 *   keys, and a struct passed by value need not keep its padding, so that
 *   clearing it with memset is not enough. Fill the gaps with members of your
 *   own that are always 0 (the compilers' -Wpadded finds them). C++ refuses
 *   structs with
 *   padding or floating point members; C cannot. The same holds for value_type
 *   in compare_exchange, remove_if_equal and equal, unless the options have
 *   value_equal. CMAP_CUSTOM keys have no typed layer.
 *
 * Values. What goes in is passed by value, what comes out is a value_type *
 *   that may be NULL where the untyped call allows it; name_get_or_insert and
 *   name_swap do both through one pointer. value_type is any type that can
 *   be assigned and moved by memcpy: no array (wrap it in a struct); a pointer
 *   to a function by way of a typedef. In C++ keys and values are trivially
 *   copyable: the compiler refuses std::string, whose destructor nobody would
 *   call. Values of many KiB are better inserted
 *   by name_get_or_insert_with or the untyped cmap_insert. gcc may remark on
 *   the alignment of arguments if alignof(value_type) is above 16: -Wno-psabi.
 *
 * Short forms of the commonest calls, with NULL for the rest and no `how`:
 *     name_find(map, key, &value)      name_get
 *     name_has(map, key)               name_contains: true for CMAP_OK
 *     name_put(map, key, value)        name_insert; of a set name_add
 *     name_put_new(map, key, value)    name_insert_new
 *     name_drop(map, key)              name_remove
 *     name_increase(map, key, by)      name_fetch_add
 *     name_change(map, key, fn, ctx)   name_alter
 *     name_read(map, key, &guard)      name_get_ref
 *     name_write(map, key, &guard)     name_get_mut
 *     name_each(map, fn, ctx)          name_for_each, of all
 *     name_keep(map, fn, ctx)          name_retain
 *   Sets have name_has, name_put, name_drop, name_each and name_keep.
 *
 * Guards and entries are struct name_read_guard, name_write_guard and
 *   name_entry, with a key and a value of these types, and are scoped by
 *   CMAP_AUTO(name_write_guard, guard). Wants of cmap_lock_many
 *   come from name_want(map, &key, mode), and name_multi_value(held, i) is the
 *   value; name_lock_keys(map, keys, n, mode, &held, how) takes an array of
 *   keys; the other calls on several keys are untyped, since their maps may be
 *   of several types, and so are cmap_entry_remove_entry and
 *   cmap_entry_replace_entry, which only make a difference for CMAP_CUSTOM
 *   keys.
 *
 * Iterators, snapshots, batches. struct name_iter has the present key and value
 *   with their types, and may be CMAP_AUTO(name_iter, iter). A name_snapshot is
 *   a handle as the map. Batches take an array of keys as above:
 *     name_get_many(map, keys, n, values, statuses, how)
 *   cmap_scan, and batches with hashes, are untyped (handle.map).
 *
 * Sets. CMAP_DEFINE_SET(name, kind); and CMAP_DEFINE_SET_FIXED(name, key_type);
 *   make a set: name_add (CMAP_EXISTS if the key is there), name_contains,
 *   name_remove, name_add_many, name_contains_many, name_remove_many, the
 *   calls of section 12 (name_merge without a callback: the union), iterators
 *   and name_for_each. Their callbacks get the key and ctx: name_view_fn, also
 *   for name_drain, and name_test_fn.
 *
 * Stores. CMAP_DEFINE_STORE(name, kind, object_type); and
 *   CMAP_DEFINE_STORE_FIXED(name, key_type, object_type); make a store of
 *   section 16: for every call cmap_store_x a name_x, with a name_build_fn that
 *   gets the key as above and an object_type **, and a name_object_fn for
 *   name_for_each. struct name_handle has the object with its type, and may be
 *   CMAP_AUTO(name_handle, handle); name_handle_copy, name_handle_origin,
 *   name_ticket_complete. Callbacks in the options, and the cmap_notify_fn of
 *   name_begin, stay untyped. name_create takes options or NULL, as of maps;
 *   all callbacks of the options get a void *, which C lets you assign. In C++
 *   a name_build_fn that throws has failed with CMAP_EABANDONED for all others.
 *
 * Callbacks have the types name_view_fn, name_value_fn, name_test_fn,
 *   name_compute_fn, name_update_fn and name_merge_fn: as the untyped ones, but
 *   with the key as above and value_type * instead of void *. A NULL one is
 *   CMAP_EINVAL (but for name_merge). Those in struct cmap_options stay
 *   untyped.
 *
 * Options. name_create takes the options or NULL, and fills in key_kind,
 *   key_size, value_size, and value_align if value_type needs more than 8.
 *   Each of them must be 0 or right (value_align: enough), and `size` must be
 *   sizeof(struct cmap_options): else CMAP_EINVAL.
 *
 * The name_fetch_ calls exist for every value_type, and treat the value as an
 *   unsigned integer; they return CMAP_ENOTSUP if it is not 4 or 8 bytes long.
 *
 * Several translation units. Put the CMAP_DEFINE line into a header: every unit
 *   has wrappers of its own, and a handle may go from one to another. Unused
 *   wrappers cost nothing and raise no warning. There is nothing to instantiate
 *   in a source file.
 *
 * The untyped map is handle.map: use it for what has no wrapper, and to look up
 *   a slice of a longer string in a CMAP_STRING map without a copy:
 *     cmap_get(bank.map, cmap_key_bytes(line, length), &account, NULL)
 * ------------------------------------------------------------------------- */

#define CMAP_DEFINE(name, kind, value_type)                                    \
  CMAP__OUTSIDE_BEGIN                                                          \
  CMAP__STRICT_TYPES                                                           \
  typedef cmap__key_of_##kind name##__key;                                     \
  CMAP__VALUE_TYPE(name, value_type);                                          \
  CMAP__TYPED struct cmap_key name##__key_in(const name##__key *key_)          \
  {                                                                            \
    return cmap__key_in_##kind(key_);                                          \
  }                                                                            \
  CMAP__TYPED name##__key name##__key_out(struct cmap_key key_)                \
  {                                                                            \
    return cmap__key_out_##kind(key_);                                         \
  }                                                                            \
  CMAP__TYPED_MAP(name, kind, 0)                                               \
  CMAP__OUTSIDE_END

#define CMAP_DEFINE_FIXED(name, key_type, value_type)                          \
  CMAP__OUTSIDE_BEGIN                                                          \
  CMAP__STRICT_TYPES                                                           \
  typedef key_type name##__key;                                                \
  CMAP__VALUE_TYPE(name, value_type);                                          \
  CMAP__TYPED struct cmap_key name##__key_in(const name##__key *key_)          \
  {                                                                            \
    return cmap_key_bytes(key_, sizeof *key_);                                 \
  }                                                                            \
  CMAP__TYPED name##__key name##__key_out(struct cmap_key key_)                \
  {                                                                            \
    name##__key copy_;                                                         \
    memcpy(&copy_, key_.data, sizeof copy_);                                   \
    return copy_;                                                              \
  }                                                                            \
  CMAP__FIXED_KEY(name##__key);                                                \
  CMAP__TYPED_MAP(name, CMAP_FIXED, sizeof(name##__key))                       \
  CMAP__OUTSIDE_END

/* Sets of the same kinds of keys. */
#define CMAP_DEFINE_SET(name, kind)                                            \
  CMAP__OUTSIDE_BEGIN                                                          \
  CMAP__STRICT_TYPES                                                           \
  typedef cmap__key_of_##kind name##__key;                                     \
  CMAP__TYPED struct cmap_key name##__key_in(const name##__key *key_)          \
  {                                                                            \
    return cmap__key_in_##kind(key_);                                          \
  }                                                                            \
  CMAP__TYPED name##__key name##__key_out(struct cmap_key key_)                \
  {                                                                            \
    return cmap__key_out_##kind(key_);                                         \
  }                                                                            \
  CMAP__TYPED_SET(name, kind, 0)                                               \
  CMAP__OUTSIDE_END

#define CMAP_DEFINE_SET_FIXED(name, key_type)                                  \
  CMAP__OUTSIDE_BEGIN                                                          \
  CMAP__STRICT_TYPES                                                           \
  typedef key_type name##__key;                                                \
  CMAP__TYPED struct cmap_key name##__key_in(const name##__key *key_)          \
  {                                                                            \
    return cmap_key_bytes(key_, sizeof *key_);                                 \
  }                                                                            \
  CMAP__TYPED name##__key name##__key_out(struct cmap_key key_)                \
  {                                                                            \
    name##__key copy_;                                                         \
    memcpy(&copy_, key_.data, sizeof copy_);                                   \
    return copy_;                                                              \
  }                                                                            \
  CMAP__FIXED_KEY(name##__key);                                                \
  CMAP__TYPED_SET(name, CMAP_FIXED, sizeof(name##__key))                       \
  CMAP__OUTSIDE_END

/*
 * The rest of the header is how that is made, and no part of the contract.
 *
 * The parameters end in an underscore, so that they neither shadow nor are
 * replaced by what the user calls `key` or `value`.
 */
#ifdef __cplusplus
#  define CMAP__ALIGNOF(type) alignof(type)
#  define CMAP__STATIC_ASSERT static_assert
#else
#  define CMAP__ALIGNOF(type) _Alignof(type)
#  define CMAP__STATIC_ASSERT _Static_assert
#endif

/* Is it of the type, as an operand? (An array is none.) */
#ifndef __cplusplus
/* clang-format off */
#  define CMAP__IF_TYPE(value, type, yes, no)                                  \
    _Generic(value, type: (yes), default: (no))
/* clang-format on */
#  define CMAP__IS_TYPE(value, type) CMAP__IF_TYPE(value, type, 1, 0)
#endif

/* X(type): those that are compared otherwise than as bytes. */
#define CMAP__TEXT_TYPES(X)  X(char) X(signed char) X(unsigned char)
#define CMAP__FLOAT_TYPES(X) X(float) X(double) X(long double)

#ifdef __cplusplus
extern "C++" {
/* Where a value is, for the duration of a call. */
template <typename type>
static inline const type *cmap__at(const type &value) noexcept
{
  return &value;
}

template <typename type> struct cmap__fixed_key {
  enum { is_text = 0, is_float = 0 };
};
#  define CMAP__IS_TEXT(type)                                                  \
    template <> struct cmap__fixed_key<type *> {                               \
      enum { is_text = 1, is_float = 0 };                                      \
    };                                                                         \
    template <> struct cmap__fixed_key<const type *> {                         \
      enum { is_text = 1, is_float = 0 };                                      \
    };
#  define CMAP__IS_FLOAT(type)                                                 \
    template <> struct cmap__fixed_key<type> {                                 \
      enum { is_text = 0, is_float = 1 };                                      \
    };
CMAP__TEXT_TYPES(CMAP__IS_TEXT)
CMAP__FLOAT_TYPES(CMAP__IS_FLOAT)
#  undef CMAP__IS_TEXT
#  undef CMAP__IS_FLOAT
}
#  define CMAP__KEY_IS_TEXT(type)  cmap__fixed_key<type>::is_text
#  define CMAP__KEY_IS_FLOAT(type) cmap__fixed_key<type>::is_float
#  define CMAP__KEY_IS_BYTES(type)                                             \
    (CMAP__KEY_IS_FLOAT(type) || __has_unique_object_representations(type))
#else
/* clang-format off */
#  define CMAP__IF_TEXT(type)  type **: 1, const type **: 1,
#  define CMAP__IF_FLOAT(type) type *: 1,
#  define CMAP__KEY_IS_TEXT(type)                                              \
    _Generic((type *)NULL, CMAP__TEXT_TYPES(CMAP__IF_TEXT) default: 0)
#  define CMAP__KEY_IS_FLOAT(type)                                             \
    _Generic((type *)NULL, CMAP__FLOAT_TYPES(CMAP__IF_FLOAT) default: 0)
/* clang-format on */
#  define CMAP__KEY_IS_BYTES(type) 1 /* C cannot know */
#endif

/*
 * A map is defined where functions are, or that is what the compiler says first
 * and last. In C++ and of clang it says little else; gcc refuses each function
 * of C by itself. The struct that C sees declared in a block is another one.
 */
#ifdef __cplusplus
/* clang-format off */
#  define CMAP__OUTSIDE namespace CMAP_DEFINE_stands_outside_of_functions {}
#  define CMAP__OUTSIDE_BEGIN CMAP__OUTSIDE extern "C++" {
#  define CMAP__OUTSIDE_END                                                    \
    } CMAP__OUTSIDE CMAP__STATIC_ASSERT(true, "a semicolon follows")
/* clang-format on */
#  define CMAP__STRICT_TYPES
#else
struct cmap__scope;
typedef struct cmap__scope *cmap__file_scope;
#  define CMAP__OUTSIDE_END                                                    \
    struct cmap__scope;                                                        \
    _Static_assert(                                                            \
        CMAP__IS_TYPE((struct cmap__scope *)NULL, cmap__file_scope),           \
        "CMAP_DEFINE stands outside of functions")
#  ifdef __clang__
/* clang-format off */
#    define CMAP__OUTSIDE_BEGIN                                                \
      CMAP__OUTSIDE_END;                                                       \
      _Pragma("clang diagnostic push")                                         \
      _Pragma("clang diagnostic fatal \"-Wcompare-distinct-pointer-types\"")   \
      _Static_assert(                                                          \
          sizeof((struct cmap__scope *)NULL == (cmap__file_scope)NULL),        \
          "CMAP_DEFINE stands outside of functions");                          \
      _Pragma("clang diagnostic pop")
/* clang-format on */
#  else
#    define CMAP__OUTSIDE_BEGIN CMAP__OUTSIDE_END;
#  endif
/* What the standard calls errors, and some C compilers warn of only. */
/* clang-format off */
#  define CMAP__PRAGMA(text) _Pragma(#text)
#  ifdef __clang__
#    define CMAP__STRICT_TYPES                                                 \
      CMAP__PRAGMA(GCC diagnostic error "-Wint-conversion")                    \
      CMAP__PRAGMA(GCC diagnostic error "-Wincompatible-pointer-types")        \
      CMAP__PRAGMA(GCC diagnostic error "-Wincompatible-function-pointer-types")
#  else
#    define CMAP__STRICT_TYPES                                                 \
      CMAP__PRAGMA(GCC diagnostic error "-Wint-conversion")                    \
      CMAP__PRAGMA(GCC diagnostic error "-Wincompatible-pointer-types")
#  endif
/* clang-format on */
#endif

/*
 * The type of values. Where that cannot be, the rest is made for `char`: so
 * that this is the only thing that the compiler finds.
 */
#ifdef __cplusplus
extern "C++" {
template <typename type> struct cmap__value_of {
  typedef type good;
  enum { is_array = 0 };
};
template <typename type, size_t n> struct cmap__value_of<type[n]> {
  typedef char good;
  enum { is_array = 1 };
};
}
#  define CMAP__VALUE_TYPE(name, type)                                         \
    CMAP__STATIC_ASSERT(!cmap__value_of<type>::is_array,                       \
                        "a value is no array: put a struct around it");        \
    typedef cmap__value_of<type>::good name##__value;                          \
    CMAP__PLAIN_TYPE(name##__value);                                           \
    CMAP__STATIC_ASSERT(CMAP__ALIGNOF(name##__value) <= 64,                    \
                        "values are aligned to 64 bytes or less")
#  define CMAP__PLAIN_TYPE(type)                                               \
    CMAP__STATIC_ASSERT(__is_trivially_copyable(type),                         \
                        "keys and values are moved as bytes: they must be "    \
                        "trivially copyable; take a pointer, and "             \
                        "value_destroy")
#else
#  define CMAP__VALUE_TYPE(name, type)                                         \
    _Static_assert(CMAP__IS_TYPE(*(__typeof__(type) *)NULL, __typeof__(type)), \
                   "a value is no array: put a struct around it");             \
    typedef __typeof__(*CMAP__IF_TYPE(                                         \
        *(__typeof__(type) *)NULL, __typeof__(type), (__typeof__(type) *)NULL, \
        (char *)NULL)) name##__value;                                          \
    CMAP__STATIC_ASSERT(CMAP__ALIGNOF(name##__value) <= 64,                    \
                        "values are aligned to 64 bytes or less")
#  define CMAP__PLAIN_TYPE(type)                                               \
    CMAP__STATIC_ASSERT(sizeof(type) > 0, "all types of C are")
#endif

#define CMAP__FIXED_KEY(type)                                                  \
  CMAP__PLAIN_TYPE(type);                                                      \
  CMAP__STATIC_ASSERT(sizeof(type) <= 256, "keys of up to 256 bytes");         \
  CMAP__STATIC_ASSERT(!CMAP__KEY_IS_TEXT(type),                                \
                      "strings are keys of CMAP_STRING, addresses uintptr_t"); \
  CMAP__STATIC_ASSERT(!CMAP__KEY_IS_FLOAT(type),                               \
                      "keys are compared as bytes: no floating point");        \
  CMAP__STATIC_ASSERT(CMAP__KEY_IS_BYTES(type),                                \
                      "keys are compared as bytes: no padding, and no "        \
                      "floating point members")

/*
 * Exceptions of typed callbacks: a step catches what the user's function
 * throws, and ends the call by a status; the wrapper throws it again when the
 * call has let go of its locks. The end of a thread is no exception that can be
 * kept, and goes on at once.
 */
#if defined(__cplusplus) && defined(__cpp_exceptions)
extern "C++" {
static inline void cmap__catch(std::exception_ptr &thrown)
{
  std::exception_ptr now = std::current_exception();
  if (!now)
    throw;
  if (!thrown)
    thrown = now;
}
static inline enum cmap_status cmap__pass_on(const std::exception_ptr &thrown,
                                             enum cmap_status status)
{
  if (thrown)
    std::rethrow_exception(thrown);
  return status;
}
}
#  define CMAP__THROWN                                                         \
    mutable std::exception_ptr thrown = nullptr;                               \
    bool keeps = false;
/* A step's last statement. */
#  define CMAP__RUN(pair, call)                                                \
    try {                                                                      \
      return call;                                                             \
    } catch (...) {                                                            \
      cmap__catch((pair)->thrown);                                             \
    }                                                                          \
    return CMAP_STATUS_LAST
/* What others wait for is abandoned. */
#  define CMAP__RUN_BUILD(pair, call)                                          \
    try {                                                                      \
      return call;                                                             \
    } catch (...) {                                                            \
      cmap__catch((pair)->thrown);                                             \
    }                                                                          \
    return CMAP_EABANDONED
/* Once something was thrown retain keeps what there is; others say no. */
#  define CMAP__RUN_TEST(pair, call)                                           \
    try {                                                                      \
      if (!(pair)->thrown)                                                     \
        return call;                                                           \
    } catch (...) {                                                            \
      cmap__catch((pair)->thrown);                                             \
    }                                                                          \
    return (pair)->keeps
#  define CMAP__KEEPS(pair)           (pair).keeps = true
#  define CMAP__PASS_ON(pair, status) cmap__pass_on((pair).thrown, status)
#  define CMAP__PASS_ON_OF(pair, entry)                                        \
    do {                                                                       \
      if ((pair).thrown)                                                       \
        (void)CMAP__PASS_ON(pair, cmap_entry_status(entry));                   \
    } while (0)
#else
#  define CMAP__THROWN
#  define CMAP__RUN(pair, call)         return call
#  define CMAP__RUN_BUILD(pair, call)   return call
#  define CMAP__RUN_TEST(pair, call)    return call
#  define CMAP__KEEPS(pair)             (void)(pair)
#  define CMAP__PASS_ON(pair, status)   (status)
#  define CMAP__PASS_ON_OF(pair, entry) (void)0
#endif

/* A step as the library's callback, if there is a function for it. */
#ifdef __cplusplus
#  define CMAP__STEP(fn, type, step)                                           \
    ((fn) ? reinterpret_cast<type *>(step) : CMAP__NULL)
#else
#  define CMAP__STEP(fn, type, step) ((fn) ? (step) : NULL)
#endif

#define CMAP__TYPED static inline __attribute__((unused))
#define CMAP__TYPED_STATUS                                                     \
  static inline __attribute__((unused, warn_unused_result)) enum cmap_status

/* Keys of each kind, and their way into and out of struct cmap_key. */
typedef uint32_t cmap__key_of_CMAP_U32;
typedef uint64_t cmap__key_of_CMAP_U64;
typedef const char *cmap__key_of_CMAP_STRING;
typedef struct cmap_key cmap__key_of_CMAP_BYTES;

static inline struct cmap_key cmap__key_in_CMAP_U32(const uint32_t *key)
{
  return cmap_key_u32(key);
}

static inline struct cmap_key cmap__key_in_CMAP_U64(const uint64_t *key)
{
  return cmap_key_u64(key);
}

static inline struct cmap_key cmap__key_in_CMAP_STRING(const char *const *key)
{
  return cmap_key_string(*key);
}

static inline struct cmap_key
cmap__key_in_CMAP_BYTES(const struct cmap_key *key)
{
  return *key;
}

#define cmap__key_out_CMAP_U32    cmap_key_as_u32
#define cmap__key_out_CMAP_U64    cmap_key_as_u64
#define cmap__key_out_CMAP_STRING cmap_key_as_string

static inline struct cmap_key cmap__key_out_CMAP_BYTES(struct cmap_key key)
{
  return key;
}

/* Of options: to be refused, as they are not for these types. */
#define CMAP__TYPED_MIXED_UP 0x80000000u

/* cmap_create with the options that the types decide. */
static inline enum cmap_status
cmap__typed_create(const struct cmap_options *options, enum cmap_key_kind kind,
                   size_t key_size, size_t value_size, size_t value_align,
                   struct cmap **map)
{
  struct cmap_options types;
  struct cmap_options filled;

  if (map != CMAP__NULL)
    *map = CMAP__NULL;
  cmap_options_init(&types, kind, value_size);
  filled = types;
  if (options != CMAP__NULL) {
    if (options->size != types.size ||
        (options->key_kind != 0 && options->key_kind != types.key_kind) ||
        (options->key_size != 0 && key_size != 0 &&
         options->key_size != key_size) ||
        (options->value_size != 0 && options->value_size != value_size) ||
        (options->value_align != 0 && options->value_align < value_align)) {
      types.flags = CMAP__TYPED_MIXED_UP;
      return cmap_create(&types, map);
    }
    filled = *options;
    filled.key_kind = types.key_kind;
    filled.value_size = value_size;
  }
  if (key_size != 0)
    filled.key_size = key_size;
  if (filled.value_align == 0 && value_align > 8)
    filled.value_align = value_align;
  return cmap_create(&filled, map);
}

/* A group of calls that is added to the library gets a macro of its own below
   and a line here. */
#define CMAP__TYPED_MAP(name, kind, key_size_)                                 \
  struct name {                                                                \
    struct cmap *map;                                                          \
  };                                                                           \
  CMAP__TYPED_CREATE(name, kind, key_size_)                                    \
  CMAP__TYPED_MANAGE(name)                                                     \
  CMAP__TYPED_CALLBACKS(name)                                                  \
  CMAP__TYPED_READ(name)                                                       \
  CMAP__TYPED_WRITE(name)                                                      \
  CMAP__TYPED_UPDATE(name)                                                     \
  CMAP__TYPED_ADD_OR_UPDATE(name)                                              \
  CMAP__TYPED_GUARDS(name)                                                     \
  CMAP__TYPED_ENTRIES(name)                                                    \
  CMAP__TYPED_MULTI(name)                                                      \
  CMAP__TYPED_WHOLE(name)                                                      \
  CMAP__TYPED_VISITS(name)                                                     \
  CMAP__TYPED_ITER(name)                                                       \
  CMAP__TYPED_BATCHES(name)                                                    \
  CMAP__TYPED_SHORT(name)

/* Section 5. */
#define CMAP__TYPED_CREATE(name, kind, key_size_)                              \
  CMAP__TYPED_STATUS name##_create(const struct cmap_options *options_,        \
                                   struct name *map_)                          \
  {                                                                            \
    return cmap__typed_create(                                                 \
        options_, kind, key_size_, sizeof(name##__value),                      \
        CMAP__ALIGNOF(name##__value), map_ ? &map_->map : NULL);               \
  }

#define CMAP__TYPED_MANAGE(name)                                               \
  CMAP__TYPED void name##_destroy(struct name map_)                            \
  {                                                                            \
    cmap_destroy(map_.map);                                                    \
  }                                                                            \
  CMAP__TYPED_STATUS name##_get_options(struct name map_,                      \
                                        struct cmap_options *options_)         \
  {                                                                            \
    return cmap_get_options(map_.map, options_);                               \
  }                                                                            \
  CMAP__TYPED_STATUS name##_hash(struct name map_, name##__key key_,           \
                                 uint64_t *hash_)                              \
  {                                                                            \
    return cmap_hash(map_.map, name##__key_in(&key_), hash_);                  \
  }

/*
 * The typed callbacks, and for each a step: what the library calls instead,
 * with the pair of the callback and its ctx.
 */
#define CMAP__TYPED_CALLBACKS(name)                                            \
  typedef enum cmap_status name##_view_fn(                                     \
      name##__key key_, const name##__value *value_, void *ctx_);              \
  typedef enum cmap_status name##_value_fn(name##__key key_,                   \
                                           name##__value *value_, void *ctx_); \
  typedef bool name##_test_fn(name##__key key_, name##__value *value_,         \
                              void *ctx_);                                     \
  typedef enum cmap_status name##_compute_fn(                                  \
      name##__key key_, const name##__value *old_, name##__value *fresh_,      \
      enum cmap_action *action_, void *ctx_);                                  \
  typedef enum cmap_status name##_update_fn(                                   \
      name##__key key_, const name##__value *old_, name##__value *fresh_,      \
      void *ctx_);                                                             \
  typedef enum cmap_status name##_merge_fn(                                    \
      name##__key key_, name##__value *value_,                                 \
      const name##__value *from_value_, void *ctx_);                           \
  CMAP__TYPED_PAIR(name, view)                                                 \
  CMAP__TYPED_PAIR(name, value)                                                \
  CMAP__TYPED_PAIR(name, test)                                                 \
  CMAP__TYPED_PAIR(name, compute)                                              \
  CMAP__TYPED_PAIR(name, merge)                                                \
  CMAP__TYPED enum cmap_status name##__view_step(                              \
      struct cmap_key key_, const void *value_, void *ctx_)                    \
  {                                                                            \
    CMAP__RUN(                                                                 \
        name##__view_of(ctx_),                                                 \
        name##__view_of(ctx_)->fn(name##__key_out(key_),                       \
                                  CMAP__AS(const name##__value *, value_),     \
                                  name##__view_of(ctx_)->ctx));                \
  }                                                                            \
  CMAP__TYPED enum cmap_status name##__value_step(struct cmap_key key_,        \
                                                  void *value_, void *ctx_)    \
  {                                                                            \
    CMAP__RUN(name##__value_of(ctx_),                                          \
              name##__value_of(ctx_)->fn(name##__key_out(key_),                \
                                         CMAP__AS(name##__value *, value_),    \
                                         name##__value_of(ctx_)->ctx));        \
  }                                                                            \
  CMAP__TYPED bool name##__test_step(struct cmap_key key_, void *value_,       \
                                     void *ctx_)                               \
  {                                                                            \
    CMAP__RUN_TEST(                                                            \
        name##__test_of(ctx_),                                                 \
        name##__test_of(ctx_)->fn(name##__key_out(key_),                       \
                                  CMAP__AS(name##__value *, value_),           \
                                  name##__test_of(ctx_)->ctx));                \
  }                                                                            \
  CMAP__TYPED enum cmap_status name##__compute_step(                           \
      struct cmap_key key_, const void *old_, void *fresh_,                    \
      enum cmap_action *action_, void *ctx_)                                   \
  {                                                                            \
    CMAP__RUN(                                                                 \
        name##__compute_of(ctx_),                                              \
        name##__compute_of(ctx_)->fn(name##__key_out(key_),                    \
                                     CMAP__AS(const name##__value *, old_),    \
                                     CMAP__AS(name##__value *, fresh_),        \
                                     action_, name##__compute_of(ctx_)->ctx)); \
  }                                                                            \
  CMAP__TYPED enum cmap_status name##__merge_step(                             \
      struct cmap_key key_, void *value_, const void *from_value_, void *ctx_) \
  {                                                                            \
    CMAP__RUN(name##__merge_of(ctx_),                                          \
              name##__merge_of(ctx_)->fn(                                      \
                  name##__key_out(key_), CMAP__AS(name##__value *, value_),    \
                  CMAP__AS(const name##__value *, from_value_),                \
                  name##__merge_of(ctx_)->ctx));                               \
  }
#define CMAP__TYPED_PAIR(name, what)                                           \
  struct name##__##what##_pair {                                               \
    name##_##what##_fn *fn;                                                    \
    void *ctx;                                                                 \
    CMAP__THROWN                                                               \
  };                                                                           \
  CMAP__TYPED const struct name##__##what##_pair *name##__##what##_of(         \
      void *ctx_)                                                              \
  {                                                                            \
    return CMAP__AS(const struct name##__##what##_pair *, ctx_);               \
  }

/* Section 6. */
#define CMAP__TYPED_READ(name)                                                 \
  CMAP__TYPED_STATUS name##_get(struct name map_, name##__key key_,            \
                                name##__value *value_,                         \
                                const struct cmap_how *how_)                   \
  {                                                                            \
    return cmap_get(map_.map, name##__key_in(&key_), value_, how_);            \
  }                                                                            \
  CMAP__TYPED_STATUS name##_contains(struct name map_, name##__key key_,       \
                                     const struct cmap_how *how_)              \
  {                                                                            \
    return cmap_contains(map_.map, name##__key_in(&key_), how_);               \
  }                                                                            \
  CMAP__TYPED_STATUS name##_view(struct name map_, name##__key key_,           \
                                 name##_view_fn *view_, void *ctx_,            \
                                 const struct cmap_how *how_)                  \
  {                                                                            \
    struct name##__view_pair pair_ = {view_, ctx_};                            \
    return CMAP__PASS_ON(                                                      \
        pair_, cmap_view(map_.map, name##__key_in(&key_),                      \
                         CMAP__STEP(view_, cmap_view_fn, name##__view_step),   \
                         &pair_, how_));                                       \
  }

/* Section 7. */
#define CMAP__TYPED_WRITE(name)                                                \
  CMAP__TYPED_STATUS name##_insert(struct name map_, name##__key key_,         \
                                   name##__value value_, name##__value *old_,  \
                                   enum cmap_event *event_,                    \
                                   const struct cmap_how *how_)                \
  {                                                                            \
    return cmap_insert(map_.map, name##__key_in(&key_), &value_, old_, event_, \
                       how_);                                                  \
  }                                                                            \
  CMAP__TYPED_STATUS name##_insert_new(                                        \
      struct name map_, name##__key key_, name##__value value_,                \
      name##__value *present_, const struct cmap_how *how_)                    \
  {                                                                            \
    return cmap_insert_new(map_.map, name##__key_in(&key_), &value_, present_, \
                           how_);                                              \
  }                                                                            \
  CMAP__TYPED_STATUS name##_get_or_insert(                                     \
      struct name map_, name##__key key_, name##__value *value_,               \
      enum cmap_event *event_, const struct cmap_how *how_)                    \
  {                                                                            \
    return cmap_get_or_insert(map_.map, name##__key_in(&key_), value_, event_, \
                              how_);                                           \
  }                                                                            \
  CMAP__TYPED_STATUS name##_get_or_insert_with(                                \
      struct name map_, name##__key key_, name##__value *value_,               \
      enum cmap_event *event_, name##_value_fn *make_, void *ctx_,             \
      const struct cmap_how *how_)                                             \
  {                                                                            \
    struct name##__value_pair pair_ = {make_, ctx_};                           \
    return CMAP__PASS_ON(                                                      \
        pair_, cmap_get_or_insert_with(                                        \
                   map_.map, name##__key_in(&key_), value_, event_,            \
                   CMAP__STEP(make_, cmap_value_fn, name##__value_step),       \
                   &pair_, how_));                                             \
  }                                                                            \
  CMAP__TYPED_STATUS name##_get_or_insert_with_unlocked(                       \
      struct name map_, name##__key key_, name##__value *value_,               \
      enum cmap_event *event_, name##_value_fn *make_, void *ctx_,             \
      const struct cmap_how *how_)                                             \
  {                                                                            \
    struct name##__value_pair pair_ = {make_, ctx_};                           \
    return CMAP__PASS_ON(                                                      \
        pair_, cmap_get_or_insert_with_unlocked(                               \
                   map_.map, name##__key_in(&key_), value_, event_,            \
                   CMAP__STEP(make_, cmap_value_fn, name##__value_step),       \
                   &pair_, how_));                                             \
  }                                                                            \
  CMAP__TYPED enum cmap_status name##_remove(                                  \
      struct name map_, name##__key key_, name##__value *old_,                 \
      const struct cmap_how *how_)                                             \
  {                                                                            \
    return cmap_remove(map_.map, name##__key_in(&key_), old_, how_);           \
  }                                                                            \
  CMAP__TYPED_STATUS name##_remove_if(                                         \
      struct name map_, name##__key key_, name##_test_fn *test_, void *ctx_,   \
      name##__value *old_, const struct cmap_how *how_)                        \
  {                                                                            \
    struct name##__test_pair pair_ = {test_, ctx_};                            \
    return CMAP__PASS_ON(                                                      \
        pair_,                                                                 \
        cmap_remove_if(map_.map, name##__key_in(&key_),                        \
                       CMAP__STEP(test_, cmap_test_fn, name##__test_step),     \
                       &pair_, old_, how_));                                   \
  }                                                                            \
  CMAP__TYPED_STATUS name##_remove_if_equal(                                   \
      struct name map_, name##__key key_, name##__value expected_,             \
      const struct cmap_how *how_)                                             \
  {                                                                            \
    return cmap_remove_if_equal(map_.map, name##__key_in(&key_), &expected_,   \
                                how_);                                         \
  }

/* Section 8. */
#define CMAP__TYPED_UPDATE(name)                                               \
  CMAP__TYPED_STATUS name##_compare_exchange(                                  \
      struct name map_, name##__key key_, name##__value expected_,             \
      name##__value value_, const struct cmap_how *how_)                       \
  {                                                                            \
    return cmap_compare_exchange(map_.map, name##__key_in(&key_), &expected_,  \
                                 &value_, how_);                               \
  }                                                                            \
  CMAP__TYPED_STATUS name##_replace_if(                                        \
      struct name map_, name##__key key_, name##_test_fn *test_, void *ctx_,   \
      name##__value value_, name##__value *old_, const struct cmap_how *how_)  \
  {                                                                            \
    struct name##__test_pair pair_ = {test_, ctx_};                            \
    return CMAP__PASS_ON(                                                      \
        pair_,                                                                 \
        cmap_replace_if(map_.map, name##__key_in(&key_),                       \
                        CMAP__STEP(test_, cmap_test_fn, name##__test_step),    \
                        &pair_, &value_, old_, how_));                         \
  }                                                                            \
  CMAP__TYPED_STATUS name##_swap(                                              \
      struct name map_, name##__key key_, name##__value *value_,               \
      enum cmap_event *event_, const struct cmap_how *how_)                    \
  {                                                                            \
    return cmap_swap(map_.map, name##__key_in(&key_), value_, event_, how_);   \
  }                                                                            \
  CMAP__TYPED_STATUS name##_compute(                                           \
      struct name map_, name##__key key_, name##__value *value_,               \
      enum cmap_event *event_, name##_compute_fn *compute_, void *ctx_,        \
      const struct cmap_how *how_)                                             \
  {                                                                            \
    struct name##__compute_pair pair_ = {compute_, ctx_};                      \
    return CMAP__PASS_ON(                                                      \
        pair_, cmap_compute(map_.map, name##__key_in(&key_), value_, event_,   \
                            CMAP__STEP(compute_, cmap_compute_fn,              \
                                       name##__compute_step),                  \
                            &pair_, how_));                                    \
  }                                                                            \
  CMAP__TYPED_STATUS name##_alter(struct name map_, name##__key key_,          \
                                  name##_value_fn *alter_, void *ctx_,         \
                                  const struct cmap_how *how_)                 \
  {                                                                            \
    struct name##__value_pair pair_ = {alter_, ctx_};                          \
    return CMAP__PASS_ON(pair_, cmap_alter(map_.map, name##__key_in(&key_),    \
                                           CMAP__STEP(alter_, cmap_value_fn,   \
                                                      name##__value_step),     \
                                           &pair_, how_));                     \
  }                                                                            \
  CMAP__TYPED_FETCH(name, fetch_add)                                           \
  CMAP__TYPED_FETCH(name, fetch_sub)                                           \
  CMAP__TYPED_FETCH(name, fetch_and)                                           \
  CMAP__TYPED_FETCH(name, fetch_or)                                            \
  CMAP__TYPED_FETCH(name, fetch_max)                                           \
  CMAP__TYPED_FETCH(name, fetch_min)

#define CMAP__TYPED_FETCH(name, fetch)                                         \
  CMAP__TYPED_STATUS name##_##fetch(struct name map_, name##__key key_,        \
                                    uint64_t operand_, uint64_t *before_,      \
                                    const struct cmap_how *how_)               \
  {                                                                            \
    return cmap_##fetch(map_.map, name##__key_in(&key_), operand_, before_,    \
                        how_);                                                 \
  }

/* Section 8: two callbacks in one call. */
#define CMAP__TYPED_ADD_OR_UPDATE(name)                                        \
  struct name##__add_or_update {                                               \
    name##_value_fn *add;                                                      \
    name##_update_fn *update;                                                  \
    void *ctx;                                                                 \
    CMAP__THROWN                                                               \
  };                                                                           \
  CMAP__TYPED const struct name##__add_or_update *name##__add_or_update_of(    \
      void *ctx_)                                                              \
  {                                                                            \
    return CMAP__AS(const struct name##__add_or_update *, ctx_);               \
  }                                                                            \
  CMAP__TYPED enum cmap_status name##__add_step(struct cmap_key key_,          \
                                                void *value_, void *ctx_)      \
  {                                                                            \
    CMAP__RUN(name##__add_or_update_of(ctx_),                                  \
              name##__add_or_update_of(ctx_)->add(                             \
                  name##__key_out(key_), CMAP__AS(name##__value *, value_),    \
                  name##__add_or_update_of(ctx_)->ctx));                       \
  }                                                                            \
  CMAP__TYPED enum cmap_status name##__update_step(                            \
      struct cmap_key key_, const void *old_, void *fresh_, void *ctx_)        \
  {                                                                            \
    CMAP__RUN(name##__add_or_update_of(ctx_),                                  \
              name##__add_or_update_of(ctx_)->update(                          \
                  name##__key_out(key_),                                       \
                  CMAP__AS(const name##__value *, old_),                       \
                  CMAP__AS(name##__value *, fresh_),                           \
                  name##__add_or_update_of(ctx_)->ctx));                       \
  }                                                                            \
  CMAP__TYPED_STATUS name##_add_or_update(                                     \
      struct name map_, name##__key key_, name##__value *value_,               \
      enum cmap_event *event_, name##_value_fn *add_,                          \
      name##_update_fn *update_, void *ctx_, const struct cmap_how *how_)      \
  {                                                                            \
    struct name##__add_or_update both_ = {add_, update_, ctx_};                \
    return CMAP__PASS_ON(                                                      \
        both_, cmap_add_or_update(                                             \
                   map_.map, name##__key_in(&key_), value_, event_,            \
                   CMAP__STEP(add_, cmap_value_fn, name##__add_step),          \
                   CMAP__STEP(update_, cmap_update_fn, name##__update_step),   \
                   &both_, how_));                                             \
  }                                                                            \
  CMAP__TYPED_STATUS name##_add_or_update_unlocked(                            \
      struct name map_, name##__key key_, name##__value *value_,               \
      enum cmap_event *event_, name##_value_fn *add_,                          \
      name##_update_fn *update_, void *ctx_, struct cmap_attempts *attempts_,  \
      const struct cmap_how *how_)                                             \
  {                                                                            \
    struct name##__add_or_update both_ = {add_, update_, ctx_};                \
    return CMAP__PASS_ON(                                                      \
        both_, cmap_add_or_update_unlocked(                                    \
                   map_.map, name##__key_in(&key_), value_, event_,            \
                   CMAP__STEP(add_, cmap_value_fn, name##__add_step),          \
                   CMAP__STEP(update_, cmap_update_fn, name##__update_step),   \
                   &both_, attempts_, how_));                                  \
  }

/*
 * Section 9. A typed guard has the untyped one in it. `key` is the stored key;
 * of CMAP_STRING and CMAP_BYTES it points into the map.
 */
#define CMAP__TYPED_GUARDS(name)                                               \
  struct name##_read_guard {                                                   \
    name##__key key;                                                           \
    const name##__value *value;                                                \
    struct cmap_read_guard guard;                                              \
  };                                                                           \
  struct name##_write_guard {                                                  \
    name##__key key;                                                           \
    name##__value *value;                                                      \
    struct cmap_write_guard guard;                                             \
  };                                                                           \
  CMAP__TYPED enum cmap_status name##__read_guard_show(                        \
      struct name##_read_guard *guard_, enum cmap_status status_)              \
  {                                                                            \
    const struct name##_read_guard none_ = CMAP_INIT;                          \
    if (status_ == CMAP_OK) {                                                  \
      guard_->key = name##__key_out(guard_->guard.key);                        \
      guard_->value = CMAP__AS(const name##__value *, guard_->guard.value);    \
    } else if (guard_ != NULL) {                                               \
      *guard_ = none_;                                                         \
    }                                                                          \
    return status_;                                                            \
  }                                                                            \
  CMAP__TYPED enum cmap_status name##__write_guard_show(                       \
      struct name##_write_guard *guard_, enum cmap_status status_)             \
  {                                                                            \
    const struct name##_write_guard none_ = CMAP_INIT;                         \
    if (status_ == CMAP_OK) {                                                  \
      guard_->key = name##__key_out(guard_->guard.key);                        \
      guard_->value = CMAP__AS(name##__value *, guard_->guard.value);          \
    } else if (guard_ != NULL) {                                               \
      *guard_ = none_;                                                         \
    }                                                                          \
    return status_;                                                            \
  }                                                                            \
  CMAP__TYPED_STATUS name##_get_ref(struct name map_, name##__key key_,        \
                                    struct name##_read_guard *guard_,          \
                                    const struct cmap_how *how_)               \
  {                                                                            \
    return name##__read_guard_show(                                            \
        guard_, cmap_get_ref(map_.map, name##__key_in(&key_),                  \
                             guard_ ? &guard_->guard : NULL, how_));           \
  }                                                                            \
  CMAP__TYPED_STATUS name##_get_mut(struct name map_, name##__key key_,        \
                                    struct name##_write_guard *guard_,         \
                                    const struct cmap_how *how_)               \
  {                                                                            \
    return name##__write_guard_show(                                           \
        guard_, cmap_get_mut(map_.map, name##__key_in(&key_),                  \
                             guard_ ? &guard_->guard : NULL, how_));           \
  }                                                                            \
  CMAP__TYPED_STATUS name##_get_or_insert_ref(                                 \
      struct name map_, name##__key key_, name##__value value_,                \
      struct name##_read_guard *guard_, enum cmap_event *event_,               \
      const struct cmap_how *how_)                                             \
  {                                                                            \
    return name##__read_guard_show(                                            \
        guard_,                                                                \
        cmap_get_or_insert_ref(map_.map, name##__key_in(&key_), &value_,       \
                               guard_ ? &guard_->guard : NULL, event_, how_)); \
  }                                                                            \
  CMAP__TYPED enum cmap_status name##_read_guard_release(                      \
      struct name##_read_guard *guard_)                                        \
  {                                                                            \
    enum cmap_status status_ =                                                 \
        cmap_read_guard_release(guard_ ? &guard_->guard : NULL);               \
    if (guard_ != NULL)                                                        \
      guard_->value = CMAP__AS(const name##__value *, guard_->guard.value);    \
    return status_;                                                            \
  }                                                                            \
  CMAP__TYPED enum cmap_status name##_write_guard_release(                     \
      struct name##_write_guard *guard_)                                       \
  {                                                                            \
    enum cmap_status status_ =                                                 \
        cmap_write_guard_release(guard_ ? &guard_->guard : NULL);              \
    if (guard_ != NULL)                                                        \
      guard_->value = CMAP__AS(name##__value *, guard_->guard.value);          \
    return status_;                                                            \
  }                                                                            \
  CMAP__TYPED_STATUS name##_read_guard_detach(                                 \
      struct name##_read_guard *guard_)                                        \
  {                                                                            \
    return cmap_read_guard_detach(guard_ ? &guard_->guard : NULL);             \
  }                                                                            \
  CMAP__TYPED_STATUS name##_write_guard_detach(                                \
      struct name##_write_guard *guard_)                                       \
  {                                                                            \
    return cmap_write_guard_detach(guard_ ? &guard_->guard : NULL);            \
  }                                                                            \
  CMAP__TYPED_STATUS name##_read_guard_attach(                                 \
      struct name##_read_guard *guard_)                                        \
  {                                                                            \
    return cmap_read_guard_attach(guard_ ? &guard_->guard : NULL);             \
  }                                                                            \
  CMAP__TYPED_STATUS name##_write_guard_attach(                                \
      struct name##_write_guard *guard_)                                       \
  {                                                                            \
    return cmap_write_guard_attach(guard_ ? &guard_->guard : NULL);            \
  }                                                                            \
  CMAP__TYPED_STATUS name##_write_guard_downgrade(                             \
      struct name##_write_guard *from_, struct name##_read_guard *to_)         \
  {                                                                            \
    enum cmap_status status_ = cmap_write_guard_downgrade(                     \
        from_ ? &from_->guard : NULL, to_ ? &to_->guard : NULL);               \
    if (status_ == CMAP_OK)                                                    \
      from_->value = NULL;                                                     \
    return name##__read_guard_show(to_, status_);                              \
  }                                                                            \
  CMAP__TYPED_STATUS name##_write_guard_remove(                                \
      struct name##_write_guard *guard_, name##__value *old_)                  \
  {                                                                            \
    enum cmap_status status_ =                                                 \
        cmap_write_guard_remove(guard_ ? &guard_->guard : NULL, old_);         \
    if (status_ == CMAP_OK)                                                    \
      guard_->value = NULL;                                                    \
    return status_;                                                            \
  }                                                                            \
  CMAP__TYPED size_t name##_read_guard_shard_index(                            \
      const struct name##_read_guard *guard_)                                  \
  {                                                                            \
    return guard_ ? cmap_read_guard_shard_index(&guard_->guard) : 0;           \
  }                                                                            \
  CMAP__TYPED size_t name##_write_guard_shard_index(                           \
      const struct name##_write_guard *guard_)                                 \
  {                                                                            \
    return guard_ ? cmap_write_guard_shard_index(&guard_->guard) : 0;          \
  }

/* Section 10. `value` is NULL while the entry is vacant. */
#define CMAP__TYPED_ENTRIES(name)                                              \
  struct name##_entry {                                                        \
    name##__key key;                                                           \
    name##__value *value;                                                      \
    struct cmap_entry entry;                                                   \
  };                                                                           \
  CMAP__TYPED void name##__entry_show(struct name##_entry *entry_)             \
  {                                                                            \
    entry_->value = CMAP__AS(name##__value *, entry_->entry.value);            \
    if (entry_->entry.key.data != NULL)                                        \
      entry_->key = name##__key_out(entry_->entry.key);                        \
  }                                                                            \
  CMAP__TYPED_STATUS name##_entry_begin(struct name map_, name##__key key_,    \
                                        struct name##_entry *entry_,           \
                                        const struct cmap_how *how_)           \
  {                                                                            \
    const struct name##_entry none_ = CMAP_INIT;                               \
    enum cmap_status status_ =                                                 \
        cmap_entry_begin(map_.map, name##__key_in(&key_),                      \
                         entry_ ? &entry_->entry : NULL, how_);                \
    if (status_ == CMAP_OK)                                                    \
      name##__entry_show(entry_);                                              \
    else if (entry_ != NULL)                                                   \
      *entry_ = none_;                                                         \
    return status_;                                                            \
  }                                                                            \
  CMAP__TYPED enum cmap_status name##_entry_release(                           \
      struct name##_entry *entry_)                                             \
  {                                                                            \
    enum cmap_status status_ =                                                 \
        cmap_entry_release(entry_ ? &entry_->entry : NULL);                    \
    if (entry_ != NULL)                                                        \
      entry_->value = CMAP__AS(name##__value *, entry_->entry.value);          \
    return status_;                                                            \
  }                                                                            \
  CMAP__TYPED struct name##_entry *name##_entry_and_modify(                    \
      struct name##_entry *entry_, name##_value_fn *modify_, void *ctx_)       \
  {                                                                            \
    struct name##__value_pair pair_ = {modify_, ctx_};                         \
    if (entry_ != NULL)                                                        \
      (void)cmap_entry_and_modify(                                             \
          &entry_->entry,                                                      \
          CMAP__STEP(modify_, cmap_value_fn, name##__value_step), &pair_);     \
    CMAP__PASS_ON_OF(pair_, &entry_->entry);                                   \
    return entry_;                                                             \
  }                                                                            \
  CMAP__TYPED_STATUS name##_entry_status(struct name##_entry *entry_)          \
  {                                                                            \
    return cmap_entry_status(entry_ ? &entry_->entry : NULL);                  \
  }                                                                            \
  CMAP__TYPED_STATUS name##_entry_or_insert(struct name##_entry *entry_,       \
                                            name##__value value_)              \
  {                                                                            \
    enum cmap_status status_ =                                                 \
        cmap_entry_or_insert(entry_ ? &entry_->entry : NULL, &value_);         \
    if (status_ == CMAP_OK)                                                    \
      name##__entry_show(entry_);                                              \
    return status_;                                                            \
  }                                                                            \
  CMAP__TYPED_STATUS name##_entry_or_insert_with(                              \
      struct name##_entry *entry_, name##_value_fn *make_, void *ctx_)         \
  {                                                                            \
    struct name##__value_pair pair_ = {make_, ctx_};                           \
    enum cmap_status status_ = CMAP__PASS_ON(                                  \
        pair_,                                                                 \
        cmap_entry_or_insert_with(                                             \
            entry_ ? &entry_->entry : NULL,                                    \
            CMAP__STEP(make_, cmap_value_fn, name##__value_step), &pair_));    \
    if (status_ == CMAP_OK)                                                    \
      name##__entry_show(entry_);                                              \
    return status_;                                                            \
  }                                                                            \
  CMAP__TYPED_STATUS name##_entry_or_default(struct name##_entry *entry_)      \
  {                                                                            \
    enum cmap_status status_ =                                                 \
        cmap_entry_or_default(entry_ ? &entry_->entry : NULL);                 \
    if (status_ == CMAP_OK)                                                    \
      name##__entry_show(entry_);                                              \
    return status_;                                                            \
  }                                                                            \
  CMAP__TYPED_STATUS name##_entry_insert(                                      \
      struct name##_entry *entry_, name##__value value_, name##__value *old_)  \
  {                                                                            \
    enum cmap_status status_ =                                                 \
        cmap_entry_insert(entry_ ? &entry_->entry : NULL, &value_, old_);      \
    if (status_ == CMAP_OK)                                                    \
      name##__entry_show(entry_);                                              \
    return status_;                                                            \
  }                                                                            \
  CMAP__TYPED_STATUS name##_entry_remove(struct name##_entry *entry_,          \
                                         name##__value *old_)                  \
  {                                                                            \
    enum cmap_status status_ =                                                 \
        cmap_entry_remove(entry_ ? &entry_->entry : NULL, old_);               \
    if (status_ == CMAP_OK)                                                    \
      name##__entry_show(entry_);                                              \
    return status_;                                                            \
  }                                                                            \
  CMAP__TYPED_STATUS name##_entry_into_guard(                                  \
      struct name##_entry *entry_, struct name##_write_guard *guard_)          \
  {                                                                            \
    enum cmap_status status_ = cmap_entry_into_guard(                          \
        entry_ ? &entry_->entry : NULL, guard_ ? &guard_->guard : NULL);       \
    if (status_ == CMAP_OK)                                                    \
      entry_->value = NULL;                                                    \
    return name##__write_guard_show(guard_, status_);                          \
  }                                                                            \
  CMAP__TYPED size_t name##_entry_shard_index(                                 \
      const struct name##_entry *entry_)                                       \
  {                                                                            \
    return entry_ ? cmap_entry_shard_index(&entry_->entry) : 0;                \
  }

/*
 * Section 11. name_want(map, &key, mode) makes a want for cmap_lock_many; the
 * key must live until that call returns. name_multi_value is the value of a
 * want that was made so.
 */
#define CMAP__TYPED_MULTI(name)                                                \
  CMAP__TYPED struct cmap_want name##_want(                                    \
      struct name map_, const name##__key *key_, enum cmap_mode mode_)         \
  {                                                                            \
    struct cmap_want want_ = CMAP_INIT;                                        \
    want_.map = map_.map;                                                      \
    if (key_ != NULL)                                                          \
      want_.key = name##__key_in(key_);                                        \
    want_.mode = mode_;                                                        \
    return want_;                                                              \
  }                                                                            \
  CMAP__TYPED_STATUS name##_lock_keys(                                         \
      struct name map_, const name##__key *keys_, size_t n_,                   \
      enum cmap_mode mode_, struct cmap_multi *held_,                          \
      const struct cmap_how *how_)                                             \
  {                                                                            \
    return cmap_lock_keys(map_.map, keys_, n_, mode_, held_, how_);            \
  }                                                                            \
  CMAP__TYPED name##__value *name##_multi_value(                               \
      const struct cmap_multi *held_, size_t i_)                               \
  {                                                                            \
    return CMAP__AS(name##__value *, cmap_multi_value(held_, i_));             \
  }                                                                            \
  CMAP__TYPED_STATUS name##_rename(struct name map_, name##__key old_key_,     \
                                   name##__key new_key_,                       \
                                   const struct cmap_how *how_)                \
  {                                                                            \
    return cmap_rename(map_.map, name##__key_in(&old_key_),                    \
                       name##__key_in(&new_key_), how_);                       \
  }                                                                            \
  CMAP__TYPED_STATUS name##_swap_values(struct name map_, name##__key a_,      \
                                        name##__key b_,                        \
                                        const struct cmap_how *how_)           \
  {                                                                            \
    return cmap_swap_values(map_.map, name##__key_in(&a_),                     \
                            name##__key_in(&b_), how_);                        \
  }

/* Sections 12 and 15: what has no values in it, for maps and sets. */
#define CMAP__TYPED_WHOLE(name)                                                \
  CMAP__TYPED size_t name##_len(struct name map_)                              \
  {                                                                            \
    return cmap_len(map_.map);                                                 \
  }                                                                            \
  CMAP__TYPED_STATUS name##_len_exact(struct name map_, size_t *len_,          \
                                      const struct cmap_how *how_)             \
  {                                                                            \
    return cmap_len_exact(map_.map, len_, how_);                               \
  }                                                                            \
  CMAP__TYPED bool name##_is_empty(struct name map_)                           \
  {                                                                            \
    return cmap_is_empty(map_.map);                                            \
  }                                                                            \
  CMAP__TYPED size_t name##_capacity(struct name map_)                         \
  {                                                                            \
    return cmap_capacity(map_.map);                                            \
  }                                                                            \
  CMAP__TYPED size_t name##_shard_count(struct name map_)                      \
  {                                                                            \
    return cmap_shard_count(map_.map);                                         \
  }                                                                            \
  CMAP__TYPED size_t name##_shard_index(struct name map_, uint64_t hash_)      \
  {                                                                            \
    return cmap_shard_index(map_.map, hash_);                                  \
  }                                                                            \
  CMAP__TYPED_STATUS name##_clear(struct name map_,                            \
                                  const struct cmap_how *how_)                 \
  {                                                                            \
    return cmap_clear(map_.map, how_);                                         \
  }                                                                            \
  CMAP__TYPED_STATUS name##_reserve(struct name map_, size_t entries_,         \
                                    const struct cmap_how *how_)               \
  {                                                                            \
    return cmap_reserve(map_.map, entries_, how_);                             \
  }                                                                            \
  CMAP__TYPED_STATUS name##_shrink_to_fit(struct name map_,                    \
                                          const struct cmap_how *how_)         \
  {                                                                            \
    return cmap_shrink_to_fit(map_.map, how_);                                 \
  }                                                                            \
  CMAP__TYPED_STATUS name##_freeze(struct name map_,                           \
                                   const struct cmap_how *how_)                \
  {                                                                            \
    return cmap_freeze(map_.map, how_);                                        \
  }                                                                            \
  CMAP__TYPED_STATUS name##_thaw(struct name map_)                             \
  {                                                                            \
    return cmap_thaw(map_.map);                                                \
  }                                                                            \
  CMAP__TYPED_STATUS name##_fork_begin(struct name map_,                       \
                                       const struct cmap_how *how_)            \
  {                                                                            \
    return cmap_fork_begin(map_.map, how_);                                    \
  }                                                                            \
  CMAP__TYPED enum cmap_status name##_fork_end(struct name map_)               \
  {                                                                            \
    return cmap_fork_end(map_.map);                                            \
  }                                                                            \
  CMAP__TYPED_STATUS name##_get_stats(struct name map_,                        \
                                      struct cmap_stats *stats_)               \
  {                                                                            \
    return cmap_get_stats(map_.map, stats_);                                   \
  }                                                                            \
  CMAP__TYPED_STATUS name##_dump(struct name map_, cmap_line_fn *line_,        \
                                 void *ctx_)                                   \
  {                                                                            \
    return cmap_dump(map_.map, line_, ctx_);                                   \
  }                                                                            \
  CMAP__TYPED_STATUS name##_check(struct name map_, const char **broken_,      \
                                  const struct cmap_how *how_)                 \
  {                                                                            \
    return cmap_check(map_.map, broken_, how_);                                \
  }                                                                            \
  CMAP__TYPED_STATUS name##_clone(struct name map_, struct name *copy_,        \
                                  const struct cmap_how *how_)                 \
  {                                                                            \
    return cmap_clone(map_.map, copy_ ? &copy_->map : NULL, how_);             \
  }                                                                            \
  CMAP__TYPED_STATUS name##_equal(struct name a_, struct name b_,              \
                                  bool *equal_, const struct cmap_how *how_)   \
  {                                                                            \
    return cmap_equal(a_.map, b_.map, equal_, how_);                           \
  }

/* Section 12: with values. */
#define CMAP__TYPED_VISITS(name)                                               \
  CMAP__TYPED_STATUS name##_view_all(struct name map_, name##_view_fn *view_,  \
                                     void *ctx_, const struct cmap_how *how_)  \
  {                                                                            \
    struct name##__view_pair pair_ = {view_, ctx_};                            \
    return CMAP__PASS_ON(pair_, cmap_view_all(map_.map,                        \
                                              CMAP__STEP(view_, cmap_view_fn,  \
                                                         name##__view_step),   \
                                              &pair_, how_));                  \
  }                                                                            \
  CMAP__TYPED_STATUS name##_alter_all(struct name map_,                        \
                                      name##_value_fn *alter_, void *ctx_,     \
                                      const struct cmap_how *how_)             \
  {                                                                            \
    struct name##__value_pair pair_ = {alter_, ctx_};                          \
    return CMAP__PASS_ON(                                                      \
        pair_,                                                                 \
        cmap_alter_all(map_.map,                                               \
                       CMAP__STEP(alter_, cmap_value_fn, name##__value_step),  \
                       &pair_, how_));                                         \
  }                                                                            \
  CMAP__TYPED_STATUS name##_retain(struct name map_, name##_test_fn *keep_,    \
                                   void *ctx_, size_t *removed_,               \
                                   const struct cmap_how *how_)                \
  {                                                                            \
    struct name##__test_pair pair_ = {keep_, ctx_};                            \
    CMAP__KEEPS(pair_);                                                        \
    return CMAP__PASS_ON(                                                      \
        pair_, cmap_retain(map_.map,                                           \
                           CMAP__STEP(keep_, cmap_test_fn, name##__test_step), \
                           &pair_, removed_, how_));                           \
  }                                                                            \
  CMAP__TYPED_STATUS name##_merge(struct name into_, struct name from_,        \
                                  name##_merge_fn *conflict_, void *ctx_,      \
                                  const struct cmap_how *how_)                 \
  {                                                                            \
    struct name##__merge_pair pair_ = {conflict_, ctx_};                       \
    return CMAP__PASS_ON(                                                      \
        pair_,                                                                 \
        cmap_merge(into_.map, from_.map,                                       \
                   CMAP__STEP(conflict_, cmap_merge_fn, name##__merge_step),   \
                   &pair_, how_));                                             \
  }                                                                            \
  CMAP__TYPED_STATUS name##_drain(struct name map_, name##_value_fn *take_,    \
                                  void *ctx_, const struct cmap_how *how_)     \
  {                                                                            \
    struct name##__value_pair pair_ = {take_, ctx_};                           \
    return CMAP__PASS_ON(pair_, cmap_drain(map_.map,                           \
                                           CMAP__STEP(take_, cmap_value_fn,    \
                                                      name##__value_step),     \
                                           &pair_, how_));                     \
  }                                                                            \
  CMAP__TYPED_STATUS name##_pop(struct name map_, size_t part_, size_t parts_, \
                                name##_value_fn *take_, void *ctx_,            \
                                const struct cmap_how *how_)                   \
  {                                                                            \
    struct name##__value_pair pair_ = {take_, ctx_};                           \
    return CMAP__PASS_ON(                                                      \
        pair_, cmap_pop(map_.map, part_, parts_,                               \
                        CMAP__STEP(take_, cmap_value_fn, name##__value_step),  \
                        &pair_, how_));                                        \
  }                                                                            \
  CMAP__TYPED_STATUS name##_for_each(struct name map_, size_t part_,           \
                                     size_t parts_, name##_view_fn *view_,     \
                                     void *ctx_, const struct cmap_how *how_)  \
  {                                                                            \
    struct name##__view_pair pair_ = {view_, ctx_};                            \
    return CMAP__PASS_ON(pair_, cmap_for_each(map_.map, part_, parts_,         \
                                              CMAP__STEP(view_, cmap_view_fn,  \
                                                         name##__view_step),   \
                                              &pair_, how_));                  \
  }                                                                            \
  struct name##_snapshot {                                                     \
    struct cmap_snapshot *snapshot;                                            \
  };                                                                           \
  CMAP__TYPED_STATUS name##_snapshot_create(                                   \
      struct name map_, enum cmap_snapshot_parts parts_,                       \
      struct name##_snapshot *snapshot_, const struct cmap_how *how_)          \
  {                                                                            \
    return cmap_snapshot_create(                                               \
        map_.map, parts_, snapshot_ ? &snapshot_->snapshot : NULL, how_);      \
  }                                                                            \
  CMAP__TYPED size_t name##_snapshot_count(struct name##_snapshot snapshot_)   \
  {                                                                            \
    return cmap_snapshot_count(snapshot_.snapshot);                            \
  }                                                                            \
  CMAP__TYPED name##__key name##_snapshot_key(                                 \
      struct name##_snapshot snapshot_, size_t i_)                             \
  {                                                                            \
    name##__key none_ = CMAP_INIT;                                             \
    struct cmap_key key_ = cmap_snapshot_key(snapshot_.snapshot, i_);          \
    return key_.data == NULL ? none_ : name##__key_out(key_);                  \
  }                                                                            \
  CMAP__TYPED const name##__value *name##_snapshot_value(                      \
      struct name##_snapshot snapshot_, size_t i_)                             \
  {                                                                            \
    return CMAP__AS(const name##__value *,                                     \
                    cmap_snapshot_value(snapshot_.snapshot, i_));              \
  }                                                                            \
  CMAP__TYPED void name##_snapshot_destroy(struct name##_snapshot snapshot_)   \
  {                                                                            \
    cmap_snapshot_destroy(snapshot_.snapshot);                                 \
  }

/* Section 13, for maps. */
#define CMAP__TYPED_ITER(name)                                                 \
  struct name##_iter {                                                         \
    name##__key key;                                                           \
    name##__value *value;                                                      \
    struct cmap_iter iter;                                                     \
  };                                                                           \
  CMAP__TYPED_ITER_CALLS(name)                                                 \
  CMAP__TYPED_STATUS name##_iter_next(struct name##_iter *iter_,               \
                                      const struct cmap_how *how_)             \
  {                                                                            \
    enum cmap_status status_ =                                                 \
        cmap_iter_next(iter_ ? &iter_->iter : NULL, how_);                     \
    if (iter_ != NULL)                                                         \
      iter_->value = CMAP__AS(name##__value *, iter_->iter.value);             \
    if (status_ == CMAP_OK)                                                    \
      iter_->key = name##__key_out(iter_->iter.key);                           \
    return status_;                                                            \
  }                                                                            \
  CMAP__TYPED_STATUS name##_iter_remove(struct name##_iter *iter_,             \
                                        name##__value *old_)                   \
  {                                                                            \
    enum cmap_status status_ =                                                 \
        cmap_iter_remove(iter_ ? &iter_->iter : NULL, old_);                   \
    if (status_ == CMAP_OK)                                                    \
      iter_->value = NULL;                                                     \
    return status_;                                                            \
  }                                                                            \
  CMAP__TYPED_STATUS name##_iter_into_read_guard(                              \
      struct name##_iter *iter_, struct name##_read_guard *guard_)             \
  {                                                                            \
    enum cmap_status status_ = cmap_iter_into_read_guard(                      \
        iter_ ? &iter_->iter : NULL, guard_ ? &guard_->guard : NULL);          \
    if (status_ == CMAP_OK)                                                    \
      iter_->value = NULL;                                                     \
    return name##__read_guard_show(guard_, status_);                           \
  }                                                                            \
  CMAP__TYPED_STATUS name##_iter_into_write_guard(                             \
      struct name##_iter *iter_, struct name##_write_guard *guard_)            \
  {                                                                            \
    enum cmap_status status_ = cmap_iter_into_write_guard(                     \
        iter_ ? &iter_->iter : NULL, guard_ ? &guard_->guard : NULL);          \
    if (status_ == CMAP_OK)                                                    \
      iter_->value = NULL;                                                     \
    return name##__write_guard_show(guard_, status_);                          \
  }

/* The calls on iterators of maps and sets that are alike. */
#define CMAP__TYPED_ITER_CALLS(name)                                           \
  CMAP__TYPED_STATUS name##_iter_begin(struct name map_, enum cmap_mode mode_, \
                                       size_t part_, size_t parts_,            \
                                       struct name##_iter *iter_)              \
  {                                                                            \
    const struct name##_iter none_ = CMAP_INIT;                                \
    if (iter_ != NULL)                                                         \
      *iter_ = none_;                                                          \
    return cmap_iter_begin(map_.map, mode_, part_, parts_,                     \
                           iter_ ? &iter_->iter : NULL);                       \
  }                                                                            \
  CMAP__TYPED_STATUS name##_iter_restart(struct name##_iter *iter_)            \
  {                                                                            \
    return cmap_iter_restart(iter_ ? &iter_->iter : NULL);                     \
  }                                                                            \
  CMAP__TYPED enum cmap_status name##_iter_release(struct name##_iter *iter_)  \
  {                                                                            \
    const struct name##_iter none_ = CMAP_INIT;                                \
    enum cmap_status status_ = cmap_iter_release(iter_ ? &iter_->iter : NULL); \
    if (iter_ != NULL && status_ == CMAP_OK)                                   \
      *iter_ = none_;                                                          \
    return status_;                                                            \
  }

/* Key i of an array of typed keys. */
typedef struct cmap_key cmap__key_at_fn(const void *keys, size_t i);

enum cmap__many {
  CMAP__MANY_GET,
  CMAP__MANY_CONTAINS,
  CMAP__MANY_INSERT,
  CMAP__MANY_REMOVE,
  CMAP__MANY_FETCH_ADD
};

/* A typed batch: `fresh` for what goes in, `values` for what comes out, both of
   value_size bytes each. */
struct cmap__typed_batch {
  enum cmap__many what;
  const void *keys;
  cmap__key_at_fn *key_at;
  size_t n;
  const void *fresh;
  void *values;
  size_t value_size;
  enum cmap_status *statuses;
};

/* `count` keys of it, from the first on. */
static inline enum cmap_status
cmap__typed_portion(struct cmap *map, const struct cmap__typed_batch *batch,
                    size_t first, size_t count, const struct cmap_how *how)
{
  enum cmap_status *statuses =
      batch->statuses ? batch->statuses + first : CMAP__NULL;
  size_t offset = first * batch->value_size;
  struct cmap_key keys[64];
  size_t i;

  for (i = 0; i < count; i++)
    keys[i] = batch->key_at(batch->keys, first + i);
  if (batch->what == CMAP__MANY_INSERT)
    return cmap_insert_many(map, keys, CMAP__NULL, count,
                            batch->fresh
                                ? CMAP__AS(const char *, batch->fresh) + offset
                                : CMAP__NULL,
                            statuses, how);
  if (batch->what == CMAP__MANY_CONTAINS)
    return cmap_contains_many(map, keys, CMAP__NULL, count, statuses, how);
  if (batch->what == CMAP__MANY_FETCH_ADD)
    return cmap_fetch_add_many(
        map, keys, CMAP__NULL, count,
        batch->fresh ? CMAP__AS(const uint64_t *, batch->fresh) + first
                     : CMAP__NULL,
        batch->values ? CMAP__AS(uint64_t *, batch->values) + first
                      : CMAP__NULL,
        statuses, how);
  return (batch->what == CMAP__MANY_GET ? cmap_get_many : cmap_remove_many)(
      map, keys, CMAP__NULL, count,
      batch->values ? CMAP__AS(char *, batch->values) + offset : CMAP__NULL,
      statuses, how);
}

static inline enum cmap_status
cmap__typed_many(struct cmap *map, const struct cmap__typed_batch *batch,
                 const struct cmap_how *how)
{
  enum cmap_status first = CMAP_OK;
  size_t done = 0;

  if (batch->n > 0 && batch->keys == CMAP__NULL)
    return cmap_contains_many(map, CMAP__NULL, CMAP__NULL, batch->n,
                              batch->statuses, how); /* which is refused */
  do {
    size_t count = batch->n - done < 64 ? batch->n - done : 64;
    enum cmap_status status = cmap__typed_portion(map, batch, done, count, how);
    if (first == CMAP_OK)
      first = status;
    done += count;
  } while (done < batch->n);
  return first;
}

/* Section 14, for maps and sets. */
#define CMAP__TYPED_KEY_BATCHES(name)                                          \
  CMAP__TYPED struct cmap_key name##__key_at(const void *keys_, size_t i_)     \
  {                                                                            \
    return name##__key_in(CMAP__AS(const name##__key *, keys_) + i_);          \
  }                                                                            \
  CMAP__TYPED enum cmap_status name##__many(                                   \
      struct name map_, enum cmap__many what_, const name##__key *keys_,       \
      size_t n_, const void *fresh_, void *values_, size_t value_size_,        \
      enum cmap_status *statuses_, const struct cmap_how *how_)                \
  {                                                                            \
    struct cmap__typed_batch batch_;                                           \
    batch_.what = what_;                                                       \
    batch_.keys = keys_;                                                       \
    batch_.key_at = name##__key_at;                                            \
    batch_.n = n_;                                                             \
    batch_.fresh = fresh_;                                                     \
    batch_.values = values_;                                                   \
    batch_.value_size = value_size_;                                           \
    batch_.statuses = statuses_;                                               \
    return cmap__typed_many(map_.map, &batch_, how_);                          \
  }                                                                            \
  CMAP__TYPED_STATUS name##_contains_many(                                     \
      struct name map_, const name##__key *keys_, size_t n_,                   \
      enum cmap_status *statuses_, const struct cmap_how *how_)                \
  {                                                                            \
    return name##__many(map_, CMAP__MANY_CONTAINS, keys_, n_, NULL, NULL, 0,   \
                        statuses_, how_);                                      \
  }

/* Section 14, for maps. */
#define CMAP__TYPED_BATCHES(name)                                              \
  CMAP__TYPED_KEY_BATCHES(name)                                                \
  CMAP__TYPED_STATUS name##_get_many(                                          \
      struct name map_, const name##__key *keys_, size_t n_,                   \
      name##__value *values_, enum cmap_status *statuses_,                     \
      const struct cmap_how *how_)                                             \
  {                                                                            \
    return name##__many(map_, CMAP__MANY_GET, keys_, n_, NULL, values_,        \
                        sizeof(name##__value), statuses_, how_);               \
  }                                                                            \
  CMAP__TYPED_STATUS name##_insert_many(                                       \
      struct name map_, const name##__key *keys_, size_t n_,                   \
      const name##__value *values_, enum cmap_status *statuses_,               \
      const struct cmap_how *how_)                                             \
  {                                                                            \
    return name##__many(map_, CMAP__MANY_INSERT, keys_, n_, values_, NULL,     \
                        sizeof(name##__value), statuses_, how_);               \
  }                                                                            \
  CMAP__TYPED_STATUS name##_remove_many(                                       \
      struct name map_, const name##__key *keys_, size_t n_,                   \
      name##__value *olds_, enum cmap_status *statuses_,                       \
      const struct cmap_how *how_)                                             \
  {                                                                            \
    return name##__many(map_, CMAP__MANY_REMOVE, keys_, n_, NULL, olds_,       \
                        sizeof(name##__value), statuses_, how_);               \
  }                                                                            \
  CMAP__TYPED_STATUS name##_fetch_add_many(                                    \
      struct name map_, const name##__key *keys_, size_t n_,                   \
      const uint64_t *operands_, uint64_t *befores_,                           \
      enum cmap_status *statuses_, const struct cmap_how *how_)                \
  {                                                                            \
    return name##__many(map_, CMAP__MANY_FETCH_ADD, keys_, n_, operands_,      \
                        befores_, sizeof(uint64_t), statuses_, how_);          \
  }

/* The short forms of maps and sets that are alike. */
#define CMAP__TYPED_SHORT_KEYS(name)                                           \
  CMAP__TYPED bool name##_has(struct name map_, name##__key key_)              \
  {                                                                            \
    return name##_contains(map_, key_, NULL) == CMAP_OK;                       \
  }                                                                            \
  CMAP__TYPED_STATUS name##_each(struct name map_, name##_view_fn *view_,      \
                                 void *ctx_)                                   \
  {                                                                            \
    return name##_for_each(map_, 0, 1, view_, ctx_, NULL);                     \
  }                                                                            \
  CMAP__TYPED_STATUS name##_keep(struct name map_, name##_test_fn *keep_,      \
                                 void *ctx_)                                   \
  {                                                                            \
    return name##_retain(map_, keep_, ctx_, NULL, NULL);                       \
  }

#define CMAP__TYPED_SHORT(name)                                                \
  CMAP__TYPED_SHORT_KEYS(name)                                                 \
  CMAP__TYPED_STATUS name##_find(struct name map_, name##__key key_,           \
                                 name##__value *value_)                        \
  {                                                                            \
    return name##_get(map_, key_, value_, NULL);                               \
  }                                                                            \
  CMAP__TYPED_STATUS name##_put(struct name map_, name##__key key_,            \
                                name##__value value_)                          \
  {                                                                            \
    return name##_insert(map_, key_, value_, NULL, NULL, NULL);                \
  }                                                                            \
  CMAP__TYPED_STATUS name##_put_new(struct name map_, name##__key key_,        \
                                    name##__value value_)                      \
  {                                                                            \
    return name##_insert_new(map_, key_, value_, NULL, NULL);                  \
  }                                                                            \
  CMAP__TYPED enum cmap_status name##_drop(struct name map_, name##__key key_) \
  {                                                                            \
    return name##_remove(map_, key_, NULL, NULL);                              \
  }                                                                            \
  CMAP__TYPED_STATUS name##_increase(struct name map_, name##__key key_,       \
                                     uint64_t by_)                             \
  {                                                                            \
    return name##_fetch_add(map_, key_, by_, NULL, NULL);                      \
  }                                                                            \
  CMAP__TYPED_STATUS name##_change(struct name map_, name##__key key_,         \
                                   name##_value_fn *change_, void *ctx_)       \
  {                                                                            \
    return name##_alter(map_, key_, change_, ctx_, NULL);                      \
  }                                                                            \
  CMAP__TYPED_STATUS name##_read(struct name map_, name##__key key_,           \
                                 struct name##_read_guard *guard_)             \
  {                                                                            \
    return name##_get_ref(map_, key_, guard_, NULL);                           \
  }                                                                            \
  CMAP__TYPED_STATUS name##_write(struct name map_, name##__key key_,          \
                                  struct name##_write_guard *guard_)           \
  {                                                                            \
    return name##_get_mut(map_, key_, guard_, NULL);                           \
  }

/* Sets: keys only. */
#define CMAP__TYPED_SET(name, kind, key_size_)                                 \
  struct name {                                                                \
    struct cmap *map;                                                          \
  };                                                                           \
  CMAP__TYPED_STATUS name##_create(const struct cmap_options *options_,        \
                                   struct name *set_)                          \
  {                                                                            \
    return cmap__typed_create(options_, kind, key_size_, 0, 1,                 \
                              set_ ? &set_->map : NULL);                       \
  }                                                                            \
  CMAP__TYPED_MANAGE(name)                                                     \
  CMAP__TYPED_WHOLE(name)                                                      \
  CMAP__TYPED_KEY_BATCHES(name)                                                \
  CMAP__TYPED_SET_CALLS(name)                                                  \
  CMAP__TYPED_SET_WALKS(name)                                                  \
  CMAP__TYPED_SHORT_KEYS(name)                                                 \
  CMAP__TYPED_STATUS name##_put(struct name set_, name##__key key_)            \
  {                                                                            \
    return name##_add(set_, key_, NULL);                                       \
  }                                                                            \
  CMAP__TYPED enum cmap_status name##_drop(struct name set_, name##__key key_) \
  {                                                                            \
    return name##_remove(set_, key_, NULL);                                    \
  }

#define CMAP__TYPED_SET_CALLS(name)                                            \
  CMAP__TYPED_STATUS name##_add(struct name set_, name##__key key_,            \
                                const struct cmap_how *how_)                   \
  {                                                                            \
    return cmap_insert_new(set_.map, name##__key_in(&key_), NULL, NULL, how_); \
  }                                                                            \
  CMAP__TYPED_STATUS name##_contains(struct name set_, name##__key key_,       \
                                     const struct cmap_how *how_)              \
  {                                                                            \
    return cmap_contains(set_.map, name##__key_in(&key_), how_);               \
  }                                                                            \
  CMAP__TYPED enum cmap_status name##_remove(                                  \
      struct name set_, name##__key key_, const struct cmap_how *how_)         \
  {                                                                            \
    return cmap_remove(set_.map, name##__key_in(&key_), NULL, how_);           \
  }                                                                            \
  CMAP__TYPED_STATUS name##_merge(struct name into_, struct name from_,        \
                                  const struct cmap_how *how_)                 \
  {                                                                            \
    return cmap_merge(into_.map, from_.map, NULL, NULL, how_);                 \
  }                                                                            \
  CMAP__TYPED_STATUS name##_add_many(                                          \
      struct name set_, const name##__key *keys_, size_t n_,                   \
      enum cmap_status *statuses_, const struct cmap_how *how_)                \
  {                                                                            \
    return name##__many(set_, CMAP__MANY_INSERT, keys_, n_, NULL, NULL, 0,     \
                        statuses_, how_);                                      \
  }                                                                            \
  CMAP__TYPED_STATUS name##_remove_many(                                       \
      struct name set_, const name##__key *keys_, size_t n_,                   \
      enum cmap_status *statuses_, const struct cmap_how *how_)                \
  {                                                                            \
    return name##__many(set_, CMAP__MANY_REMOVE, keys_, n_, NULL, NULL, 0,     \
                        statuses_, how_);                                      \
  }

#define CMAP__TYPED_SET_WALKS(name)                                            \
  typedef enum cmap_status name##_view_fn(name##__key key_, void *ctx_);       \
  typedef bool name##_test_fn(name##__key key_, void *ctx_);                   \
  CMAP__TYPED_PAIR(name, view)                                                 \
  CMAP__TYPED_PAIR(name, test)                                                 \
  CMAP__TYPED enum cmap_status name##__view_step(                              \
      struct cmap_key key_, const void *value_, void *ctx_)                    \
  {                                                                            \
    (void)value_;                                                              \
    CMAP__RUN(name##__view_of(ctx_),                                           \
              name##__view_of(ctx_)->fn(name##__key_out(key_),                 \
                                        name##__view_of(ctx_)->ctx));          \
  }                                                                            \
  CMAP__TYPED enum cmap_status name##__take_step(struct cmap_key key_,         \
                                                 void *value_, void *ctx_)     \
  {                                                                            \
    return name##__view_step(key_, value_, ctx_);                              \
  }                                                                            \
  CMAP__TYPED bool name##__test_step(struct cmap_key key_, void *value_,       \
                                     void *ctx_)                               \
  {                                                                            \
    (void)value_;                                                              \
    CMAP__RUN_TEST(name##__test_of(ctx_),                                      \
                   name##__test_of(ctx_)->fn(name##__key_out(key_),            \
                                             name##__test_of(ctx_)->ctx));     \
  }                                                                            \
  CMAP__TYPED_STATUS name##_view_all(struct name set_, name##_view_fn *view_,  \
                                     void *ctx_, const struct cmap_how *how_)  \
  {                                                                            \
    struct name##__view_pair pair_ = {view_, ctx_};                            \
    return CMAP__PASS_ON(pair_, cmap_view_all(set_.map,                        \
                                              CMAP__STEP(view_, cmap_view_fn,  \
                                                         name##__view_step),   \
                                              &pair_, how_));                  \
  }                                                                            \
  CMAP__TYPED_STATUS name##_for_each(struct name set_, size_t part_,           \
                                     size_t parts_, name##_view_fn *view_,     \
                                     void *ctx_, const struct cmap_how *how_)  \
  {                                                                            \
    struct name##__view_pair pair_ = {view_, ctx_};                            \
    return CMAP__PASS_ON(pair_, cmap_for_each(set_.map, part_, parts_,         \
                                              CMAP__STEP(view_, cmap_view_fn,  \
                                                         name##__view_step),   \
                                              &pair_, how_));                  \
  }                                                                            \
  CMAP__TYPED_STATUS name##_drain(struct name set_, name##_view_fn *take_,     \
                                  void *ctx_, const struct cmap_how *how_)     \
  {                                                                            \
    struct name##__view_pair pair_ = {take_, ctx_};                            \
    return CMAP__PASS_ON(                                                      \
        pair_, cmap_drain(set_.map,                                            \
                          CMAP__STEP(take_, cmap_value_fn, name##__take_step), \
                          &pair_, how_));                                      \
  }                                                                            \
  CMAP__TYPED_STATUS name##_pop(struct name set_, size_t part_, size_t parts_, \
                                name##_view_fn *take_, void *ctx_,             \
                                const struct cmap_how *how_)                   \
  {                                                                            \
    struct name##__view_pair pair_ = {take_, ctx_};                            \
    return CMAP__PASS_ON(                                                      \
        pair_, cmap_pop(set_.map, part_, parts_,                               \
                        CMAP__STEP(take_, cmap_value_fn, name##__take_step),   \
                        &pair_, how_));                                        \
  }                                                                            \
  CMAP__TYPED_STATUS name##_retain(struct name set_, name##_test_fn *keep_,    \
                                   void *ctx_, size_t *removed_,               \
                                   const struct cmap_how *how_)                \
  {                                                                            \
    struct name##__test_pair pair_ = {keep_, ctx_};                            \
    CMAP__KEEPS(pair_);                                                        \
    return CMAP__PASS_ON(                                                      \
        pair_, cmap_retain(set_.map,                                           \
                           CMAP__STEP(keep_, cmap_test_fn, name##__test_step), \
                           &pair_, removed_, how_));                           \
  }                                                                            \
  struct name##_iter {                                                         \
    name##__key key;                                                           \
    struct cmap_iter iter;                                                     \
  };                                                                           \
  CMAP__TYPED_ITER_CALLS(name)                                                 \
  CMAP__TYPED_STATUS name##_iter_next(struct name##_iter *iter_,               \
                                      const struct cmap_how *how_)             \
  {                                                                            \
    enum cmap_status status_ =                                                 \
        cmap_iter_next(iter_ ? &iter_->iter : NULL, how_);                     \
    if (status_ == CMAP_OK)                                                    \
      iter_->key = name##__key_out(iter_->iter.key);                           \
    return status_;                                                            \
  }                                                                            \
  CMAP__TYPED_STATUS name##_iter_remove(struct name##_iter *iter_)             \
  {                                                                            \
    return cmap_iter_remove(iter_ ? &iter_->iter : NULL, NULL);                \
  }

/*
 * Section 16: stores of objects of one type.
 */
#define CMAP_DEFINE_STORE(name, kind, object_type)                             \
  CMAP__OUTSIDE_BEGIN                                                          \
  CMAP__STRICT_TYPES                                                           \
  typedef cmap__key_of_##kind name##__key;                                     \
  typedef object_type name##__object;                                          \
  CMAP__TYPED struct cmap_key name##__key_in(const name##__key *key_)          \
  {                                                                            \
    return cmap__key_in_##kind(key_);                                          \
  }                                                                            \
  CMAP__TYPED name##__key name##__key_out(struct cmap_key key_)                \
  {                                                                            \
    return cmap__key_out_##kind(key_);                                         \
  }                                                                            \
  CMAP__TYPED_STORE(name, kind, 0)                                             \
  CMAP__OUTSIDE_END

#define CMAP_DEFINE_STORE_FIXED(name, key_type, object_type)                   \
  CMAP__OUTSIDE_BEGIN                                                          \
  CMAP__STRICT_TYPES                                                           \
  typedef key_type name##__key;                                                \
  typedef object_type name##__object;                                          \
  CMAP__TYPED struct cmap_key name##__key_in(const name##__key *key_)          \
  {                                                                            \
    return cmap_key_bytes(key_, sizeof *key_);                                 \
  }                                                                            \
  CMAP__TYPED name##__key name##__key_out(struct cmap_key key_)                \
  {                                                                            \
    name##__key copy_;                                                         \
    memcpy(&copy_, key_.data, sizeof copy_);                                   \
    return copy_;                                                              \
  }                                                                            \
  CMAP__FIXED_KEY(name##__key);                                                \
  CMAP__TYPED_STORE(name, CMAP_FIXED, sizeof(name##__key))                     \
  CMAP__OUTSIDE_END

/* cmap_store_create with the options that the types decide. */
static inline enum cmap_status
cmap__typed_store_create(const struct cmap_store_options *options,
                         enum cmap_key_kind kind, size_t key_size,
                         struct cmap_store **store)
{
  struct cmap_store_options types;
  struct cmap_store_options filled;

  if (store != CMAP__NULL)
    *store = CMAP__NULL;
  cmap_store_options_init(&types, kind, CMAP__NULL);
  filled = types;
  if (options != CMAP__NULL) {
    if (options->size != types.size || options->keys.size != types.keys.size ||
        (options->keys.key_kind != 0 &&
         options->keys.key_kind != types.keys.key_kind) ||
        (options->keys.key_size != 0 && key_size != 0 &&
         options->keys.key_size != key_size)) {
      types.keys.flags = CMAP__TYPED_MIXED_UP;
      return cmap_store_create(&types, store);
    }
    filled = *options;
    filled.keys.key_kind = types.keys.key_kind;
  }
  if (key_size != 0)
    filled.keys.key_size = key_size;
  return cmap_store_create(&filled, store);
}

#define CMAP__TYPED_STORE(name, kind, key_size_)                               \
  CMAP__STATIC_ASSERT(sizeof(name##__key) <= 256,                              \
                      "keys have 256 bytes or less");                          \
  struct name {                                                                \
    struct cmap_store *store;                                                  \
  };                                                                           \
  CMAP__TYPED_STORE_WHOLE(name, kind, key_size_)                               \
  CMAP__TYPED_HANDLES(name)                                                    \
  CMAP__TYPED_STORE_CALLBACKS(name)                                            \
  CMAP__TYPED_STORE_GET(name)                                                  \
  CMAP__TYPED_STORE_CHANGE(name)                                               \
  CMAP__TYPED_TICKETS(name)

#define CMAP__TYPED_STORE_WHOLE(name, kind, key_size_)                         \
  CMAP__TYPED_STATUS name##_create(const struct cmap_store_options *options_,  \
                                   struct name *store_)                        \
  {                                                                            \
    return cmap__typed_store_create(options_, kind, key_size_,                 \
                                    store_ ? &store_->store : NULL);           \
  }                                                                            \
  CMAP__TYPED_STATUS name##_destroy(struct name store_)                        \
  {                                                                            \
    return cmap_store_destroy(store_.store);                                   \
  }                                                                            \
  CMAP__TYPED_STATUS name##_clear(struct name store_)                          \
  {                                                                            \
    return cmap_store_clear(store_.store);                                     \
  }                                                                            \
  CMAP__TYPED_STATUS name##_reserve(struct name store_, size_t objects_)       \
  {                                                                            \
    return cmap_store_reserve(store_.store, objects_);                         \
  }                                                                            \
  CMAP__TYPED_STATUS name##_shrink_to_fit(struct name store_)                  \
  {                                                                            \
    return cmap_store_shrink_to_fit(store_.store);                             \
  }                                                                            \
  CMAP__TYPED_STATUS name##_maintain(struct name store_,                       \
                                     const struct cmap_how *how_)              \
  {                                                                            \
    return cmap_store_maintain(store_.store, how_);                            \
  }                                                                            \
  CMAP__TYPED size_t name##_len(struct name store_)                            \
  {                                                                            \
    return cmap_store_len(store_.store);                                       \
  }                                                                            \
  CMAP__TYPED_STATUS name##_get_stats(struct name store_,                      \
                                      struct cmap_store_stats *stats_)         \
  {                                                                            \
    return cmap_store_get_stats(store_.store, stats_);                         \
  }                                                                            \
  CMAP__TYPED_STATUS name##_hash(struct name store_, name##__key key_,         \
                                 uint64_t *hash_)                              \
  {                                                                            \
    return cmap_store_hash(store_.store, name##__key_in(&key_), hash_);        \
  }                                                                            \
  CMAP__TYPED size_t name##_waiters(struct name store_, name##__key key_)      \
  {                                                                            \
    return cmap_store_waiters(store_.store, name##__key_in(&key_));            \
  }

#define CMAP__TYPED_HANDLES(name)                                              \
  struct name##_handle {                                                       \
    name##__object *object;                                                    \
    struct cmap_handle handle;                                                 \
  };                                                                           \
  CMAP__TYPED struct cmap_handle *name##__handle_in(                           \
      struct name##_handle *handle_)                                           \
  {                                                                            \
    return handle_ ? &handle_->handle : NULL;                                  \
  }                                                                            \
  CMAP__TYPED enum cmap_status name##__handle_show(                            \
      struct name##_handle *handle_, enum cmap_status status_)                 \
  {                                                                            \
    const struct name##_handle none_ = CMAP_INIT;                              \
    if (handle_ != NULL && status_ == CMAP_OK)                                 \
      handle_->object = CMAP__AS(name##__object *, handle_->handle.object);    \
    else if (handle_ != NULL)                                                  \
      *handle_ = none_;                                                        \
    return status_;                                                            \
  }                                                                            \
  CMAP__TYPED void name##_handle_release(struct name##_handle *handle_)        \
  {                                                                            \
    if (handle_ == NULL)                                                       \
      return;                                                                  \
    cmap_handle_release(&handle_->handle);                                     \
    handle_->object = NULL;                                                    \
  }                                                                            \
  CMAP__TYPED_STATUS name##_handle_copy(const struct name##_handle *from_,     \
                                        struct name##_handle *to_)             \
  {                                                                            \
    return name##__handle_show(to_,                                            \
                               cmap_handle_copy(from_ ? &from_->handle : NULL, \
                                                name##__handle_in(to_)));      \
  }                                                                            \
  CMAP__TYPED enum cmap_origin name##_handle_origin(                           \
      const struct name##_handle *handle_)                                     \
  {                                                                            \
    return cmap_handle_origin(handle_ ? &handle_->handle : NULL);              \
  }

#define CMAP__TYPED_STORE_CALLBACKS(name)                                      \
  typedef enum cmap_status name##_build_fn(                                    \
      name##__key key_, name##__object **object_, void *ctx_);                 \
  typedef enum cmap_status name##_object_fn(                                   \
      name##__key key_, name##__object *object_, void *ctx_);                  \
  CMAP__TYPED_PAIR(name, build)                                                \
  CMAP__TYPED_PAIR(name, object)                                               \
  CMAP__TYPED enum cmap_status name##__build_now(                              \
      const struct name##__build_pair *pair_, struct cmap_key key_,            \
      void **object_)                                                          \
  {                                                                            \
    name##__object *made_ = NULL;                                              \
    enum cmap_status status_ =                                                 \
        pair_->fn(name##__key_out(key_), &made_, pair_->ctx);                  \
    *object_ = made_;                                                          \
    return status_;                                                            \
  }                                                                            \
  CMAP__TYPED enum cmap_status name##__build_step(struct cmap_key key_,        \
                                                  void **object_, void *ctx_)  \
  {                                                                            \
    CMAP__RUN_BUILD(name##__build_of(ctx_),                                    \
                    name##__build_now(name##__build_of(ctx_), key_, object_)); \
  }                                                                            \
  CMAP__TYPED enum cmap_status name##__object_step(struct cmap_key key_,       \
                                                   void *object_, void *ctx_)  \
  {                                                                            \
    CMAP__RUN(name##__object_of(ctx_),                                         \
              name##__object_of(ctx_)->fn(name##__key_out(key_),               \
                                          CMAP__AS(name##__object *, object_), \
                                          name##__object_of(ctx_)->ctx));      \
  }

#define CMAP__TYPED_STORE_GET(name)                                            \
  CMAP__TYPED_STATUS name##_get(struct name store_, name##__key key_,          \
                                struct name##_handle *handle_,                 \
                                const struct cmap_how *how_)                   \
  {                                                                            \
    return name##__handle_show(                                                \
        handle_, cmap_store_get(store_.store, name##__key_in(&key_),           \
                                name##__handle_in(handle_), how_));            \
  }                                                                            \
  CMAP__TYPED_STATUS name##_get_or_create(                                     \
      struct name store_, name##__key key_, struct name##_handle *handle_,     \
      name##_build_fn *build_, void *ctx_, const struct cmap_how *how_)        \
  {                                                                            \
    struct name##__build_pair pair_ = {build_, ctx_};                          \
    enum cmap_status status_ = cmap_store_get_or_create(                       \
        store_.store, name##__key_in(&key_), name##__handle_in(handle_),       \
        CMAP__STEP(build_, cmap_build_fn, name##__build_step), &pair_, how_);  \
    return name##__handle_show(handle_, CMAP__PASS_ON(pair_, status_));        \
  }                                                                            \
  CMAP__TYPED_STATUS name##_refresh(                                           \
      struct name store_, name##__key key_, struct name##_handle *handle_,     \
      name##_build_fn *build_, void *ctx_, const struct cmap_how *how_)        \
  {                                                                            \
    struct name##__build_pair pair_ = {build_, ctx_};                          \
    enum cmap_status status_ = cmap_store_refresh(                             \
        store_.store, name##__key_in(&key_), name##__handle_in(handle_),       \
        CMAP__STEP(build_, cmap_build_fn, name##__build_step), &pair_, how_);  \
    return name##__handle_show(handle_, CMAP__PASS_ON(pair_, status_));        \
  }

#define CMAP__TYPED_STORE_CHANGE(name)                                         \
  CMAP__TYPED_STATUS name##_put(                                               \
      struct name store_, name##__key key_, name##__object *object_,           \
      struct name##_handle *handle_, const struct cmap_how *how_)              \
  {                                                                            \
    return name##__handle_show(                                                \
        handle_, cmap_store_put(store_.store, name##__key_in(&key_), object_,  \
                                name##__handle_in(handle_), how_));            \
  }                                                                            \
  CMAP__TYPED enum cmap_status name##_remove(                                  \
      struct name store_, name##__key key_, const struct cmap_how *how_)       \
  {                                                                            \
    return cmap_store_remove(store_.store, name##__key_in(&key_), how_);       \
  }                                                                            \
  CMAP__TYPED_STATUS name##_forget(struct name store_, name##__key key_,       \
                                   const struct cmap_how *how_)                \
  {                                                                            \
    return cmap_store_forget(store_.store, name##__key_in(&key_), how_);       \
  }                                                                            \
  CMAP__TYPED_STATUS name##_for_each(struct name store_,                       \
                                     name##_object_fn *visit_, void *ctx_)     \
  {                                                                            \
    struct name##__object_pair pair_ = {visit_, ctx_};                         \
    enum cmap_status status_ = cmap_store_for_each(                            \
        store_.store, CMAP__STEP(visit_, cmap_object_fn, name##__object_step), \
        &pair_);                                                               \
    return CMAP__PASS_ON(pair_, status_);                                      \
  }

#define CMAP__TYPED_TICKETS(name)                                              \
  CMAP__TYPED_STATUS name##_begin(                                             \
      struct name store_, name##__key key_, struct name##_handle *handle_,     \
      struct cmap_ticket *ticket_, enum cmap_begin *outcome_,                  \
      cmap_notify_fn *notify_, void *ctx_, const struct cmap_how *how_)        \
  {                                                                            \
    enum cmap_status status_ = cmap_store_begin(                               \
        store_.store, name##__key_in(&key_), name##__handle_in(handle_),       \
        ticket_, outcome_, notify_, ctx_, how_);                               \
    return name##__handle_show(handle_, status_);                              \
  }                                                                            \
  CMAP__TYPED_STATUS name##_ticket_complete(struct cmap_ticket *ticket_,       \
                                            name##__object *object_,           \
                                            struct name##_handle *handle_)     \
  {                                                                            \
    return name##__handle_show(                                                \
        handle_,                                                               \
        cmap_ticket_complete(ticket_, object_, name##__handle_in(handle_)));   \
  }

#ifdef __cplusplus
}
#endif

#endif

/*
 * A world for tests in which one thread runs at a time, and in which every
 * choice that the machine could make is made by a seed: who runs next, which
 * value a load returns, where in an atomic's order a store takes its place,
 * when a deadline is over.
 *
 * The library is compiled as it is, by clang with -fsanitize=thread, and linked
 * with this folder in place of the sanitizer's runtime: it is told of every
 * access to memory (accesses.c). What a program asks of libc and of the kernel
 * comes here by the linker's --wrap (libc.c, threads.c): mutexes, condition
 * variables, futexes, membarrier, memory, time. So nothing in src/ knows of it.
 *
 *   fiber.[ch]      threads that take turns, and their thread-local variables
 *   schedule.[ch]   who runs next; waiting; time
 *   clock.[ch]      what happens before what; fences
 *   history.[ch]    the stores of each atomic, and which a load may return
 *   shadow.[ch]     data races of plain accesses
 *   report.[ch]     the last steps before a failure
 *   sites.[ch]      orders weakened on purpose, at one place of the source
 *
 * What C11 allows, it does, and nothing else, with what C++20 made of seq_cst
 * and of release sequences, and two limits: no load returns what is stored
 * after it (so no load buffering), and the total order of seq_cst is the order
 * in which the steps are made. test_litmus.c holds it to that.
 *
 * Compiled without optimization of atomics: what a compiler could do to relaxed
 * accesses is not tried, nor the assembly of table/group.h
 * (CMAP__GROUP_BY_WORDS).
 */
#ifndef CMAP_TEST_WORLD_H
#define CMAP_TEST_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Threads of a scenario. */
enum { WORLD_THREADS = 8 };

struct scenario {
  const char *name;
  unsigned threads;
  /* Alone, before and after the threads: what they do is not recorded. NULL:
   * there is nothing to do. */
  void (*begin)(void);
  void (*end)(void);
  void (*act)(unsigned thread);
};

/*
 * Plays a scenario by so many schedules. CMAP_TEST_SEED repeats them all, and
 * CMAP_WORLD_RUN=n the n-th alone. A failure ends the process: it prints both
 * numbers and the last steps.
 */
void world_play(const struct scenario *scenario, uint64_t runs);

/*
 * Plays it by every schedule there is, of all that threads, loads and
 * world_choose could do, with at most so many interruptions of a thread that
 * could go on. With none, threads run one after the other,
 * in the order of their numbers. Not tried: deadlines that are over early,
 * sleepers that are woken for nothing. It must end: who goes round until others
 * have done something does so in any number of ways.
 */
void world_search(const struct scenario *scenario, unsigned interruptions);

/* Is that a failure? In a child process, which says nothing. */
bool world_search_fails(const struct scenario *scenario,
                        unsigned interruptions);

/* Schedules for each scenario: CMAP_WORLD_RUNS, or 100,000 in tests/run. */
uint64_t world_runs(void);

/* Fails the run unless the condition holds. */
#define WORLD_CHECK(condition)                                                 \
  ((condition) ? (void)0 : world_failed(__FILE__, __LINE__, #condition))

_Noreturn void world_failed(const char *file, int line, const char *what);

/* A number below n that the seed chooses. */
uint64_t world_choose(uint64_t n);

/*
 * Accesses to this memory are no steps from now on: of a test's own books, by
 * which threads should not know of each other. One range in each scenario.
 */
void world_hide(const void *at, size_t size);

/*
 * The asymmetric fence. membarrier(2) by syscall() is the heavy side, and has
 * here the effect of a seq_cst fence in every thread, at a moment between two
 * of its steps. The light side is a fence for the compiler
 * (atomic_signal_fence), and does nothing: it is ordered by a heavy fence of
 * another thread only.
 */
void world_heavy_fence(void);

/* How often the heavy fence was used since the process began. */
uint64_t world_heavy_fences(void);

#endif

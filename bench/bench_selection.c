/*
 * What bench/run runs.
 *
 * The quick selection is for two processors and a dozen maps in three minutes:
 * what users ask first, at the size that fits the caches of a processor and at
 * one that does not. The full one is every workload at every size, and takes
 * hours: what takes longest comes last, so that it can be ended early.
 */
#include "harness.h"

#define ALL_INTEGERS                                                           \
  "get,get_zipf,miss,overwrite,get_batch,read_heavy,read_heavy_zipf,mixed,"    \
  "mixed_zipf,"                                                                \
  "grow,grow_batch,remove,count_zipf,count_hot,iterate,"                       \
  "cmb_read_heavy,cmb_exchange,cmb_rapid_grow,"                                \
  "read_guard,write_guard,store_hit"

const struct part bench_quick[] = {
    {.workloads = "get,mixed",
     .keys = {1000, 100000},
     .threads = {1, 2, 8},
     .rounds = 3,
     .ops = 2000000},
    {.workloads = "count_zipf",
     .keys = {100000},
     .threads = {1, 2, 8},
     .rounds = 3,
     .ops = 2000000},
    {.workloads = "get,get_batch,grow",
     .keys = {1000000},
     .threads = {2},
     .rounds = 3,
     .ops = 2000000},
    {.workloads = "count_hot", .keys = {1000}, .threads = {2}, .rounds = 3},
    {.workloads = "str_count_words", .threads = {2}, .rounds = 3},
    {.workloads = "str_entry", .rounds = 3, .ops = 2000000},
    {.workloads = "pause", .keys = {1000000}, .rounds = 3},
    {.workloads = "memory", .keys = {2200000}},
    {.workloads = "get,overwrite,grow",
     .shapes = "u64:4,u64:16,u32:4,fixed16:8,str12:8,str36:8",
     .keys = {100000},
     .threads = {1},
     .rounds = 3,
     .ops = 400000},
    {.workloads = NULL},
};

const char *const bench_shaped_workloads =
    "get,miss,overwrite,grow,remove,count_zipf,read_guard";

const struct part bench_shaped[] = {
    {.workloads = "get,miss,overwrite,grow,remove,count_zipf,read_guard",
     .shapes = "all",
     .keys = {1000, 100000, 1000000},
     .threads = {1, 2},
     .rounds = 3,
     .ops = 1000000},
    {.workloads = NULL},
};

const struct part bench_full[] = {
    {.workloads = ALL_INTEGERS,
     .keys = {1000, 100000},
     .threads = {1, 2, 8},
     .rounds = 7},
    {.workloads = "str_get,str_count,str_get_words,str_count_words",
     .keys = {1000, 100000, 1000000},
     .threads = {1, 2, 8},
     .rounds = 5},
    {.workloads = "str_entry,str_check_insert,store_stampede", .rounds = 7},
    {.workloads = "cache_zipf,cache_zipf_1,cache_zipf_50,cache_zipf07,"
                  "cache_zipf11,cache_scan,store_hit_bound",
     .keys = {100000, 1000000},
     .threads = {1, 2, 8},
     .rounds = 5},
    {.workloads = "store_hit_one,store_borrow_one",
     .keys = {1000},
     .threads = {1, 2, 8},
     .rounds = 7},
    {.workloads = "pause", .rounds = 5},
    {.workloads = "memory"},
    {.workloads = ALL_INTEGERS,
     .keys = {1000000},
     .threads = {1, 2, 8},
     .rounds = 5},
    {.workloads = ALL_INTEGERS,
     .keys = {1000, 100000, 1000000},
     .threads = {64},
     .rounds = 3},
    {.workloads = ALL_INTEGERS,
     .keys = {10000000},
     .threads = {1, 2, 8, 64},
     .rounds = 3},
    {.workloads = "str_get,str_count",
     .keys = {10000000},
     .threads = {1, 2, 8},
     .rounds = 3},
    {.workloads = NULL},
};

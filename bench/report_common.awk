# What the awk programs of bench/report.sh share: reading a CSV file of
# cmap_bench, the maps' colours, the best peer.
#
# After the input: workloads[1..workload_count], impls[1..impl_count],
# median[workload,keys,threads,impl] and least, greatest, bytes likewise,
# sizes[w,1..size_count[w]], threads_of[w,1..thread_count[w]]; of the memory
# rows memory[impl,keys]; of pause pause[impl,keys] as "p50 p999 p99999 max".
# Plain POSIX awk.

BEGIN {
  FS = ","
  split("cmap #d62728 cmap_fast #ff7f0e boost #1f77b4 dashmap #2ca02c " \
    "dashmap_64 #98df8a dashmap_fast #00662a dashmap_fast_64 #5fb870 " \
    "tbb #9467bd libcuckoo #8c564b urcu #e377c2 ck_ht #c5b0d5 " \
    "glib #7f7f7f stripes #b8b818 java #17becf raw #000000", colour_list, " ")
  for (i = 1; (i + 1) in colour_list; i += 2)
    colours[colour_list[i]] = colour_list[i + 1]
  # Not peers: libcmap itself; the limit; one that only reads; one in a
  # virtual machine of its own.
  split("cmap cmap_fast raw ck_ht java", apart_list, " ")
  for (i in apart_list)
    apart[apart_list[i]] = 1
}

function colour_of(impl) {
  return impl in colours ? colours[impl] : "#aaaaaa"
}

# A number of keys as people say it.
function keys_text(keys) {
  if (keys >= 1000000 && keys % 100000 == 0)
    return keys / 1000000 " M"
  if (keys >= 1000 && keys % 100 == 0 && keys < 1000000)
    return keys / 1000 " K"
  return keys ""
}

function threads_text(threads) {
  return threads == 1 ? "1 thread" : threads " threads"
}

# Puts value into list[name,1..count[name]], in order of size, once.
function insert_sorted(list, count, name, value,    i) {
  for (i = 1; i <= count[name]; i++)
    if (list[name, i] == value)
      return
  for (i = ++count[name]; i > 1 && list[name, i - 1] + 0 > value + 0; i--)
    list[name, i] = list[name, i - 1]
  list[name, i] = value
}

function add_impl(impl) {
  if (!(impl in impl_seen)) {
    impl_seen[impl] = 1
    impls[++impl_count] = impl
  }
}

# The best peer's median of a row, and its name in best_name; 0 if none.
# `except` is a peer to leave out, or empty.
function best_peer(w, k, t, except,    i, best) {
  best = 0
  best_name = ""
  for (i = 1; i <= impl_count; i++)
    if (!(impls[i] in apart) && impls[i] != except &&
        (w, k, t, impls[i]) in median &&
        median[w, k, t, impls[i]] > best) {
      best = median[w, k, t, impls[i]]
      best_name = impls[i]
    }
  return best
}

$1 == "workload" { next }

$1 == "pause" {
  add_impl($3)
  pause[$3, $2] = $4 " " $5 " " $6 " " $7
  insert_sorted(pause_sizes, pause_size_count, "pause", $2)
  next
}

$1 == "memory" {
  add_impl($4)
  memory[$4, $2] = $9
  insert_sorted(memory_sizes, memory_size_count, "memory", $2)
  next
}

NF == 9 {
  add_impl($4)
  if (!($1 in workload_seen)) {
    workload_seen[$1] = 1
    workloads[++workload_count] = $1
  }
  median[$1, $2, $3, $4] = $6 + 0
  least[$1, $2, $3, $4] = $7 + 0
  greatest[$1, $2, $3, $4] = $8 + 0
  bytes[$1, $2, $3, $4] = $9
  row_seen[$1, $2, $3] = 1
  insert_sorted(sizes, size_count, $1, $2)
  insert_sorted(threads_of, thread_count, $1, $3)
}

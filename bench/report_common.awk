# What the awk programs of bench/report.sh share: reading a CSV file of
# cmap_bench, who its maps are, the best peer.
#
#   maps   file with the output of cmap_bench --maps
#   list   file with the output of cmap_bench --list
#
# After the input: workloads[1..workload_count], impls[1..impl_count],
# median[workload,keys,threads,impl] and least, greatest likewise,
# sizes[w,1..size_count[w]], threads_of[w,1..thread_count[w]]; of the memory
# rows memory[impl,keys]; of rows of shapes, whose workload is "get@u32:4",
# besides median shapes[1..shape_count], shaped[1..shaped_count] (get), and sizes
# and threads_of of "@"; of pause pause[impl,keys] as "p50 p999 p99999 max".
# Plain POSIX awk.

BEGIN {
  FS = ","
  while ((getline line < maps) > 0) {
    split(line, field, "\t")
    listed[++listed_count] = field[1]
    whose[field[1]] = field[2] # cmap, peer, or -
    title[field[1]] = field[3]
    remark[field[1]] = field[4]
  }
  while ((getline line < list) > 0) {
    sub(/^ +/, "", line)
    at = index(line, " ")
    if (at > 0) {
      about[substr(line, 1, at - 1)] = substr(line, at + 1)
      sub(/^ +/, "", about[substr(line, 1, at - 1)])
    }
  }
}

function escape(text) {
  gsub(/&/, "\\&amp;", text)
  gsub(/</, "\\&lt;", text)
  gsub(/>/, "\\&gt;", text)
  return text
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

function number_text(x) {
  return sprintf(x >= 100 ? "%.0f" : x >= 10 ? "%.1f" : "%.2f", x)
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

# A map that the program does not have would be taken for what it is not.
function add_impl(impl) {
  if (impl in impl_seen)
    return
  if (!(impl in whose)) {
    printf "report: this cmap_bench has no map '%s'\n", impl | "cat >&2"
    failed = 1
    exit 1
  }
  impl_seen[impl] = 1
  impls[++impl_count] = impl
}

# The best peer's median of a row, and its name in best_name; 0 if none.
# `except` is a peer to leave out, or empty.
function best_peer(w, k, t, except,    i, best) {
  best = 0
  best_name = ""
  for (i = 1; i <= impl_count; i++)
    if (whose[impls[i]] == "peer" && impls[i] != except &&
        (w, k, t, impls[i]) in median &&
        median[w, k, t, impls[i]] > best) {
      best = median[w, k, t, impls[i]]
      best_name = impls[i]
    }
  return best
}

# Puts the maps of a row into order[1..n], fastest first; returns n.
function by_speed(w, k, t, order,    i, j, n, x) {
  n = 0
  for (i = 1; i <= impl_count; i++) {
    if (!((w, k, t, impls[i]) in median))
      continue
    x = median[w, k, t, impls[i]]
    for (j = ++n; j > 1 && median[w, k, t, order[j - 1]] < x; j--)
      order[j] = order[j - 1]
    order[j] = impls[i]
  }
  return n
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

NF == 9 && (at = index($1, "@")) > 0 {
  add_impl($4)
  if (!((part = substr($1, 1, at - 1)) in shaped_seen)) {
    shaped_seen[part] = 1
    shaped[++shaped_count] = part
  }
  if (!((part = substr($1, at + 1)) in shape_seen)) {
    shape_seen[part] = 1
    shapes[++shape_count] = part
  }
  median[$1, $2, $3, $4] = $6 + 0
  insert_sorted(sizes, size_count, "@", $2)
  insert_sorted(threads_of, thread_count, "@", $3)
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
  row_seen[$1, $2, $3] = 1
  insert_sorted(sizes, size_count, $1, $2)
  insert_sorted(threads_of, thread_count, $1, $3)
}

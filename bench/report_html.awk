# The report's HTML page of a CSV file of cmap_bench, after report_common.awk.
#
#   list     file with the output of cmap_bench --list
#   machine  file with lines "name<TAB>value"
#   plots    file with lines "name<TAB>base64 of the SVG"

function escape(text) {
  gsub(/&/, "\\&amp;", text)
  gsub(/</, "\\&lt;", text)
  gsub(/>/, "\\&gt;", text)
  return text
}

function read_files(    line, at, part) {
  while ((getline line < list) > 0) {
    if (line ~ /^[a-z]/) {
      part = line
      continue
    }
    sub(/^ +/, "", line)
    at = index(line, " ")
    if (at > 0) {
      about[substr(line, 1, at - 1)] = substr(line, at + 1)
      sub(/^ +/, "", about[substr(line, 1, at - 1)])
      if (part == "maps:")
        listed[++listed_count] = substr(line, 1, at - 1)
    }
  }
  while ((getline line < plots) > 0) {
    at = index(line, "\t")
    svg[substr(line, 1, at - 1)] = substr(line, at + 1)
  }
}

function figure(name, text) {
  if (name in svg)
    printf "<img alt=\"%s\" src=\"data:image/svg+xml;base64,%s\">\n", text, \
      svg[name]
}

function number_text(x) {
  return sprintf(x >= 100 ? "%.0f" : x >= 10 ? "%.1f" : "%.2f", x)
}

# From red over white to green, by the logarithm; full at a factor of 4.
function ratio_colour(ratio,    f) {
  f = log(ratio) / log(4)
  f = f > 1 ? 1 : f < -1 ? -1 : f
  if (f >= 0)
    return sprintf("rgb(%d,%d,%d)", 255 - 160 * f, 255 - 55 * f, 255 - 145 * f)
  return sprintf("rgb(%d,%d,%d)", 255 + 20 * f, 255 + 150 * f, 255 + 145 * f)
}

function head() {
  print "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
  print "<meta name=\"viewport\" content=\"width=device-width\">"
  print "<title>libcmap beside other maps</title><style>"
  print "body{font:15px/1.45 system-ui,sans-serif;color:#222;margin:2em auto;" \
    "max-width:1240px;padding:0 1em}"
  print "h1{font-size:1.7em;margin-bottom:.2em}h2{margin:2em 0 .2em;" \
    "border-top:1px solid #ddd;padding-top:.8em}h2 code{font-size:1em}"
  print "p{max-width:52em}table{border-collapse:collapse;" \
    "font-variant-numeric:tabular-nums}"
  print "td,th{padding:.15em .6em;text-align:right;white-space:nowrap}" \
    "th{font-weight:600}td:first-child,th:first-child{text-align:left}"
  print ".cards{display:flex;gap:1em;flex-wrap:wrap}.card{border:1px solid " \
    "#ddd;border-radius:.5em;padding:.6em 1em}.card b{display:block;" \
    "font-size:1.8em}"
  print ".scroll{overflow-x:auto}.heat td+td{border:1px solid #fff}" \
    ".note,.hash{color:#666}.hash{white-space:normal;text-align:left}"
  print "img{max-width:100%}summary{cursor:pointer;color:#06c;margin:.4em 0}"
  print ".groups{display:flex;flex-wrap:wrap;gap:1em 2.5em}.groups h3{" \
    "font-size:1em;margin:.6em 0 .2em}"
  print ".bar{display:inline-block;height:.75em;border-radius:2px}" \
    "td.bars{width:160px;text-align:left}tr.ours{font-weight:700}"
  print "</style></head><body>"
}

function machine_part(    line, f) {
  print "<details><summary>The machine and the maps</summary><table>"
  while ((getline line < machine) > 0) {
    split(line, f, "\t")
    printf "<tr><td>%s</td><td class=hash>%s</td></tr>\n", escape(f[1]), \
      escape(f[2])
  }
  print "</table><br><table>"
  for (i = 1; i <= listed_count; i++)
    printf "<tr><td><span class=bar style=\"width:.75em;background:%s\">" \
      "</span> <code>%s</code></td><td class=hash>%s</td></tr>\n", \
      colour_of(listed[i]), listed[i], escape(about[listed[i]])
  print "</table></details>"
}

# Sums over all rows that have libcmap and a peer.
function standing(    w, k, t, f, row, best, ratio) {
  for (row in row_seen) {
    split(row, f, SUBSEP)
    w = f[1]; k = f[2]; t = f[3]
    best = best_peer(w, k, t)
    if (!((w, k, t, "cmap") in median) || best <= 0)
      continue
    ratio = median[w, k, t, "cmap"] / best
    sum += log(ratio)
    rows++
    ahead += ratio >= 1
    if ((w, k, t, "boost") in median) {
      boost_sum += log(median[w, k, t, "cmap"] / median[w, k, t, "boost"])
      boost_rows++
    }
    best = best_peer(w, k, t, "boost")
    if (best > 0) {
      others_sum += log(median[w, k, t, "cmap"] / best)
      others_rows++
    }
  }
  if (!rows)
    return
  print "<div class=cards>"
  printf "<div class=card><b>%.2f ×</b>the best peer of each row, " \
    "geometric mean</div>\n", exp(sum / rows)
  printf "<div class=card><b>%d of %d</b>rows where libcmap is first</div>\n", \
    ahead, rows
  if (boost_rows && others_rows)
    printf "<div class=card><b>%.2f ×</b>the best peer without boost, " \
      "geometric mean</div>\n", exp(others_sum / others_rows)
  if (boost_rows)
    printf "<div class=card><b>%.2f ×</b>boost::concurrent_flat_map, " \
      "geometric mean</div>\n", exp(boost_sum / boost_rows)
  print "</div>"
}

# Workloads that have sizes or numbers of threads of their own.
function is_alone(w) {
  return w ~ /_words$/ || w == "str_entry" || w == "str_check_insert"
}

# One cell a row of the benchmark: libcmap's median by the best peer's.
function heat(    i, j, k, w, columns, count) {
  for (i = 1; i <= workload_count; i++) {
    w = workloads[i]
    if (is_alone(w))
      continue
    for (k = 1; k <= size_count[w]; k++)
      insert_sorted(columns, count, "k", sizes[w, k])
    for (j = 1; j <= thread_count[w]; j++)
      insert_sorted(columns, count, "t", threads_of[w, j])
  }
  print "<h2>libcmap by the best peer</h2><p>Above 1 libcmap is faster than " \
    "every other map of its row. Point at a cell for the peer’s name." \
    "</p><div class=scroll><table class=heat><tr><th></th>"
  for (k = 1; k <= count["k"]; k++)
    printf "<th colspan=%d style=\"text-align:center\">%s keys</th>", \
      count["t"], keys_text(columns["k", k])
  printf "</tr>\n<tr><th>threads</th>"
  for (k = 1; k <= count["k"]; k++)
    for (j = 1; j <= count["t"]; j++)
      printf "<th>%s</th>", columns["t", j]
  print "</tr>"
  for (i = 1; i <= workload_count; i++) {
    w = workloads[i]
    if (is_alone(w))
      continue
    printf "<tr><td><a href=\"#%s\"><code>%s</code></a></td>", w, w
    for (k = 1; k <= count["k"]; k++)
      for (j = 1; j <= count["t"]; j++)
        heat_cell(w, columns["k", k], columns["t", j])
    print "</tr>"
  }
  print "</table></div>"
  print "<p><table class=heat>"
  for (i = 1; i <= workload_count; i++) {
    w = workloads[i]
    if (!is_alone(w))
      continue
    for (k = 1; k <= size_count[w]; k++)
      for (j = 1; j <= thread_count[w]; j++) {
        printf "<tr><td><a href=\"#%s\"><code>%s</code></a>, %s keys, " \
          "%s</td>", w, w, keys_text(sizes[w, k]), \
          threads_text(threads_of[w, j])
        heat_cell(w, sizes[w, k], threads_of[w, j])
        print "</tr>"
      }
  }
  print "</table>"
}

function heat_cell(w, k, t,    best, ratio) {
  best = best_peer(w, k, t)
  if (best <= 0 || !((w, k, t, "cmap") in median)) {
    printf "<td class=note>–</td>"
    return
  }
  ratio = median[w, k, t, "cmap"] / best
  printf "<td style=\"background:%s\" title=\"%s: %s, cmap: %s Mops/s\">" \
    "%.2f</td>", ratio_colour(ratio), best_name, number_text(best), \
    number_text(median[w, k, t, "cmap"]), ratio
}

# All maps of a row, fastest first.
function group(w, k, t,    i, j, n, order, best, top, impl, x, width, ratio) {
  n = 0
  for (i = 1; i <= impl_count; i++) {
    if (!((w, k, t, impls[i]) in median))
      continue
    x = median[w, k, t, impls[i]]
    for (j = ++n; j > 1 && median[w, k, t, order[j - 1]] < x; j--)
      order[j] = order[j - 1]
    order[j] = impls[i]
  }
  if (n == 0)
    return
  top = median[w, k, t, order[1]]
  best = best_peer(w, k, t)
  printf "<div><h3>%s keys, %s</h3><table><tr><th>map</th><th></th>" \
    "<th>Mops/s</th><th class=note>least</th><th class=note>greatest</th>" \
    "<th>of best peer</th></tr>\n", keys_text(k), threads_text(t)
  for (i = 1; i <= n; i++) {
    impl = order[i]
    x = median[w, k, t, impl]
    width = top > 0 ? 150 * x / top : 0
    ratio = best > 0 ? sprintf("%.2f", x / best) : "–"
    printf "<tr%s><td><code>%s</code></td><td class=bars><span class=bar " \
      "style=\"width:%.0fpx;background:%s\"></span></td><td>%s</td>" \
      "<td class=note>%s</td><td class=note>%s</td><td>%s</td></tr>\n", \
      (impl == "cmap" ? " class=ours" : ""), impl, width, colour_of(impl), \
      number_text(x), number_text(least[w, k, t, impl]), \
      number_text(greatest[w, k, t, impl]), ratio
  }
  print "</table></div>"
}

function workload_part(w,    k, t, plotted) {
  plotted = ("threads_" w) in svg || ("size_" w) in svg
  printf "<h2 id=\"%s\"><code>%s</code></h2><p>%s</p>\n", w, w, \
    escape(about[w])
  figure("threads_" w, w " by threads")
  figure("size_" w, w " by size")
  printf "<details%s><summary>numbers</summary><div class=groups>\n", \
    (size_count[w] * thread_count[w] > 4 ? "" : " open")
  for (k = 1; k <= size_count[w]; k++)
    for (t = 1; t <= thread_count[w]; t++)
      group(w, sizes[w, k], threads_of[w, t])
  print "</div></details>"
}

function pause_part(    i, p, v, k) {
  if (!pause_size_count["pause"])
    return
  print "<h2 id=pause>Pauses</h2><p>How long single inserts take while one " \
    "thread grows a map from empty, in nanoseconds; the call through a table " \
    "and the clock are in it.</p>"
  figure("pause", "percentiles of single inserts")
  print "<table><tr><th>map</th><th>inserts</th><th>p50</th><th>p99.9</th>" \
    "<th>p99.999</th><th>slowest</th></tr>"
  for (p = 1; p <= pause_size_count["pause"]; p++) {
    k = pause_sizes["pause", p]
    for (i = 1; i <= impl_count; i++)
      if ((impls[i], k) in pause) {
        split(pause[impls[i], k], v, " ")
        printf "<tr%s><td><code>%s</code></td><td>%s</td><td>%s</td>" \
          "<td>%s</td><td>%s</td><td>%s</td></tr>\n", \
          impls[i] == "cmap" ? " class=ours" : "", impls[i], keys_text(k), \
          v[1], v[2], v[3], v[4]
      }
  }
  print "</table>"
}

function memory_part(    i, j, k, n, sum) {
  n = memory_size_count["memory"]
  if (!n)
    return
  print "<h2 id=memory>Memory</h2><p>Bytes of an empty map, and bytes an " \
    "entry of larger ones, 64-bit keys and values (16 bytes), grown one by " \
    "one. It is the program’s memory in RAM, without huge pages.</p>"
  figure("memory", "bytes an entry by size")
  printf "<div class=scroll><table><tr><th>map</th>"
  for (j = 1; j <= n; j++)
    printf "<th>%s</th>", memory_sizes["memory", j] == 0 ? "empty" : \
      memory_sizes["memory", j] < 1000000 ? \
      keys_text(memory_sizes["memory", j]) : \
      sprintf("%.2f M", memory_sizes["memory", j] / 1000000)
  print "<th>mean, 1 M … 10 M</th></tr>"
  for (i = 1; i <= impl_count; i++) {
    if (!((impls[i], memory_sizes["memory", n]) in memory))
      continue
    printf "<tr%s><td><code>%s</code></td>", \
      impls[i] == "cmap" ? " class=ours" : "", impls[i]
    sum = k = 0
    for (j = 1; j <= n; j++) {
      printf "<td>%s</td>", memory_sizes["memory", j] == 0 ? \
        sprintf("%.0f", memory[impls[i], 0]) : \
        sprintf("%.1f", memory[impls[i], memory_sizes["memory", j]])
      if (memory_sizes["memory", j] >= 1000000) {
        sum += memory[impls[i], memory_sizes["memory", j]]
        k++
      }
    }
    printf "<td>%.1f</td></tr>\n", k ? sum / k : 0
  }
  print "</table></div>"
}

END {
  read_files()
  head()
  print "<h1>libcmap beside other maps</h1>"
  print "<p>Every map gets the same operations, made before the clock " \
    "starts, in a loop in its own language. A round is a process with a " \
    "fresh map; rounds of the maps take turns, and medians are shown. " \
    "Results are held against each other: maps that disagree are not in " \
    "this report.</p>"
  standing()
  machine_part()
  heat()
  for (i = 1; i <= workload_count; i++)
    workload_part(workloads[i])
  pause_part()
  memory_part()
  print "</body></html>"
}

# The report's HTML page of a CSV file of cmap_bench, after report_common.awk
# and report_plot.awk. It is one file without scripts, made for a telephone
# first.
#
#   machine  file with lines "name<TAB>value"

# From red over white to green, by the logarithm; full at a factor of 4.
function ratio_colour(ratio,    f) {
  f = log(ratio) / log(4)
  f = f > 1 ? 1 : f < -1 ? -1 : f
  if (f >= 0)
    return sprintf("rgb(%d,%d,%d)", 255 - 160 * f, 255 - 55 * f, 255 - 145 * f)
  return sprintf("rgb(%d,%d,%d)", 255 + 20 * f, 255 + 150 * f, 255 + 145 * f)
}

function head() {
  print "<!DOCTYPE html>\n<html lang=en><head><meta charset=utf-8>"
  print "<meta name=viewport content=\"width=device-width\">"
  print "<title>libcmap beside other maps</title><style>"
  print ":root{color-scheme:light dark;--text:#222;--note:#5d6670;" \
    "--page:#fff;--line:#ddd;--us:#c0392b;--first:#1f6fb2;--second:#b7791f;" \
    "--rest:#b4bcc4;--link:#0b5cad}"
  print "@media(prefers-color-scheme:dark){:root{--text:#e3e6e9;" \
    "--note:#a3adb7;--page:#15181b;--line:#363c42;--us:#ff6f61;" \
    "--first:#6db3f2;--second:#e0b04c;--rest:#565f68;--link:#7ab8ff}}"
  print "body{font:16px/1.45 system-ui,sans-serif;color:var(--text);" \
    "background:var(--page);margin:0 auto;max-width:1140px;padding:12px}"
  print "h1{font-size:1.5em;margin:.3em 0}h2{font-size:1.2em;" \
    "margin:1.6em 0 .3em;border-top:1px solid var(--line);padding-top:.8em}" \
    "h2 code,.note{color:var(--note);font-weight:400;font-size:.85em}" \
    "h3{font-size:1em;margin:.8em 0 .2em}ul{padding-left:1.2em}" \
    "p{max-width:46em;margin:.5em 0}" \
    "a,summary{color:var(--link)}summary{cursor:pointer;padding:.4em 0}"
  print ".cards,.side{display:flex;flex-wrap:wrap;gap:12px 24px}" \
    ".card{border:1px solid var(--line);border-radius:8px;padding:.5em .9em;" \
    "flex:1 1 200px}.card b{display:block;font-size:1.6em}"
  print "table{border-collapse:collapse;font-variant-numeric:tabular-nums;" \
    "font-size:14px}td,th{padding:.2em .5em;text-align:right}" \
    "td:first-child,th:first-child{text-align:left;padding-left:0;" \
    "overflow-wrap:anywhere}.side>div{width:360px;max-width:100%}" \
    ".wide>div{width:auto}.side table{width:100%}td.note{white-space:nowrap}" \
    ".ratio{color:#222;border:1px solid var(--page)}" \
    "tr.us{font-weight:700}.words td{text-align:left;vertical-align:top}" \
    ".scroll{overflow-x:auto}.scroll td,.scroll th{white-space:nowrap}"
  print "td.bars{width:70px;text-align:left}td.bars i{display:block;" \
    "height:10px;border-radius:2px;background:var(--rest)}" \
    "tr.us i{background:var(--us)}"
  print "figure{margin:0;width:360px;max-width:100%}figure svg{width:100%}" \
    "figcaption{font-weight:600}svg text{font-size:13px;fill:var(--text)}" \
    ".end{text-anchor:end}.mid{text-anchor:middle}.grid{stroke:var(--line)}" \
    ".line{fill:none;stroke-width:2}.line.us{stroke:var(--us);" \
    "stroke-width:3.5}.line.first{stroke:var(--first)}.line.second{" \
    "stroke:var(--second)}.line.rest{stroke:var(--rest);stroke-width:1}" \
    "circle.us{fill:var(--us)}circle.first{fill:var(--first)}" \
    "circle.second{fill:var(--second)}"
  print "figure ul{list-style:none;margin:0 0 .8em;padding:0;font-size:14px}" \
    "li i{display:inline-block;width:.75em;height:.75em;border-radius:50%;" \
    "margin-right:.5em}i.us{background:var(--us)}i.first{background:" \
    "var(--first)}i.second{background:var(--second)}i.rest{background:" \
    "var(--rest)}"
  print "</style></head><body>"
}

function machine_part(    line, f, i) {
  print "<details><summary>The machine and the maps</summary>" \
    "<table class=words>"
  while ((getline line < machine) > 0) {
    split(line, f, "\t")
    printf "<tr><td>%s</td><td>%s</td></tr>\n", escape(f[1]), escape(f[2])
  }
  for (i = 1; i <= listed_count; i++)
    printf "<tr><td>%s</td><td class=note><code>%s</code>: %s</td></tr>\n", \
      escape(title[listed[i]]), listed[i], escape(remark[listed[i]])
  print "</table></details>"
}

function words(w) {
  return escape(w in about ? about[w] : w)
}

function card(id, number, text) {
  printf "<div class=card id=%s><b>%s</b>%s</div>\n", id, number, text
}

# Sums over all rows that have libcmap and a peer, as the terminal has them;
# and the rows in which a peer is ahead.
function standing(    i, j, k, w, s, t, best, ratio, rows, ahead, sum,
    boost_sum, boost_rows, others_sum, others_rows, behind) {
  for (i = 1; i <= workload_count; i++)
    for (j = 1; j <= size_count[workloads[i]]; j++)
      for (k = 1; k <= thread_count[workloads[i]]; k++) {
        w = workloads[i]; s = sizes[w, j]; t = threads_of[w, k]
        best = best_peer(w, s, t)
        if (!((w, s, t, "cmap") in median) || best <= 0)
          continue
        ratio = median[w, s, t, "cmap"] / best
        sum += log(ratio)
        rows++
        ahead += ratio >= 1
        if (ratio < 1)
          behind = behind sprintf("<li>%s, %s keys, %s: %.2f × %s\n", \
            words(w), keys_text(s), threads_text(t), ratio, \
            escape(title[best_name]))
        if ((w, s, t, "boost") in median) {
          boost_sum += log(median[w, s, t, "cmap"] / median[w, s, t, "boost"])
          boost_rows++
        }
        best = best_peer(w, s, t, "boost")
        if (best > 0) {
          others_sum += log(median[w, s, t, "cmap"] / best)
          others_rows++
        }
      }
  if (!rows)
    return
  print "<div class=cards>"
  card("mean", sprintf("%.2f ×", exp(sum / rows)), \
    "as fast as the best peer of each row, geometric mean")
  card("ahead", ahead + 0 " of " rows, "rows where libcmap is first")
  if (boost_rows && others_rows)
    card("others", sprintf("%.2f ×", exp(others_sum / others_rows)), \
      "the best peer without Boost, geometric mean")
  if (boost_rows)
    card("boost", sprintf("%.2f ×", exp(boost_sum / boost_rows)), \
      "boost::concurrent_flat_map, geometric mean")
  print "</div>"
  if (behind != "")
    printf "<details%s><summary>Where a peer is ahead: %d rows</summary>" \
      "<ul>%s</ul></details>\n", (rows - ahead > 12 ? "" : " open"), \
      rows - ahead, behind
}

function ratio_cell(w, k, t,    best, ratio) {
  best = best_peer(w, k, t)
  if (best <= 0 || !((w, k, t, "cmap") in median)) {
    printf "<td class=note>–</td>"
    return
  }
  ratio = median[w, k, t, "cmap"] / best
  printf "<td class=ratio style=\"background:%s\">%.2f</td>", \
    ratio_colour(ratio), ratio
}

# libcmap's median by the best peer's: a table for each size.
function ratios(    i, j, k, w, columns, count, size) {
  if (!workload_count)
    return
  for (i = 1; i <= workload_count; i++)
    for (k = 1; k <= size_count[workloads[i]]; k++)
      insert_sorted(columns, count, "k", sizes[workloads[i], k])
  print "<h2>How many times as fast as the best peer</h2>" \
    "<p>Above 1, libcmap is faster than every peer of the row.</p>" \
    "<div class=side>"
  for (k = 1; k <= count["k"]; k++) {
    size = columns["k", k]
    count["t"] = 0
    for (i = 1; i <= workload_count; i++)
      for (j = 1; j <= thread_count[workloads[i]]; j++)
        if ((workloads[i], size, threads_of[workloads[i], j]) in row_seen)
          insert_sorted(columns, count, "t", threads_of[workloads[i], j])
    printf "<div><h3>%s keys</h3><table><tr><th>threads</th>", keys_text(size)
    for (j = 1; j <= count["t"]; j++)
      printf "<th>%s</th>", columns["t", j]
    print "</tr>"
    for (i = 1; i <= workload_count; i++) {
      w = workloads[i]
      for (j = 1; j <= count["t"]; j++)
        if ((w, size, columns["t", j]) in row_seen)
          break
      if (j > count["t"])
        continue
      printf "<tr><td><a href=\"#%s\">%s</a></td>", w, words(w)
      for (j = 1; j <= count["t"]; j++)
        ratio_cell(w, size, columns["t", j])
      print "</tr>"
    }
    print "</table></div>"
  }
  print "</div>"
}

# The same of shapes of keys and values: a table for each size and number of
# threads.
function shapes_part(    i, j, k, t, w, best, ratio, sum, rows, ahead) {
  if (!shape_count)
    return
  for (i = 1; i <= shape_count; i++)
    for (j = 1; j <= shaped_count; j++)
      for (k = 1; k <= size_count["@"]; k++)
        for (t = 1; t <= thread_count["@"]; t++) {
          w = shaped[j] "@" shapes[i]
          best = best_peer(w, sizes["@", k], threads_of["@", t])
          if (!((w, sizes["@", k], threads_of["@", t], "cmap") in median) || \
              best <= 0)
            continue
          ratio = median[w, sizes["@", k], threads_of["@", t], "cmap"] / best
          sum += log(ratio)
          rows++
          ahead += ratio >= 1
        }
  print "<h2 id=shapes>Shapes of keys and values</h2><p>libcmap by the best " \
    "peer, which is compiled for each of them: bytes of a key and of a value. " \
    "Strings are hashed by the fast hash that each map’s language or library " \
    "has, of libcmap <code>CMAP_HASH_FAST</code>.</p>"
  if (rows)
    printf "<p>Geometric mean <b>%.2f ×</b>; first in %d of %d.</p>\n", \
      exp(sum / rows), ahead, rows
  print "<div class=\"side wide\">"
  for (k = 1; k <= size_count["@"]; k++)
    for (t = 1; t <= thread_count["@"]; t++) {
      printf "<div class=scroll><h3>%s keys, %s</h3><table><tr><th></th>", \
        keys_text(sizes["@", k]), threads_text(threads_of["@", t])
      for (j = 1; j <= shaped_count; j++) {
        w = shaped[j]
        sub(/_/, "<br>", w)
        printf "<th>%s</th>", w
      }
      print "</tr>"
      for (i = 1; i <= shape_count; i++) {
        printf "<tr><td>%s</td>", shapes[i]
        for (j = 1; j <= shaped_count; j++)
          ratio_cell(shaped[j] "@" shapes[i], sizes["@", k], \
            threads_of["@", t])
        print "</tr>"
      }
      print "</table></div>"
    }
  print "</div>"
}

# All maps of a row, fastest first.
function group(w, k, t,    i, n, order, top, impl, x) {
  n = by_speed(w, k, t, order)
  if (n == 0)
    return
  top = median[w, k, t, order[1]]
  printf "<div><h3>%s keys, %s</h3><table>\n", keys_text(k), threads_text(t)
  for (i = 1; i <= n; i++) {
    impl = order[i]
    x = median[w, k, t, impl]
    printf "<tr%s><td>%s</td><td class=bars><i style=\"width:%.0f%%\"></i>" \
      "</td><td>%s</td><td class=note>%s–%s</td></tr>\n", \
      impl == "cmap" ? " class=us" : "", escape(title[impl]), x / top * 100, \
      number_text(x), number_text(least[w, k, t, impl]), \
      number_text(greatest[w, k, t, impl])
  }
  print "</table></div>"
}

function workload_part(w,    k, t, plotted) {
  printf "<h2 id=\"%s\">%s <code>%s</code></h2>\n" \
    "<p class=note>Million operations a second.</p><div class=side>\n", w, \
    words(w), w
  plotted = plot_workload(w)
  printf "</div><details%s><summary>all maps</summary><div class=side>\n", \
    plotted ? "" : " open"
  for (k = 1; k <= size_count[w]; k++)
    for (t = 1; t <= thread_count[w]; t++)
      group(w, sizes[w, k], threads_of[w, t])
  print "</div></details>"
}

function pause_part(    i, p, v, k, j) {
  if (!pause_size_count["pause"])
    return
  print "<h2 id=pause>Pauses <code>pause</code></h2><p>How long single " \
    "inserts take while one thread grows a map from empty; the call through " \
    "a table and the clock are in it.</p><div class=side>"
  for (p = 1; p <= pause_size_count["pause"]; p++)
    plot_pause(pause_sizes["pause", p])
  print "</div><details><summary>all maps, in nanoseconds</summary>"
  for (p = 1; p <= pause_size_count["pause"]; p++) {
    k = pause_sizes["pause", p]
    printf "<h3>%s inserts</h3><table><tr><th></th><th>p50</th>" \
      "<th>p99.9</th><th>p99.999</th><th>slowest</th></tr>\n", keys_text(k)
    for (i = 1; i <= impl_count; i++)
      if ((impls[i], k) in pause) {
        split(pause[impls[i], k], v, " ")
        printf "<tr%s><td>%s</td>", impls[i] == "cmap" ? " class=us" : "", \
          escape(title[impls[i]])
        for (j = 1; j <= 4; j++)
          printf "<td>%s</td>", v[j]
        print "</tr>"
      }
    print "</table>"
  }
  print "</details>"
}

function memory_part(    i, j, k, n, size, text, sum) {
  n = memory_size_count["memory"]
  if (!n)
    return
  print "<h2 id=memory>Memory <code>memory</code></h2><p>Bytes of an empty " \
    "map, and bytes an entry of larger ones, 64-bit keys and values (16 " \
    "bytes), grown one by one. It is the program’s memory in RAM, without " \
    "huge pages.</p><div class=side>"
  plot_memory()
  print "</div><details><summary>all maps</summary><div class=scroll>" \
    "<table><tr><th></th><th>mean from 1 M</th>"
  for (j = 1; j <= n; j++) {
    size = memory_sizes["memory", j]
    printf "<th>%s</th>", size == 0 ? "empty" : \
      size < 1000000 ? keys_text(size) : sprintf("%.2f M", size / 1000000)
  }
  print "</tr>"
  for (i = 1; i <= impl_count; i++) {
    if (!((impls[i], memory_sizes["memory", n]) in memory))
      continue
    text = ""
    sum = k = 0
    for (j = 1; j <= n; j++) {
      size = memory_sizes["memory", j]
      text = text sprintf(size == 0 ? "<td>%.0f</td>" : "<td>%.1f</td>", \
        memory[impls[i], size])
      if (size >= 1000000) {
        sum += memory[impls[i], size]
        k++
      }
    }
    printf "<tr%s><td>%s</td><td>%.1f</td>%s</tr>\n", \
      impls[i] == "cmap" ? " class=us" : "", escape(title[impls[i]]), \
      k ? sum / k : 0, text
  }
  print "</table></div></details>"
}

END {
  if (failed)
    exit 1
  head()
  print "<h1>libcmap beside other maps</h1>"
  standing()
  print "<p>Every map gets the same operations, made before the clock " \
    "starts, in a loop in its own language. A round is a process with a " \
    "fresh map; rounds of the maps take turns, and medians are shown. " \
    "Results are held against each other: maps that disagree are not in " \
    "this report.</p>"
  machine_part()
  ratios()
  for (i = 1; i <= workload_count; i++)
    workload_part(workloads[i])
  shapes_part()
  pause_part()
  memory_part()
  print "</body></html>"
}

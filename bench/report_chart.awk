# An SVG chart of a CSV file of cmap_bench, after report_common.awk: for each
# workload the maps as bars, libcmap first, then the fastest of the others. It
# shows the rows of so many `keys` and `threads`; by default of the most keys,
# and of two threads.

BEGIN {
  split("cmap=libcmap|boost=Boost concurrent_flat_map|" \
    "dashmap=DashMap (SipHash)|dashmap_64=DashMap (SipHash), 64 shards|" \
    "dashmap_fast=DashMap, fast hash|" \
    "dashmap_fast_64=DashMap, fast hash, 64 shards|tbb=oneTBB|" \
    "libcuckoo=libcuckoo|urcu=liburcu|glib=GLib under a lock|" \
    "stripes=64 std::unordered_maps, locked|java=OpenJDK", name_list, "|")
  for (i in name_list) {
    at = index(name_list[i], "=")
    long_name[substr(name_list[i], 1, at - 1)] = substr(name_list[i], at + 1)
  }
  split("get=get, all present|miss=get, all absent|" \
    "read_heavy=98 % reads, 2 % writes|" \
    "mixed=half reads, half writes|grow=insert, from empty|" \
    "remove=remove all|count_zipf=count (Zipf 0.99)", title_list, "|")
  for (i in title_list) {
    at = index(title_list[i], "=")
    title[substr(title_list[i], 1, at - 1)] = substr(title_list[i], at + 1)
  }
  text_width = 205
  bar_width = 160
  row_height = 17
}

function svg_text(x, y, class, text) {
  gsub(/&/, "\\&amp;", text)
  gsub(/</, "\\&lt;", text)
  printf "<text x=\"%d\" y=\"%d\" class=\"%s\">%s</text>\n", x, y, class, text
}

# Puts the maps of a workload into order[1..n], libcmap first.
function by_speed(w,    i, j, n) {
  n = 0
  for (i = 1; i <= impl_count; i++) {
    if (!((w, keys, threads, impls[i]) in median) || \
        !(impls[i] in long_name))
      continue
    for (j = ++n; j > 1 && impls[i] != "cmap" && order[j - 1] != "cmap" && \
        median[w, keys, threads, order[j - 1]] < \
          median[w, keys, threads, impls[i]]; j--)
      order[j] = order[j - 1]
    order[j] = impls[i]
  }
  return n
}

function panel(x, y, w,    i, n, v, most) {
  n = by_speed(w)
  most = 0
  for (i = 1; i <= n; i++)
    if (median[w, keys, threads, order[i]] > most)
      most = median[w, keys, threads, order[i]]
  svg_text(x + text_width, y, "title", w in title ? title[w] : w)
  for (i = 1; i <= n; i++) {
    v = median[w, keys, threads, order[i]]
    y += row_height
    svg_text(x + text_width - 6, y, order[i] == "cmap" ? "name us" : "name",
      long_name[order[i]])
    printf "<rect x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"12\" " \
      "class=\"%s\"/>\n", x + text_width, y - 10, v / most * bar_width, \
      order[i] == "cmap" ? "us" : "peer"
    svg_text(x + text_width + v / most * bar_width + 4, y, "number",
      sprintf(v < 10 ? "%.1f" : "%.0f", v))
  }
  return n
}

END {
  if (keys == "")
    keys = sizes[workloads[1], size_count[workloads[1]]]
  if (threads == "")
    threads = 2
  rows = 0
  panels = 0
  for (w = 1; w <= workload_count; w++)
    if ((n = by_speed(workloads[w])) > 0) {
      shown[++panels] = workloads[w]
      rows = n > rows ? n : rows
    }
  panel_width = text_width + bar_width + 40
  panel_height = (rows + 2) * row_height + 6
  lines = int((panels + 1) / 2)
  printf "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" " \
    "width=\"%d\" font-family=\"sans-serif\" font-size=\"12\">\n", \
    2 * panel_width, lines * panel_height + 22, 2 * panel_width
  print "<style>text{fill:#333}.name{text-anchor:end}" \
    ".title,.name.us{font-weight:bold}" \
    ".peer{fill:#9aa5b1}rect.us{fill:#c0392b}" \
    "@media(prefers-color-scheme:dark){text{fill:#ddd}.peer{fill:#6b7682}}" \
    "</style>"
  svg_text(6, 16, "", sprintf("Million operations a second: %s keys, %s", \
    keys_text(keys), threads_text(threads)))
  for (p = 1; p <= panels; p++)
    panel((p - 1) % 2 * panel_width, int((p - 1) / 2) * panel_height + 40, \
      shown[p])
  print "</svg>"
}

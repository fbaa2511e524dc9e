# An SVG chart of a CSV file of cmap_bench, after report_common.awk: for each
# workload libcmap and its peers as bars, libcmap first, then the fastest of the
# others. It shows the rows of so many `keys` and `threads`; by default of the
# most keys, and of two threads.

BEGIN {
  text_width = 205
  bar_width = 160
  row_height = 17
}

function svg_text(x, y, class, text) {
  printf "<text x=\"%d\" y=\"%d\" class=\"%s\">%s</text>\n", x, y, class, \
    escape(text)
}

# Puts libcmap and its peers into shown_maps[1..n], libcmap first.
function choose(w,    i, n, count, order) {
  count = by_speed(w, keys, threads, order)
  n = (w, keys, threads, "cmap") in median
  if (n)
    shown_maps[1] = "cmap"
  for (i = 1; i <= count; i++)
    if (whose[order[i]] == "peer")
      shown_maps[++n] = order[i]
  return n
}

function panel(x, y, w,    i, n, v, most) {
  n = choose(w)
  most = 0
  for (i = 1; i <= n; i++)
    if (median[w, keys, threads, shown_maps[i]] > most)
      most = median[w, keys, threads, shown_maps[i]]
  svg_text(x + 8, y, "title", w in about ? about[w] : w)
  for (i = 1; i <= n; i++) {
    v = median[w, keys, threads, shown_maps[i]]
    y += row_height
    svg_text(x + text_width - 6, y, \
      shown_maps[i] == "cmap" ? "name us" : "name", title[shown_maps[i]])
    printf "<rect x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"12\" " \
      "class=\"%s\"/>\n", x + text_width, y - 10, v / most * bar_width, \
      shown_maps[i] == "cmap" ? "us" : "peer"
    svg_text(x + text_width + v / most * bar_width + 4, y, "number",
      sprintf(v < 10 ? "%.1f" : "%.0f", v))
  }
}

END {
  if (failed)
    exit 1
  if (keys == "")
    keys = sizes[workloads[1], size_count[workloads[1]]]
  if (threads == "")
    threads = 2
  rows = 0
  panels = 0
  for (w = 1; w <= workload_count; w++)
    if ((n = choose(workloads[w])) > 0) {
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

# Plots of the report, after report_common.awk: lines of all maps over a few
# values of one coordinate. libcmap and the two best peers have a colour and
# their names below; the others are grey.
#
# A plot is as wide as a telephone, and its text is never below 12 pixels. What
# plot() is given stands in tick[1..n] (texts) and y[impl,1..n] (numbers).

function clear_plot() {
  split("", tick)
  split("", y)
}

# Which peers are shown: the best and the second best, by the number of points
# that they have and then by the mean of their logarithms.
function choose_peers(n, low_is_good,    i, j, count, sum, rank, first, second,
    name) {
  chosen[1] = chosen[2] = ""
  for (i = 1; i <= impl_count; i++) {
    name = impls[i]
    if (whose[name] != "peer")
      continue
    count = sum = 0
    for (j = 1; j <= n; j++)
      if ((name, j) in y && y[name, j] > 0) {
        sum += log(y[name, j])
        count++
      }
    if (count == 0)
      continue
    rank = count * 1000 + (low_is_good ? -sum : sum) / count
    if (chosen[1] == "" || rank > first) {
      chosen[2] = chosen[1]
      second = first
      chosen[1] = name
      first = rank
    } else if (chosen[2] == "" || rank > second) {
      chosen[2] = name
      second = rank
    }
  }
}

function plot_x(j, n) {
  return n == 1 ? 202 : 56 + (j - 1) * 292 / (n - 1)
}

function plot_y(value) {
  if (by_log)
    value = log(value > 1 ? value : 1) / log(10)
  return 196 - (value - plot_low) * 180 / (plot_high - plot_low)
}

# 1, 2 or 5 with zeros: at most five of them up to `most`.
function step_for(most,    step) {
  step = exp(log(10) * int(log(most / 5) / log(10) - 1))
  while (step * 5 < most)
    step *= step * 5 * 2 >= most ? 2 : step * 5 * 5 >= most ? 5 : 10
  return step
}

function time_text(ns) {
  return ns < 1000 ? ns " ns" : ns < 1000000 ? ns / 1000 " µs" : \
    ns / 1000000 " ms"
}

function level(value, text) {
  printf "<path class=grid d=\"M50 %.1fH354\"/>" \
    "<text x=46 y=%.1f class=end>%s</text>\n", plot_y(value), \
    plot_y(value) + 4, text
}

function axes(n, logarithmic,    i, j, most, least_y, step, every) {
  most = 0
  least_y = 1e30
  for (i in y) {
    most = y[i] > most ? y[i] : most
    least_y = y[i] < least_y ? y[i] : least_y
  }
  by_log = logarithmic
  if (by_log) {
    plot_low = int(log(least_y > 1 ? least_y : 1) / log(10) + 1e-9)
    plot_high = int(log(most) / log(10) - 1e-9) + 1
    for (i = plot_low; i <= plot_high; i++)
      level(exp(i * log(10)), time_text(sprintf("%.0f", exp(i * log(10)))))
  } else {
    plot_low = 0
    step = step_for(most)
    plot_high = most
    for (i = 0; i * step <= most; i++)
      level(i * step, sprintf("%g", i * step))
  }
  every = int((n + 5) / 6)
  for (j = 1; j <= n; j += every)
    printf "<text x=%.1f y=214 class=%s>%s</text>\n", plot_x(j, n), \
      j == n ? "end" : "mid", tick[j]
}

function draw(name, n, class,    j, d) {
  for (j = 1; j <= n; j++)
    if ((name, j) in y)
      d = d (d == "" ? "M" : "L") sprintf("%.1f %.1f", plot_x(j, n), \
        plot_y(y[name, j]))
  if (d == "")
    return
  printf "<path class=\"line %s\" d=\"%s\"/>\n", class, d
  for (j = 1; class != "rest" && j <= n; j++)
    if ((name, j) in y)
      printf "<circle class=%s cx=%.1f cy=%.1f r=3 />\n", class, \
        plot_x(j, n), plot_y(y[name, j])
}

# What a line is, with its last value in words.
function key_line(name, n, class, unit,    j) {
  for (j = n; j > 1 && !((name, j) in y); j--)
    ;
  if ((name, j) in y)
    printf "<li><i class=%s></i>%s: %s at %s\n", class, \
      escape(title[name]), unit == "ns" ? time_text(y[name, j]) : \
      number_text(y[name, j]) unit, tick[j]
}

function plot(caption, n, logarithmic, low_is_good, unit,    i, name) {
  choose_peers(n, low_is_good)
  printf "<figure><figcaption>%s</figcaption>" \
    "<svg viewBox=\"0 0 360 220\" role=img aria-label=\"%s\">\n", caption, \
    caption
  axes(n, logarithmic)
  grey_count = 0
  for (i = 1; i <= impl_count; i++) {
    name = impls[i]
    if (name != "cmap" && name != chosen[1] && name != chosen[2] &&
        (name, n) in y) {
      draw(name, n, "rest")
      grey_count++
    }
  }
  draw(chosen[2], n, "second")
  draw(chosen[1], n, "first")
  draw("cmap", n, "us")
  print "</svg><ul>"
  key_line("cmap", n, "us", unit)
  key_line(chosen[1], n, "first", unit)
  key_line(chosen[2], n, "second", unit)
  if (grey_count)
    printf "<li><i class=rest></i>%d more in grey\n", grey_count
  print "</ul></figure>"
}

# All plots of a workload: one for every size that was run with several numbers
# of threads, else one for every number of threads with several sizes. Says how
# many.
function plot_workload(w,    count) {
  count = plot_lines(w, 1)
  return count ? count : plot_lines(w, 0)
}

function plot_lines(w, by_threads,    p, i, j, n, m, k, t, count) {
  m = by_threads ? size_count[w] : thread_count[w]
  for (p = 1; p <= m; p++) {
    clear_plot()
    n = 0
    for (j = 1; j <= (by_threads ? thread_count[w] : size_count[w]); j++) {
      k = sizes[w, by_threads ? p : j]
      t = threads_of[w, by_threads ? j : p]
      if (!((w, k, t) in row_seen))
        continue
      tick[++n] = by_threads ? threads_text(t) : keys_text(k)
      for (i = 1; i <= impl_count; i++)
        if ((w, k, t, impls[i]) in median)
          y[impls[i], n] = median[w, k, t, impls[i]]
    }
    if (n < 2)
      continue
    plot(by_threads ? keys_text(sizes[w, p]) " keys" : \
      threads_text(threads_of[w, p]), n, 0, 0, "")
    count++
  }
  return count + 0
}

function plot_pause(k,    i, j, v) {
  clear_plot()
  split("p50|p99.9|p99.999|slowest", tick, "|")
  for (i = 1; i <= impl_count; i++)
    if ((impls[i], k) in pause) {
      split(pause[impls[i], k], v, " ")
      for (j = 1; j <= 4; j++)
        y[impls[i], j] = v[j] > 0 ? v[j] : 1
    }
  plot("time of an insert, " keys_text(k) " inserts", 4, 1, 1, "ns")
}

function plot_memory(    i, j, k, n) {
  clear_plot()
  for (j = 1; j <= memory_size_count["memory"]; j++) {
    k = memory_sizes["memory", j]
    if (k < 1000000)
      continue
    tick[++n] = sprintf("%.1f M", k / 1000000)
    for (i = 1; i <= impl_count; i++)
      if ((impls[i], k) in memory)
        y[impls[i], n] = memory[impls[i], k]
  }
  if (n >= 2)
    plot("bytes an entry, grown one by one", n, 0, 1, " bytes")
}

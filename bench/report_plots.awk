# A gnuplot script for all plots of a CSV file of cmap_bench, one SVG each:
# threads_WORKLOAD, size_WORKLOAD, pause, memory. Needs report_common.awk.

# Emits the data of one line as $d<number>; 0 if it has no points.
function block(text) {
  if (text == "")
    return 0
  printf "$d%d << EOD\n%sEOD\n", ++blocks, text
  return blocks
}

function begin_svg(name, panels) {
  printf "set output '%s/%s.svg'\n", dir, name
  printf "set terminal svg size %d,360 fixed font 'sans-serif,12' " \
    "background 'white'\n", 340 * panels + 190
  # One more column at the right has the names.
  width = (1 - 190 / (340 * panels + 190)) / panels
  print "set multiplot\nset ytics nomirror"
}

function begin_panel(number, title) {
  printf "set lmargin at screen %.4f\nset rmargin at screen %.4f\n", \
    (number - 1) * width + width * 0.17, number * width - width * 0.03
  print "set tmargin at screen 0.90\nset bmargin at screen 0.15\nunset key"
  printf "set title '%s'\n", title
}

# plot_parts are what begin_panel's plot shows; the names come at the end.
function end_panel(parts) {
  if (parts != "")
    print "plot " parts
}

function style(impl) {
  return sprintf("lc rgb '%s' lw %s dt %d pt %d ps 0.6", colour_of(impl), \
    impl == "cmap" ? "3.5" : "1.5", impl == "raw" ? 2 : 1, \
    impl == "cmap" ? 7 : 6)
}

function end_svg(shown,    i, parts) {
  printf "set lmargin at screen %.4f\nset rmargin at screen 0.999\n", \
    panels_now * width
  print "unset title; unset border; unset tics; unset xlabel; unset ylabel"
  print "unset logscale; set format '%g'; unset grid"
  print "set key at screen 0.995,0.93 right top Left reverse noenhanced"
  print "set key samplen 2"
  print "set xrange [0:1]; set yrange [0:1]"
  for (i = 1; i <= impl_count; i++)
    if (impls[i] in shown)
      parts = parts (parts == "" ? "" : ", ") "NaN with linespoints " \
        style(impls[i]) " title '" impls[i] "'"
  print "plot " parts
  print "unset multiplot\nset border 3\nset tics nomirror"
  print "set grid ytics lc rgb '#dddddd' lt 1\nset autoscale"
}

# Lines of all maps over the values of one coordinate, the other being fixed.
function panel_lines(w, by_threads, fixed, shown,
    i, j, n, k, t, text, parts, x) {
  for (i = 1; i <= impl_count; i++) {
    text = ""
    n = by_threads ? thread_count[w] : size_count[w]
    for (j = 1; j <= n; j++) {
      x = by_threads ? threads_of[w, j] : sizes[w, j]
      k = by_threads ? fixed : x
      t = by_threads ? x : fixed
      if ((w, k, t, impls[i]) in median)
        text = text x " " median[w, k, t, impls[i]] "\n"
    }
    if (block(text)) {
      shown[impls[i]] = 1
      parts = parts (parts == "" ? "" : ", ") "$d" blocks \
        " with linespoints " style(impls[i]) " notitle"
    }
  }
  end_panel(parts)
}

# Tics at the values themselves.
function tics(list, count, name, keys,    i, text) {
  for (i = 1; i <= count[name]; i++)
    text = text (i > 1 ? ", " : "") "'" \
      (keys ? keys_text(list[name, i]) : list[name, i]) "' " list[name, i]
  printf "set xtics nomirror (%s)\n", text
}

# How many values of the other coordinate there are at `fixed`.
function values(w, by_threads, fixed,    j, n, count) {
  n = by_threads ? thread_count[w] : size_count[w]
  for (j = 1; j <= n; j++)
    count += by_threads ? (w, fixed, threads_of[w, j]) in row_seen \
      : (w, sizes[w, j], fixed) in row_seen
  return count
}

# A panel for every size, or number of threads, that has a line to show.
function plot_workload(w, by_threads,    p, n, count, shown, fixed, panels) {
  n = by_threads ? size_count[w] : thread_count[w]
  for (p = 1; p <= n; p++) {
    fixed = by_threads ? sizes[w, p] : threads_of[w, p]
    if (values(w, by_threads, fixed) > 1)
      panels[++count] = fixed
  }
  panels_now = count + 0
  if (panels_now == 0)
    return
  begin_svg((by_threads ? "threads_" : "size_") w, panels_now)
  printf "set ylabel 'million operations a second' offset 1\n"
  print "set yrange [0:*]"
  if (by_threads) {
    print "set logscale x 2; set xlabel 'threads'"
    tics(threads_of, thread_count, w, 0)
    printf "set xrange [%s*0.9:%s*1.1]\n", threads_of[w, 1], \
      threads_of[w, thread_count[w]]
  } else {
    print "set logscale x 10; set xlabel 'keys'"
    tics(sizes, size_count, w, 1)
    printf "set xrange [%s*0.7:%s*1.4]\n", sizes[w, 1], \
      sizes[w, size_count[w]]
  }
  for (p = 1; p <= panels_now; p++) {
    begin_panel(p, by_threads ? keys_text(panels[p]) " keys" \
      : threads_text(panels[p]))
    panel_lines(w, by_threads, panels[p], shown)
    print "unset ylabel"
  }
  end_svg(shown)
}

function plot_pause(    p, i, j, n, v, text, parts, shown) {
  n = pause_size_count["pause"]
  if (n == 0)
    return
  panels_now = n
  begin_svg("pause", n)
  print "set ylabel 'ns, logarithmic' offset 1; set logscale y 10"
  print "set format y '10^{%L}'; set yrange [*:*]; set xrange [0.8:4.2]"
  print "set xtics nomirror ('p50' 1, 'p99.9' 2, 'p99.999' 3, 'slowest' 4)"
  for (p = 1; p <= n; p++) {
    begin_panel(p, keys_text(pause_sizes["pause", p]) " inserts")
    parts = ""
    for (i = 1; i <= impl_count; i++) {
      if (!((impls[i], pause_sizes["pause", p]) in pause))
        continue
      split(pause[impls[i], pause_sizes["pause", p]], v, " ")
      text = ""
      for (j = 1; j <= 4; j++)
        text = text j " " (v[j] > 0 ? v[j] : 1) "\n"
      block(text)
      shown[impls[i]] = 1
      parts = parts (parts == "" ? "" : ", ") "$d" blocks \
        " with linespoints " style(impls[i]) " notitle"
    }
    end_panel(parts)
    print "unset ylabel"
  }
  end_svg(shown)
}

function plot_memory(    i, j, k, text, parts, shown) {
  if (memory_size_count["memory"] == 0)
    return
  panels_now = 2
  begin_svg("memory", 2)
  print "set ylabel 'bytes an entry' offset 1; set xlabel 'keys'"
  print "set logscale x 10; set yrange [0:*]; set xrange [0.9e6:1.1e7]"
  print "set xtics nomirror ('1 M' 1e6, '2 M' 2e6, '5 M' 5e6, '10 M' 1e7)"
  begin_panel(2, "")
  printf "set lmargin at screen %.4f\n", width * 0.17
  print "set title 'grown from empty, one by one'"
  for (i = 1; i <= impl_count; i++) {
    text = ""
    for (j = 1; j <= memory_size_count["memory"]; j++) {
      k = memory_sizes["memory", j]
      if (k >= 1000000 && (impls[i], k) in memory)
        text = text k " " memory[impls[i], k] "\n"
    }
    if (block(text)) {
      shown[impls[i]] = 1
      parts = parts (parts == "" ? "" : ", ") "$d" blocks \
        " with linespoints " style(impls[i]) " notitle"
    }
  }
  end_panel(parts)
  end_svg(shown)
}

END {
  print "set encoding utf8\nset border 3\nset tics nomirror"
  print "set grid ytics lc rgb '#dddddd' lt 1"
  for (w = 1; w <= workload_count; w++) {
    plot_workload(workloads[w], 1)
    plot_workload(workloads[w], 0)
  }
  plot_pause()
  plot_memory()
}

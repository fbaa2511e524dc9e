#!/usr/bin/env bash
# The benchmark program: its options, its CSV file, its exit status.
. "$(dirname "$0")/common.sh"

bench=$build_dir/bench/cmap_bench
[ -x "$bench" ] || skip "the benchmark is not built"
cd "$scratch"

"$bench" --list >list
for name in get miss mixed grow count_hot iterate str_count pause memory cmap
do
  grep -q "^  $name " list || fail "--list lacks $name"
done
"$bench" --help | grep -q -- --workload || fail "--help lacks an option"

for wrong in "--workload nonsense" "--impl nonsense" "--keys 0" "--keys 1,x" \
    "--threads -1" "--rounds 1,2" "--nonsense" "get" "--ops 1e6"; do
  status=0
  # shellcheck disable=SC2086
  "$bench" $wrong >out 2>&1 || status=$?
  [ "$status" -eq 2 ] || fail "'$wrong' ends with $status instead of 2"
done

# run <options...>: with little work
run() {
  "$bench" --keys 100 --threads 1,2 --rounds 3 --ops 2000 --impl cmap "$@" \
    >out 2>err || fail "cmap_bench $*: $(cat err)"
  cp out out.bench
}

run --workload get,mixed,grow,str_get,str_entry --csv rows.csv
header=workload,keys,threads,impl,rounds,median_mops,min_mops,max_mops
[ "$(head -n 1 rows.csv)" = "$header,bytes_per_entry" ] ||
  fail "the header is $(head -n 1 rows.csv)"
[ "$(wc -l <rows.csv)" -eq 11 ] || fail "$(wc -l <rows.csv) lines, not 11"
awk -F, 'NF != 9 || NR > 1 && !($6 > 0 && $7 <= $6 && $6 <= $8 && $5 == 3) {
  print; bad = 1 } END { exit bad }' rows.csv || fail "a row is wrong"
[ "$(grep -c '^\(get\|mixed\|grow\|str_\)' out)" -eq 10 ] ||
  fail "the table has not 10 rows"
[ -s err ] || fail "no progress on stderr"

# A file is emptied first, unless that is not wanted.
run --workload get --csv rows.csv
[ "$(wc -l <rows.csv)" -eq 3 ] || fail "the file was not emptied"
run --workload pause --csv rows.csv --append
[ "$(sed -n 4p rows.csv)" = \
  workload,keys,impl,p50_ns,p999_ns,p99999_ns,max_ns ] ||
  fail "pause has the header $(sed -n 4p rows.csv)"
sed -n 5p rows.csv | grep -q '^pause,100,cmap,[0-9]*,[0-9]*,[0-9]*,[0-9]*$' ||
  fail "pause has the row $(sed -n 5p rows.csv)"

# The words of a folder, counted once by hand: 5 words, 4 of them distinct.
mkdir tree
printf 'int a; int b_1' >tree/one.h
printf '/* c */' >tree/two.h
CMAP_BENCH_TREE=$scratch/tree run --workload str_count_words --csv rows.csv
grep -q '^str_count_words,4,1,cmap,3,' rows.csv || fail "not 4 words"

# --------------------------------------------------------------------------
# The report
# --------------------------------------------------------------------------

report() {
  bash "$source_dir/bench/report.sh" report "$1" "$bench" >out
}

# Whoever is no peer, twice as fast as libcmap: the headline is about peers.
"$bench" --maps >maps
[ "$(wc -l <maps)" -eq "$(sed '1,/^maps:/d' list | wc -l)" ] ||
  fail "--maps and --list name other maps"
for name in cmap_fast cmap_store raw; do
  grep -q "^$name	" maps || fail "--maps lacks $name"
done
{
  echo "$header,bytes_per_entry"
  for threads in 1 2; do
    awk -F '\t' -v threads="$threads" '{
      mops = $1 == "cmap" ? 30 : $2 == "peer" ? ++peers : 60
      printf "get,1000,%d,%s,3,%d,%d,%d,\n", threads, $1, mops, mops, mops
    } END { printf "get,1000,%d,cmap_fast,3,90,90,90,\n", threads }' maps
  done
} >made.csv
report made.csv
if grep -q '	peer	' maps; then
  number=$(awk -F '\t' '$2 == "peer" { n++ } END { printf "%.2f", 30 / n }' maps)
  grep -q "id=mean><b>$number ×<" report/report.html || fail "not $number ×"
  grep -q 'id=ahead><b>2 of 2<' report/report.html || fail "not 2 of 2 rows"
  [ "$(grep -c 'class="line \(us\|first\|second\)"' report/report.html)" -le 3 ] ||
    fail "more than three lines have a colour"
fi

# For a telephone, in the dark, without a mouse.
for text in 'prefers-color-scheme:dark' 'name=viewport' '</html>'; do
  grep -q -- "$text" report/report.html || fail "the report lacks $text"
done
if grep -o 'font-size:[0-9.]*px' report/report.html | grep -v ':1[2-9]px'; then
  fail "this is too small to read"
fi
if grep -e '<script' -e ' title=' -e '<img' report/report.html; then
  fail "the report is not one page without scripts and hovering"
fi

sed 's/,cmap,/,nobody,/' made.csv >nobody.csv
if report nobody.csv 2>err; then
  fail "a map that the program does not have is in the report"
fi
grep -q "no map 'nobody'" err || fail "the unknown map is not named"

# Shapes: all maps that take part agree, and the report has a cell for each.
run --impl "$(cut -f 1 maps | grep -v java | paste -s -d ,)" --rounds 1 \
  --shape u64:0,u32:4,fixed16:16,str36:8 --csv rows.csv
for shape in u64:0 u32:4 fixed16:16 str36:8; do
  for workload in get miss overwrite grow remove read_guard; do
    grep -q "^$workload@$shape,100,2,cmap," rows.csv ||
      fail "no row of $workload, $shape"
  done
done
grep -q '^count_zipf@u32:4,' rows.csv || fail "no counters of 4 bytes"
if grep '^count_zipf@u64:0,\|^[a-z_]*,' rows.csv | grep -v '^workload,'; then
  fail "these rows should not be there"
fi
report rows.csv
[ "$(grep -o '<td>fixed16:16</td>' report/report.html | wc -l)" -eq 2 ] ||
  fail "the report has not two tables of shapes"
for wrong in u64:5 nonsense; do
  if "$bench" --shape "$wrong" >out 2>&1; then
    fail "the shape $wrong is taken"
  fi
done

# What was measured: the terminal's number is the report's.
run --impl "$(cut -f 1 maps | grep -v java | paste -s -d ,)" \
  --workload get,mixed,str_get,memory --csv rows.csv
report rows.csv
for text in 'id="get"' 'id=memory' '100 keys'; do
  grep -q -- "$text" report/report.html || fail "the report lacks $text"
done
tail -n 1 report/speed.svg | grep -q '^</svg>$' &&
  [ "$(grep -c '<rect.*class="us"' report/speed.svg)" -eq 3 ] ||
  fail "speed.svg is not the chart of three workloads"
sed -n 's/^cmap beside the best peer of each row: geometric mean \([0-9.]*\) of \([0-9]*\) rows, behind in \([0-9]*\);$/\1 \2 \3/p' out.bench >terminal
if [ -s terminal ]; then
  read -r mean rows behind <terminal
  sed -n 's/.*id=mean><b>\([0-9.]*\) ×.*/\1/p' report/report.html >number
  awk -v mean="$mean" '{ d = $1 - mean; exit !(d < 0.011 && d > -0.011) }' \
    number || fail "the terminal says $mean, the report $(cat number)"
  grep -q "id=ahead><b>$((rows - behind)) of $rows<" report/report.html ||
    fail "the terminal says behind in $behind of $rows"
elif grep -q '	peer	' maps && ! grep -q 'not in this build' maps; then
  fail "the terminal has no sums"
fi

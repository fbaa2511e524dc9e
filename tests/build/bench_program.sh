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

# The report has a section for each workload, in one file.
run --workload get,memory --csv rows.csv
bash "$source_dir/bench/report.sh" report rows.csv "$bench" >out
for text in 'id="get"' 'id=memory' '100 keys, 2 threads' '</html>'; do
  grep -q -- "$text" report/report.html || fail "the report lacks $text"
done
tail -n 1 report/speed.svg | grep -q '^</svg>$' &&
  [ "$(grep -c '<rect.*class="us"' report/speed.svg)" -eq 1 ] ||
  fail "speed.svg is not the chart of one workload"
if have gnuplot; then
  [ -s report/threads_get.svg ] || fail "no plot"
  [ "$(grep -c 'src="data:image/svg+xml' report/report.html)" -eq 2 ] ||
    fail "the report has not the two plots in it"
fi

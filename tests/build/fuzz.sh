#!/usr/bin/env bash
# libFuzzer runs each target of tests/fuzz, from its corpus, for so many seconds
# (a fourth argument, or CMAP_TEST_FUZZ_SECONDS; 2), with AddressSanitizer and
# UBSan. What it finds stays in <build dir>/fuzz; with 10 seconds or more, it also
# keeps what it has learnt there, and goes on from it.
. "$(dirname "$0")/common.sh"

seconds=${1:-${CMAP_TEST_FUZZ_SECONDS:-2}}
printf 'int LLVMFuzzerTestOneInput(const char *d, long n);
int LLVMFuzzerTestOneInput(const char *d, long n) { return !d && n; }\n' \
  >"$scratch/probe.c"
flags=(-fsanitize=address,undefined -fno-sanitize-recover=all)
clang -fsanitize=fuzzer "${flags[@]}" "$scratch/probe.c" -o "$scratch/probe" \
  2>"$scratch/log" || skip "no clang with libFuzzer"
have pkg-config && pkg-config --exists cmocka || skip "no cmocka"
read -r -a cmocka <<<"$(pkg-config --cflags --libs cmocka)"

# A few seconds are over before -O1 has paid for itself.
flags+=(-fsanitize=fuzzer-no-link -gline-tables-only -std=c11 -D_GNU_SOURCE
  -pthread -O$((seconds >= 10)))
fuzz=$source_dir/tests/fuzz
kept=$build_dir/fuzz
mkdir -p "$kept" "$scratch/objects"

compile() {
  clang "${flags[@]}" -Wall -Wextra -Werror -I"$source_dir/include" \
    -I"$source_dir"/tests/{support,fuzz} -c "$1" \
    -o "$scratch/objects/$(basename "$1" .c).o"
}

echo "== build"
sh "$source_dir/src/package/amalgamate.sh" "$scratch/one" || fail "amalgamate.sh"
clang "${flags[@]}" -DCMAP_CHECK=2 -c "$scratch/one/cmap.c" \
  -o "$scratch/cmap.o" &
library=$!
for name in begin store_model fuzz_map fuzz_options fuzz_scan fuzz_store; do
  compile "$fuzz/$name.c" || fail "$name.c"
done
for name in checks content counting_alloc lifetimes maps oracle random settings \
    step store_objects; do
  compile "$source_dir/tests/support/$name.c" || fail "$name.c"
done
for source in "$source_dir"/tests/support/operations*.c; do
  compile "$source" || fail "$source"
done
wait "$library" || fail "cmap.c"
objects=("$scratch"/objects/[!f]*.o "$scratch/cmap.o")

# run_target <name>: the corpus, then what mutations of it find.
run_target() {
  local name=$1 corpus=("$scratch/$1.corpus" "$fuzz/corpus/$1")
  clang -fsanitize=fuzzer "${flags[@]}" "$scratch/objects/fuzz_$name.o" \
    "${objects[@]}" "${cmocka[@]}" -o "$scratch/fuzz_$name" || return 1
  [ "$seconds" -lt 10 ] || corpus=("$kept/$name" "$fuzz/corpus/$name")
  mkdir -p "${corpus[0]}"
  "$scratch/fuzz_$name" -artifact_prefix="$kept/$name-" -max_len=400 \
    -max_total_time="$seconds" -timeout=60 -rss_limit_mb=4096 \
    -print_final_stats=1 -verbosity=1 "${corpus[@]}" \
    >"$kept/$name.log" 2>&1 || return 1
  printf -- '-- %s: %s inputs\n' "$name" \
    "$(sed -n 's/^stat::number_of_executed_units: *//p' "$kept/$name.log")"
}

echo "== run, $seconds s each"
status=0
for name in map options scan store; do
  run_target "$name" && continue
  tail -n 40 "$kept/$name.log"
  printf 'FAILED: fuzz_%s; the input is %s\n' "$name" "$kept/$name-*"
  status=1
done
exit "$status"

#!/usr/bin/env bash
# Which lines and branches of src/ the unit, api, fault and stress tests reach
# (build/coverage/summary.txt; what none reaches, unreached.txt), and which
# statuses of which calls they have seen (statuses.txt). Fails below 95 of 100
# lines or 85 of 100 branches, or where a call was not seen to return what the
# header says of it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
out=$PWD/build/coverage
jobs=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)

cmake --preset coverage >/dev/null
programs=$(ninja -C "$out" -t targets all |
  sed -n 's/^\(\(unit\|api\|fault\|stress\)_test_[^:]*\): phony$/\1/p')
# shellcheck disable=SC2086 # words
ninja -C "$out" -j "$jobs" $programs >"$out/build.log" 2>&1 ||
  { tail -n 40 "$out/build.log"; exit 1; }
rm -rf "$out/profile"
mkdir "$out/profile"
python3 tests/coverage/statuses.py wrap include/cmap.h >"$out/statuses.c"
cc -std=gnu11 -O1 -Wall -Wextra -fPIC -shared -Iinclude "$out/statuses.c" \
  -o "$out/statuses.so"
: >"$out/statuses.seen"

# Counting takes stack: no small ones.
LLVM_PROFILE_FILE=$out/profile/%m.profraw CMAP_STATUSES=$out/statuses.seen \
  LD_PRELOAD=$out/statuses.so CMAP_TEST_SCALE=${CMAP_TEST_SCALE:-10} \
  ctest --test-dir "$out" --parallel "$jobs" --output-on-failure \
  --no-tests=error -L '^(unit|api|fault|stress)$' -E small_stack

failed=0
python3 tests/coverage/statuses.py table include/cmap.h "$out/statuses.seen" \
  tests/coverage/reasons.txt >"$out/statuses.txt" || failed=1
tail -n +2 "$out/statuses.txt" | grep -v '^cmap_' || true

llvm-profdata merge -o "$out/all.profdata" "$out"/profile/*.profraw
objects=()
for object in "$out"/tests/{unit,api,fault,stress}/test_* \
    "$out"/tests/libcmap_tested.so; do
  objects+=(-object "$object")
done
measured=("${objects[@]}" -instr-profile "$out/all.profdata"
  -ignore-filename-regex '/(tests|include)/')
llvm-cov report "${measured[@]}" >"$out/summary.txt"
llvm-cov show "${measured[@]}" -show-branches=count >"$out/shown.txt"
awk '/^\/.*:$/ { file = $0 }
  /^ +[0-9]+\| +0\|/ || /Branch .*(True|False): 0[],]/ {
    if (file != "") print file
    file = ""
    print
  }' "$out/shown.txt" >"$out/unreached.txt"
awk '/^TOTAL/ {
    lines = $10; branches = $13
    print "lines " lines ", branches " branches
    exit lines + 0 < 95 || branches + 0 < 85
  }' "$out/summary.txt" || failed=1
exit "$failed"

#!/usr/bin/env bash
# Each file in compile_fail/ is refused by the compiler, even without -Werror,
# with output that matches the extended regular expression in its comment
#   /* expect: regex */
# and compiles without a warning under -DCMAP_TEST_GOOD, which takes the one
# wrong thing out: so it is refused for the right reason.
. "$(dirname "$0")/common.sh"

flags=(-std=c11 -I "$source_dir/include" -fsyntax-only)
warnings=(-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wstrict-prototypes
  -Werror)
cases=0
failed=0

wrong() {
  printf 'FAILED: %s: %s\n' "${file##*/}" "$1"
  sed 's/^/    /' "$scratch/output"
  failed=$((failed + 1))
}

for file in "$source_dir"/tests/build/compile_fail/*.c; do
  [ -e "$file" ] || continue
  cases=$((cases + 1))
  : >"$scratch/output"
  expect=$(sed -n 's|^/\* expect: \(.*\) \*/$|\1|p' "$file")
  if [ -z "$expect" ]; then
    wrong "has no line /* expect: regex */"
  elif ! "$cc" "${flags[@]}" "${warnings[@]}" -DCMAP_TEST_GOOD "$file" \
      >"$scratch/output" 2>&1; then
    wrong "does not compile with -DCMAP_TEST_GOOD"
  elif "$cc" "${flags[@]}" "$file" >"$scratch/output" 2>&1; then
    wrong "compiles"
  elif ! grep -Eq -e "$expect" "$scratch/output"; then
    wrong "is refused, but not with '$expect'"
  else
    printf 'refused: %s\n' "${file##*/}"
  fi
done

[ "$cases" -gt 0 ] || fail "no files in compile_fail"
[ "$failed" -eq 0 ] || fail "$failed of $cases"

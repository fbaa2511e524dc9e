#!/usr/bin/env bash
# Each file in compile_fail/ is refused by the compiler, even without -Werror,
# with output that matches the extended regular expression in its comment
#   /* expect: regex */
# and compiles without a warning under -DCMAP_TEST_GOOD, which takes the one
# wrong thing out: so it is refused for the right reason. With a comment
#   /* lines: N */  the output has no more than N lines
#   /* lines: N, of clang: M */  the same of clang
#   /* ends */      the first or the last error says so
# Each file is for gcc and clang, as far as they are installed.
. "$(dirname "$0")/common.sh"

flags=(-I "$source_dir/include" -fsyntax-only)
warnings=(-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror)
cases=0
failed=0

wrong() {
  printf 'FAILED: %s: %s\n' "${file##*/}" "$1"
  sed 's/^/    /' "$scratch/output"
  failed=$((failed + 1))
}

# try <compiler and its own flags>: of $file
try() {
  local lines=$lines
  case $("$1" --version) in
    *clang*) lines=${lines#*, of clang: } ;;
    *) lines=${lines%%,*} ;;
  esac
  cases=$((cases + 1))
  : >"$scratch/output"
  if [ -z "$expect" ]; then
    wrong "has no line /* expect: regex */"
  elif ! "$@" "${flags[@]}" "${warnings[@]}" -DCMAP_TEST_GOOD "$file" \
      >"$scratch/output" 2>&1; then
    wrong "does not compile with -DCMAP_TEST_GOOD"
  elif "$@" "${flags[@]}" "$file" >"$scratch/output" 2>&1; then
    wrong "compiles"
  elif ! grep -Eq -e "$expect" "$scratch/output"; then
    wrong "is refused, but not with '$expect'"
  elif [ "$(wc -l <"$scratch/output")" -gt "${lines:-100000}" ]; then
    wrong "is refused in more than $lines lines"
  elif grep -q '^/\* ends \*/$' "$file" &&
      ! { grep -m 1 -A 8 'error: ' "$scratch/output"
          grep -A 8 'error: ' "$scratch/output" | tail -n 9; } |
        grep -E -e "$expect" >/dev/null
  then
    wrong "does not begin or end with '$expect'"
  else
    printf '%s refuses %s\n' "$1" "${file##*/}"
  fi
}

for file in "$source_dir"/tests/build/compile_fail/*.c*; do
  [ -e "$file" ] || continue
  expect=$(sed -n 's|^/\* expect: \(.*\) \*/$|\1|p' "$file")
  lines=$(sed -n 's|^/\* lines: \(.*\) \*/$|\1|p' "$file")
  case $file in
    *.c)
      for compiler in gcc clang; do
        if have "$compiler"; then
          try "$compiler" -std=c11 -Wstrict-prototypes
        fi
      done ;;
    *)
      for compiler in g++ clang++; do
        if have "$compiler"; then
          try "$compiler" -std=c++17
        fi
      done ;;
  esac
done

[ "$cases" -gt 0 ] || fail "no files in compile_fail"
[ "$failed" -eq 0 ] || fail "$failed of $cases"

#!/usr/bin/env bash
# The library as one file, cmap.c with cmap.h: every compiler that is here takes
# it without a warning, a C and a C++ program with it run, and tests of the API
# pass with it. The files of the source also compile by hand, all of them.
. "$(dirname "$0")/common.sh"

build=$source_dir/tests/build
sh "$source_dir/src/package/amalgamate.sh" "$scratch/one" ||
  fail "amalgamate.sh"
one=$scratch/one
[ "$(find "$one" -type f | wc -l)" -eq 2 ] || fail "not two files"

# try <name> <compiler> [flag ...]: if that links a program.
try() {
  local name=$1
  shift
  printf 'int main(void) { return 0; }\n' >"$scratch/$name.c"
  if ! "$@" "$scratch/$name.c" -o "$scratch/$name" 2>"$scratch/$name.log"; then
    echo "-- $name: no compiler"
    return
  fi
  "$@" -std=c11 -O0 -Wall -Wextra -Wpedantic -Werror -pthread \
    -I"$one" -c "$one/cmap.c" -o "$scratch/$name.o" &&
    "$@" -std=c11 -pthread -I"$one" "$build/consumer/main.c" \
      "$scratch/$name.o" -o "$scratch/$name" || fail "$name does not build"
  # Some kernels of x86_64 run no programs of 32 bits.
  output=$("$scratch/$name" 2>"$scratch/$name.log" ||
    { [ "$name" = 32_bits ] && qemu-i386 "$scratch/$name"; }) ||
    fail "$name does not run"
  [ "$output" = "consumer ok" ] || fail "$name says '$output'"
  echo "-- $name"
}

echo "== compilers"
pids=()
try cc "$cc" &
pids+=($!)
try clang clang &
pids+=($!)
wait "${pids[0]}" || fail "$cc"
probes=()
if printf '#include <sys/sdt.h>\n' | "$cc" -E - >"$scratch/sdt" 2>&1; then
  probes=(-DCMAP_WITH_USDT)
fi
try pthread "$cc" -DCMAP_LOCK_PTHREAD -DCMAP_CHECK=2 "${probes[@]}" &
pids+=($!)
wait "${pids[1]}" || fail "clang"
try musl musl-gcc -static &
pids+=($!)
# What serves where there is no Linux, as far as Linux has it: pages are kept,
# getentropy, POSIX locks.
try portable "$cc" -U__linux__ -U__linux -U__gnu_linux__ -DCMAP_CHECK=2 &
pids+=($!)
wait "${pids[2]}" || fail "POSIX locks"
if have i686-linux-gnu-gcc; then
  try 32_bits i686-linux-gnu-gcc -static
else
  try 32_bits gcc -m32
fi
wait "${pids[3]}" || fail "musl"
wait "${pids[4]}" || fail "portable"

if nm "$scratch/cc.o" | grep ' [TDBR] ' | grep -v ' cmap__\| libcmap_'; then
  fail "these names are not ours"
fi
if readelf -sW "$scratch/cc.o" | grep -v 'HIDDEN\|LOCAL\|UND' |
    grep 'libcmap_\|cmap__'; then
  fail "these names are not hidden"
fi

if [ ${#probes[@]} -gt 0 ]; then
  readelf -n "$scratch/pthread.o" >"$scratch/notes"
  for probe in lock_park lock_parked split build built; do
    grep -A1 'Provider: cmap$' "$scratch/notes" | grep -q "Name: $probe\$" ||
      fail "no probe $probe"
  done
  if readelf -n "$scratch/cc.o" | grep 'Provider: cmap'; then
    fail "probes that nobody asked for"
  fi
fi

echo "== a C++ program"
if have g++; then
  g++ -std=c++17 -pthread -I"$one" "$build/typed.cpp" "$scratch/cc.o" \
    -o "$scratch/typed" || fail "typed.cpp does not link"
  "$scratch/typed" || fail "typed.cpp: exit status $?"
fi

echo "== tests of the API"
support=$build_dir/tests/libcmap_test_support.a
if [ -e "$support" ] && have pkg-config; then
  read -r -a cmocka <<<"$(pkg-config --cflags --libs cmocka)"
  "$cc" -std=c11 -O0 -D_GNU_SOURCE -I"$source_dir/include" \
    -I"$source_dir/src" -I"$source_dir/tests/support" \
    -c "$source_dir"/tests/support/hooks/asleep.c -o "$scratch/asleep.o"
  for name in oracle deadlock store_flights scan guards_threads token; do
    "$cc" -std=c11 -O0 -D_GNU_SOURCE -pthread -I"$one" \
      -I"$source_dir"/tests/support{,/hooks} \
      "$source_dir/tests/api/test_$name.c" "$scratch/asleep.o" \
      "$scratch/portable.o" "$support" "${cmocka[@]}" -o "$scratch/$name" ||
      fail "api/test_$name.c does not link"
    CMAP_TEST_SCALE=5 "$scratch/$name" >"$scratch/log" 2>&1 ||
      { cat "$scratch/log"; fail "api/test_$name.c"; }
  done
fi

echo "== the source by hand"
mkdir "$scratch/objects"
cd "$scratch/objects"
"$cc" -O0 -c "$source_dir"/src/*/*.c -I"$source_dir/src" \
  -I"$source_dir/include" 2>"$scratch/log" || { cat "$scratch/log"; fail "cc"; }
[ ! -s "$scratch/log" ] || { cat "$scratch/log"; fail "warnings"; }
"$cc" -I"$source_dir/include" "$build/consumer/main.c" ./*.o -pthread \
  -o consumer || fail "the objects do not link"
[ "$(./consumer)" = "consumer ok" ] || fail "the objects do not work"

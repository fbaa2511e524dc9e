#!/usr/bin/env bash
# The installed library is found and used by outside programs: through CMake's
# find_package() and through pkg-config, shared and static, by other compilers and
# from C++, also after the installed tree has moved.
. "$(dirname "$0")/common.sh"

program=$source_dir/tests/build/consumer
cmake --install "$build_dir" --prefix "$scratch/first" >"$scratch/log" ||
  { cat "$scratch/log"; fail "cmake --install"; }
prefix=$scratch/moved
mv "$scratch/first" "$prefix"

[ -e "$prefix/include/cmap.h" ] || fail "no include/cmap.h"
headers=$(find "$prefix/include" -type f | wc -l)
[ "$headers" -eq 1 ] || fail "$headers headers installed instead of one"
if grep -rIl -e "$build_dir" -e "$source_dir" "$prefix"; then
  fail "these installed files name the build or source folder"
fi

# says_ok <program>: it runs and prints what consumer/main.c promises.
says_ok() {
  output=$("$@") || fail "$* does not run"
  [ "$output" = "consumer ok" ] || fail "$* says '$output'"
}

# needs_shared <program>: it loads the installed shared library.
needs_shared() {
  readelf -d "$1" | grep -q 'NEEDED.*\[libcmap\.so\.0\]'
}

echo "== CMake"
if ! cmake -S "$program" -B "$scratch/cmake" -DCMAKE_PREFIX_PATH="$prefix" \
    -DCMAKE_C_COMPILER="$cc" >"$scratch/log" 2>&1 ||
    ! cmake --build "$scratch/cmake" >>"$scratch/log" 2>&1; then
  cat "$scratch/log"
  fail "the CMake consumer does not build"
fi
for kind in default shared static; do
  says_ok "$scratch/cmake/consumer_$kind"
done
needs_shared "$scratch/cmake/consumer_default" || fail "cmap::cmap"
needs_shared "$scratch/cmake/consumer_shared" || fail "cmap::shared"
if needs_shared "$scratch/cmake/consumer_static"; then
  fail "cmap::static loads the shared library"
fi

echo "== pkg-config"
have pkg-config || skip "the CMake part is well; pkg-config is not installed"
pc=$(find "$prefix" -name cmap.pc)
[ -n "$pc" ] || fail "no cmap.pc"
export PKG_CONFIG_PATH=${pc%/*}
libdir=${PKG_CONFIG_PATH%/pkgconfig}
read -r -a cflags <<<"$(pkg-config --cflags cmap)"
read -r -a libs <<<"$(pkg-config --libs cmap)"
"$cc" -std=c11 "${cflags[@]}" "$program/main.c" -o "$scratch/shared" \
  "${libs[@]}" || fail "pkg-config --libs"
needs_shared "$scratch/shared" || fail "pkg-config --libs is not shared"
LD_LIBRARY_PATH=$libdir says_ok "$scratch/shared"

# The linker prefers a shared library of the same name, so name the file.
read -r -a libs <<<"$(pkg-config --static --libs cmap)"
libs=("${libs[@]/#-lcmap/-l:libcmap.a}")
"$cc" -std=c11 "${cflags[@]}" "$program/main.c" -o "$scratch/static" \
  "${libs[@]}" || fail "pkg-config --static --libs"
if needs_shared "$scratch/static"; then
  fail "pkg-config --static loads the shared library"
fi
says_ok "$scratch/static"

# Whoever compiled the library: other compilers link it, also from C++.
for compiler in gcc clang "g++ -x c++" "clang++ -x c++"; do
  read -r -a words <<<"$compiler"
  have "${words[0]}" || continue
  for kind in shared static; do
    used=("${libs[@]}")
    [ "$kind" = static ] || read -r -a used <<<"$(pkg-config --libs cmap)"
    "${words[@]}" "${cflags[@]}" "$program/main.c" -x none \
      -o "$scratch/other" "${used[@]}" || fail "$compiler, $kind"
    LD_LIBRARY_PATH=$libdir says_ok "$scratch/other"
  done
  echo "-- $compiler"
done

# As the manual says it. libc and jemalloc need not be there as archives.
read -r -a all <<<"$(pkg-config --static --cflags --libs cmap)"
needs=()
case " ${all[*]} " in
  *" -ljemalloc "*) needs=(-ljemalloc -lm) ;;
esac
printf 'int main(void) { return 0; }\n' >"$scratch/empty.c"
if ! "$cc" -static "$scratch/empty.c" -o "$scratch/empty" "${needs[@]}" \
    2>"$scratch/log"; then
  echo "no archive of libc or jemalloc: -static is not tried"
else
  echo "== -static"
  "$cc" -std=c11 -static "$program/main.c" -o "$scratch/all_static" \
    "${all[@]}" || fail "-static"
  says_ok "$scratch/all_static"
fi

# With -flto the calls are inlined: no function of that name is left.
if [ -e "$libdir/libcmap_lto.a" ]; then
  echo "== -flto"
  [ -x "$scratch/cmake/consumer_lto" ] || fail "no target cmap::lto"
  says_ok "$scratch/cmake/consumer_lto"
  "$cc" -std=c11 -O2 -flto=auto "${cflags[@]}" "$program/main.c" \
    -o "$scratch/lto" "${libs[@]/libcmap.a/libcmap_lto.a}" ||
    fail "pkg-config --static --libs, -flto"
  says_ok "$scratch/lto"
  nm "$scratch/static" >"$scratch/called"
  nm "$scratch/lto" >"$scratch/inlined"
  grep -q ' libcmap_get$' "$scratch/called" || fail "nm shows no functions"
  if grep -q ' libcmap_get$' "$scratch/inlined"; then
    fail "cmap_get is not inlined by -flto"
  fi
  # gcc drops prefetches whose function does nothing else.
  if [ "$(uname -m)" = x86_64 ]; then
    for name in get insert remove fetch_add; do
      objdump -d --disassemble="libcmap_$name" "$libdir/libcmap.so" \
        >"$scratch/code"
      grep -q 'prefetch' "$scratch/code" ||
        fail "cmap_$name does not prefetch"
    done
  fi
fi

#!/usr/bin/env bash
# The library is built for other machines and by other C libraries, with the
# compilers that are here, and a program with it runs there. What the linker
# needs besides, cmap.pc and the CMake package say.
. "$(dirname "$0")/common.sh"

program=$source_dir/tests/build/consumer/main.c
tried=0

# try <name> <needs libatomic: yes or no> <emulator or -> <compiler> [flag ...]:
# nothing, if the compiler cannot link a program, or there is no emulator.
try() {
  local name=$1 atomic=$2 emulator=$3 compiler=$4
  local build=$scratch/$name run=() libs
  shift 4
  printf 'int main(void) { return 0; }\n' >"$scratch/empty.c"
  if ! "$compiler" "$@" -static -pthread "$scratch/empty.c" \
      -o "$scratch/empty" >"$scratch/log" 2>&1; then
    echo "-- $name: no compiler"
    return
  fi
  if [ "$emulator" != - ]; then
    have "$emulator" || emulator+=-static
    run=("$emulator")
  fi
  if ! "${run[@]}" "$scratch/empty" >"$scratch/log" 2>&1; then
    echo "-- $name: programs do not run"
    return
  fi
  echo "== $name"
  if ! cmake -S "$source_dir" -B "$build" -DCMAKE_SYSTEM_NAME=Linux \
      -DCMAKE_C_COMPILER="$compiler" \
      -DCMAKE_C_FLAGS="-O0 -Wno-error=frame-larger-than= $*" \
      -DCMAKE_UNITY_BUILD=ON \
      -DCMAKE_BUILD_TYPE=None -DCMAP_WITH_CK=OFF -DCMAP_WERROR=ON \
      -DCMAP_BUILD_TESTS=OFF -DCMAP_BUILD_EXAMPLES=OFF \
      -DCMAP_BUILD_BENCH=OFF >"$scratch/log" 2>&1 ||
      ! cmake --build "$build" --target cmap_static --parallel 2 \
        >>"$scratch/log" 2>&1; then
    cat "$scratch/log"
    fail "$name does not build"
  fi
  read -r -a libs <<<"$(sed -n 's/^Libs.private: //p' "$build/cmap.pc")"
  "$compiler" "$@" -static -I"$source_dir/include" "$program" \
    "$build/libcmap.a" "${libs[@]}" -o "$scratch/consumer" ||
    fail "$name: cmap.pc does not name all that it takes"
  output=$("${run[@]}" "$scratch/consumer") || fail "$name does not run"
  [ "$output" = "consumer ok" ] || fail "$name says '$output'"
  case " ${libs[*]} " in
    *" -latomic "*) [ "$atomic" = yes ] || fail "$name: libatomic for nothing" ;;
    *) [ "$atomic" = no ] || fail "$name: cmap.pc does not name libatomic" ;;
  esac
  if [ "$atomic" = yes ] && ! grep -rq 'LINK_ONLY:atomic' \
      --include='cmapTargets*.cmake' "$build"; then
    fail "$name: the CMake package does not name libatomic"
  fi
  tried=$((tried + 1))
}

# An i386 has no compare-and-swap at all; i686 is what distributions mean.
for compiler in i686-linux-gnu-gcc "gcc -m32"; do
  read -r -a words <<<"$compiler"
  have "${words[0]}" || continue
  try i386 yes - "${words[@]}" -march=i386
  [ "$tried" -eq 0 ] || break
done
try riscv64 no qemu-riscv64 riscv64-linux-gnu-gcc
try musl no - musl-gcc
[ "$tried" -gt 0 ] || skip "none of these compilers is installed"

# Sourced by tests/run: variants for other machines and C libraries.
#
#   machine_names                  all of them
#   machine_want <name>            asks for its packages (packages.sh)
#   machine_begin <name>           false, and says why, if it cannot be had;
#                                  else sets machine_options, for cmake, and
#                                  exports what the build and the tests need
#
# Debian's cross compilers and its emulators of programs, side by side with the
# compiler of the machine: nothing foreign is installed but them. cmocka is
# built for each from Debian's source, which a private configuration of apt
# fetches into build/machines.
#
# shellcheck shell=bash

machine_names=(i686 armhf aarch64 riscv64 s390x ppc64el musl windows)

# name: Debian's name of the processor, prefix of the tools, emulator.
declare -A machine_table=(
  [i686]="i386 i686-linux-gnu -"
  [armhf]="armhf arm-linux-gnueabihf arm"
  [aarch64]="arm64 aarch64-linux-gnu aarch64"
  [riscv64]="riscv64 riscv64-linux-gnu riscv64"
  [s390x]="s390x s390x-linux-gnu s390x"
  [ppc64el]="ppc64el powerpc64le-linux-gnu ppc64le")

# clang, because gcc's thread-local storage there is gone before a thread's
# destructors run; with the libraries of this gcc.
windows_gcc=x86_64-w64-mingw32-gcc-posix

# Does this system run what the compiler makes? (Some kernels of x86_64 run no
# programs of 32 bits.)
runs() {
  local dir status=0
  dir=$(mktemp -d)
  printf 'int main(void) { return 0; }\n' >"$dir/main.c"
  "$1" -static "$dir/main.c" -o "$dir/main" 2>"$dir/log" &&
    "$dir/main" 2>"$dir/log" || status=1
  rm -rf "$dir"
  return "$status"
}

machine_want() {
  local processor prefix emulator
  if [ "$1" = musl ]; then
    want musl-tools has_command musl-gcc
  elif [ "$1" = windows ]; then
    want gcc-mingw-w64-x86-64-posix has_command "$windows_gcc"
    want wine64 has_command wine
    want wine has_command wine
  else
    read -r processor prefix emulator <<<"${machine_table[$1]}"
    want "gcc-${prefix//_/-}" has_command "$prefix-gcc"
    want "libc6-dev-$processor-cross" links "$prefix-gcc"
    [ "$emulator" = - ] || want qemu-user has_command "qemu-$emulator"
  fi
}

# Fetches and unpacks cmocka's source, once; a private apt reads the sources of
# what this machine's has.
cmocka_source() {
  local root=$PWD/build/machines etc file options
  [ ! -e "$root/cmocka/CMakeLists.txt" ] || return 0
  has_command apt-get || return 1
  rm -rf "$root"/{apt,source,unpacked,cmocka}
  etc=$root/apt/etc
  mkdir -p "$etc" "$root/apt/lists/partial" "$root/apt/cache" "$root/source"
  for file in /etc/apt/sources.list /etc/apt/sources.list.d/*; do
    case $file in
      *.sources)
        sed 's/^Types:.*/Types: deb-src/' "$file" >"$etc/${file##*/}" ;;
      *.list)
        sed -n 's/^deb /deb-src /p' "$file" >"$etc/${file##*/}" ;;
    esac
  done
  options=(-o "Dir::Etc::sourcelist=/dev/null" -o "Dir::Etc::sourceparts=$etc"
    -o "Dir::State::lists=$root/apt/lists" -o "Dir::Cache=$root/apt/cache"
    -o "APT::Sandbox::User=$(id -un)")
  # Some of the sources may have none.
  apt-get "${options[@]}" -q update || true
  (cd "$root/source" &&
    apt-get "${options[@]}" -q source --download-only cmocka) || return 1
  mkdir "$root/unpacked"
  tar -xf "$root"/source/cmocka_*.orig.tar.?z -C "$root/unpacked" || return 1
  mv "$root/unpacked"/cmocka-* "$root/cmocka" && rm -r "$root/unpacked"
}

# cmocka_for <name> <option of cmake ...>
cmocka_for() {
  local root=$PWD/build/machines/$1
  [ ! -e "$root/lib/pkgconfig/cmocka.pc" ] || return 0
  cmocka_source || return 1
  cmake -S build/machines/cmocka -B "$root/build" -G Ninja "${@:2}" \
      -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=OFF \
      -DWITH_STATIC_LIB=ON \
      -DCMAKE_INSTALL_PREFIX="$root" -DCMAKE_INSTALL_LIBDIR=lib &&
    cmake --build "$root/build" --target install
}

machine_begin() {
  local name=$1 processor prefix emulator tool lib loader log flags=
  machine_options=(-DCMAKE_SYSTEM_NAME=Linux)
  unset CMAP_TEST_EMULATED
  if [ "$name" = windows ]; then
    has_command "$windows_gcc" || { echo "no $windows_gcc"; return 1; }
    tool=clang
    lib=$(dirname "$("$windows_gcc" -print-libgcc-file-name)")
    machine_options=(-DCMAKE_SYSTEM_NAME=Windows -DCMAP_TEST_WRAPPER=wine
      -DCMAP_TEST_TIME_FACTOR=4 -DCMAKE_C_COMPILER_TARGET=x86_64-w64-mingw32
      -DCMAKE_EXE_LINKER_FLAGS="-L$lib" -DCMAKE_SHARED_LINKER_FLAGS="-L$lib")
    export CMAP_TEST_EMULATED=1 WINEDEBUG=-all
    export WINEPREFIX=$PWD/build/machines/wine
    # The DLLs of the threads and of the compiler, cmocka's, and ours.
    WINEPATH="Z:/usr/x86_64-w64-mingw32/lib;Z:$lib"
    WINEPATH+=";Z:$PWD/build/machines/windows/bin"
    WINEPATH+=";Z:$PWD/build/windows/tests;Z:$PWD/build/windows"
    export WINEPATH
    has_command wine || { echo "no wine"; return 1; }
  elif [ "$name" = musl ]; then
    tool=musl-gcc
  else
    read -r processor prefix emulator <<<"${machine_table[$name]}"
    tool=$prefix-gcc
    lib=/usr/$prefix
    machine_options+=(-DCMAKE_SYSTEM_PROCESSOR="${prefix%%-*}")
    if [ "$emulator" = - ]; then
      runs "$tool" || { echo "this system does not run its programs"; return 1; }
      # This processor runs its programs, with the loader of the cross package.
      loader=$(echo "$lib"/lib/ld-linux*.so.*)
      flags="-Wl,-dynamic-linker,$loader -Wl,-rpath,$lib/lib"
      machine_options+=(-DCMAKE_EXE_LINKER_FLAGS="$flags"
        -DCMAKE_SHARED_LINKER_FLAGS="-Wl,-rpath,$lib/lib")
    else
      export CMAP_TEST_EMULATED=1
      has_command "qemu-$emulator" || { echo "no qemu-$emulator"; return 1; }
      machine_options+=(-DCMAP_TEST_WRAPPER="qemu-$emulator;-L;$lib"
        -DCMAP_TEST_TIME_FACTOR=4)
    fi
  fi
  # gcc 12 leaves atomics of a byte to a library there; the tests have some.
  # (That libcmap does without, tests/build/other_machines.sh sees.)
  [ "$name" != riscv64 ] ||
    machine_options+=(-DCMAKE_C_STANDARD_LIBRARIES=-latomic)
  has_command "$tool" && links "$tool" -pthread ||
    { echo "$tool: no such compiler, or no C library for it"; return 1; }
  machine_options+=(-DCMAKE_C_COMPILER="$tool")
  mkdir -p build/machines
  log=$PWD/build/machines/$name.log
  if ! cmocka_for "$name" "${machine_options[@]}" >"$log" 2>&1; then
    tail -n 20 "$log"
    echo "cmocka cannot be had for $name"
    return 1
  fi
  export PKG_CONFIG_LIBDIR=$PWD/build/machines/$name/lib/pkgconfig
}

machine_end() {
  unset CMAP_TEST_EMULATED PKG_CONFIG_LIBDIR WINEPATH WINEPREFIX WINEDEBUG
}

# Sourced by tests/run and bench/run: installs what they need and only that.
#
#   need <package> <probe...>      the probe must succeed in the end
#   want <package> <probe...>      the same, but going on without it is fine
#   install_missing                asks apt-get for what the probes did not find
#
# shellcheck shell=bash

needed=()   # "package<TAB>probe", probe failed
wanted=()

has_command() {
  command -v "$1" >/dev/null 2>&1
}

has_header() {
  has_command gcc &&
    printf '#include <%s>\n' "$1" | gcc -E - >/dev/null 2>&1
}

has_module() {
  has_command pkg-config && pkg-config --exists "$1"
}

# The C library's own headers, without which a compiler is of no use.
has_libc() {
  has_header stdlib.h
}

# links <compiler> <flags after the source>: can it make a program?
links() {
  local dir status=0
  dir=$(mktemp -d)
  printf 'int main(void) { return 0; }\n' >"$dir/probe.c"
  "$1" "$dir/probe.c" -o "$dir/probe" "${@:2}" >/dev/null 2>&1 || status=1
  rm -rf "$dir"
  return "$status"
}

has_library() {
  links gcc "-l$1"
}

# The package of the one is in conflict with that of the other.
has_32_bits() {
  links i686-linux-gnu-gcc || links gcc -m32
}

has_cmake() {
  local version
  has_command cmake || return 1
  version=$(cmake --version | sed -n 's/^cmake version \([0-9.]*\).*/\1/p')
  [ "$(printf '%s\n' 3.22 "$version" | sort -V | head -n 1)" = 3.22 ]
}

has_clang_sanitizers() {
  links clang -fsanitize=thread
}

need() {
  "${@:2}" || needed+=("$1"$'\t'"${*:2}")
}

want() {
  "${@:2}" || wanted+=("$1"$'\t'"${*:2}")
}

# Runs a command as root, or fails.
as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif has_command sudo && [ -t 0 ]; then
    sudo "$@"
  elif has_command sudo; then
    sudo -n "$@"
  else
    return 1
  fi
}

# Never at the price of another package: gcc-multilib and Debian's cross
# compilers exclude each other, for example.
apt_install() {
  as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -q --no-remove --no-install-recommends "$@"
}

# Sets `missing` to the packages of those entries whose probe still fails.
probe_again() {
  local entry probe
  missing=()
  for entry in "$@"; do
    read -r -a probe <<<"${entry#*$'\t'}"
    "${probe[@]}" || missing+=("${entry%%$'\t'*}")
  done
}

install_missing() {
  local missing package
  if [ ${#needed[@]} -eq 0 ] && [ ${#wanted[@]} -eq 0 ]; then
    return 0
  fi
  local entries=("${needed[@]}" "${wanted[@]}")
  printf 'Missing here: %s\n' "${entries[*]%%$'\t'*}"

  if has_command apt-get && as_root true 2>/dev/null; then
    as_root apt-get update -q ||
      echo "apt-get update failed; trying with the lists that are here"
    if [ ${#needed[@]} -gt 0 ]; then
      apt_install "${needed[@]%%$'\t'*}" || echo "apt-get install failed"
    fi
    # One by one, because some distributions lack some of them.
    for package in "${wanted[@]%%$'\t'*}"; do
      apt_install "$package" >/dev/null 2>&1 ||
        printf 'Going on without %s: not to be had, or not beside others\n' \
          "$package"
    done
  else
    echo "Cannot install: no apt-get, or neither root nor sudo"
  fi

  hash -r
  probe_again "${needed[@]}"
  if [ ${#missing[@]} -gt 0 ]; then
    printf 'Please install these packages: %s\n' "${missing[*]}" >&2
    exit 1
  fi
}

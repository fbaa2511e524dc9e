#!/usr/bin/env bash
# Plots and a report of what cmap_bench has written.
#
#   bench/report.sh FOLDER CSV [BENCH]
#
# Makes FOLDER/*.svg with gnuplot, FOLDER/report.html, one file that has all of
# them in it, and FOLDER/speed.svg, one chart of the rows with most keys. BENCH
# is the cmap_bench whose --list names the maps. Without gnuplot, the report has
# no plots.
set -euo pipefail

if [ $# -lt 2 ]; then
  sed -n '2,9s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi
here=$(dirname "${BASH_SOURCE[0]}")
folder=$1
csv=$2
bench=${3:-}

mkdir -p "$folder"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# --------------------------------------------------------------------------
# Plots
# --------------------------------------------------------------------------

rm -f "$folder"/*.svg
if command -v gnuplot >/dev/null 2>&1; then
  awk -v dir="$folder" -f "$here/report_common.awk" \
    -f "$here/report_plots.awk" "$csv" >"$scratch/plots.gp"
  # Panels of names plot nothing, which gnuplot remarks.
  if ! gnuplot "$scratch/plots.gp" >"$scratch/gnuplot.log" 2>&1; then
    cat "$scratch/gnuplot.log" >&2
    exit 1
  fi
else
  echo "no gnuplot: the report will have no plots" >&2
fi
: >"$scratch/svgs"
for svg in "$folder"/*.svg; do
  [ -e "$svg" ] || continue
  printf '%s\t%s\n' "$(basename "$svg" .svg)" "$(base64 -w 0 "$svg")" \
    >>"$scratch/svgs"
done

# --------------------------------------------------------------------------
# The machine
# --------------------------------------------------------------------------

# A line of the description; nothing if there is no value.
describe() {
  [ -z "$2" ] || printf '%s\t%s\n' "$1" "$2"
}

{
  describe processor \
    "$(sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo | head -n 1)"
  describe processors "$(getconf _NPROCESSORS_ONLN)"
  describe memory \
    "$(awk '/^MemTotal/ { printf "%.1f GiB", $2 / 1048576 }' /proc/meminfo)"
  describe system \
    "$(. /etc/os-release 2>/dev/null && echo "${PRETTY_NAME:-}"), $(uname -sr)"
  describe compiler "$(gcc --version 2>/dev/null | head -n 1)"
  describe "load when written" "$(cut -d ' ' -f 1-3 /proc/loadavg)"
  describe date "$(date -u '+%Y-%m-%d %H:%M UTC')"
} >"$scratch/machine"

: >"$scratch/list"
if [ -n "$bench" ]; then
  "$bench" --list >"$scratch/list"
fi

awk -v list="$scratch/list" -v machine="$scratch/machine" \
  -v plots="$scratch/svgs" -f "$here/report_common.awk" \
  -f "$here/report_html.awk" "$csv" >"$folder/report.html"
awk -f "$here/report_common.awk" -f "$here/report_chart.awk" "$csv" \
  >"$folder/speed.svg"
printf 'report: %s/report.html\n' "$folder"

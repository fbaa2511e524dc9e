#!/usr/bin/env bash
# Every link of the documents to a file or a heading of the tree leads there; the
# names of libcmap in them exist;
# the README has no more than 120 lines, links to every page, and shows the
# program that is in examples/.
. "$(dirname "$0")/common.sh"

cd "$source_dir"
pages=(README.md docs/*.md src/*.md)
[ ! -d .github ] || pages+=(.github/*.md)

# Its headings, as the anchors that they become.
anchors() {
  sed '/^```/,/^```/d' "$1" | sed -n 's/^##* //p' |
    tr '[:upper:]' '[:lower:]' | sed 's/[^a-z0-9 _-]//g; s/ /-/g'
}

bad=0
wrong() {
  printf '%s\n' "$*"
  bad=$((bad + 1))
}

for page in "${pages[@]}"; do
  while IFS= read -r link; do
    file=${link%%#*}
    target=$page
    [ -z "$file" ] || target=$(dirname "$page")/$file
    if [ ! -e "$target" ]; then
      wrong "$page: no $file"
    elif [ "$file" != "$link" ] &&
        ! anchors "$target" | grep -qxF -e "${link#*#}"; then
      wrong "$page: no heading #${link#*#} in $target"
    fi
  done < <(sed '/^```/,/^```/d' "$page" |
    grep -oE '\]\([^) ]+\)' | sed 's/^](//; s/)$//' |
    grep -vE '^(https?|mailto):')
done

for page in docs/*.md src/README.md LICENSE; do
  grep -qF "]($page" README.md || wrong "README.md has no link to $page"
done
# Names that the documents say are in the header, the build or the benchmark.
while IFS= read -r name; do
  grep -rqwF -e "$name" include CMakeLists.txt src bench tests examples ||
    wrong "the documents name $name, which is nowhere"
done < <(grep -ohE '\<(cmap|CMAP)_[A-Za-z0-9]+(_[A-Za-z0-9]+)*\>' "${pages[@]}" |
  sort -u)

[ "$(wc -l <README.md)" -le 120 ] || wrong "README.md is longer than 120 lines"
sed -n '/<!-- examples\/01_hello.c -->/,/^```$/p' README.md | sed '1,2d; $d' |
  cmp - examples/01_hello.c || wrong "README.md's program is another one"

[ "$bad" -eq 0 ] || fail "$bad"

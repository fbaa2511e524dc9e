# Manual pages from cmap.h, in POSIX awk:
#
#   awk -f man.awk -v out=FOLDER -v version=VERSION [EXAMPLE.c ...] cmap.h
#
# Writes FOLDER/man7/libcmap.7, the rules that hold for every call; a page of
# section 3 for each numbered section of the header, with all its declarations,
# what the header says about them, and the text of the example NN_name.c, NN
# being the section's number; and for every function a page that names that one.
# The folders are there. Fails if a function has no comment.

BEGIN {
  split("2 cmap_status 3 cmap_key 4 cmap_options 5 cmap_create 6 cmap_get " \
    "7 cmap_insert 8 cmap_compute 9 cmap_get_ref 10 cmap_entry_begin " \
    "11 cmap_lock_many 12 cmap_whole_map 13 cmap_iter_begin " \
    "14 cmap_get_many 15 cmap_get_stats 16 cmap_store 17 CMAP_DEFINE", list,
    " ")
  for (i = 1; (i + 1) in list; i += 2)
    page_of[list[i]] = list[i + 1]
}

# ---------------------------------------------------------------------------
# Text of a comment to roff
# ---------------------------------------------------------------------------

function quoted(text) {
  gsub(/\\/, "\\e", text)
  gsub(/-/, "\\-", text)
  return text ~ /^[.']/ ? "\\&" text : text
}

function emit(text) {
  body = body text "\n"
}

function leave() {
  if (mode == "pre")
    emit(".fi\n.in")
  if (mode == "list" || mode == "tag")
    emit(".RE")
  if (mode != "fill")
    emit(".PP")
  mode = "fill"
}

function enter(new) {
  if (mode == new)
    return
  leave()
  if (new == "pre")
    emit(".PP\n.in 2n\n.nf")
  else
    emit(".RS 2n")
  mode = new
}

# One line of a comment, without its frame. What is indented is a list of
# statuses ("tag") or of points ("list"), or stays as it is ("pre"): programs and
# tables. A paragraph that begins with "Word. " has that as its heading.
function text_line(line,    indent, rest, at) {
  if (line ~ /^ *$/) {
    if (mode == "pre")
      emit("")
    else
      blank = 1
    return
  }
  match(line, /^ */)
  indent = RLENGTH
  rest = substr(line, indent + 1)
  if ((mode == "tag" || mode == "list") && indent > depth && !blank) {
    emit(quoted(rest))
  } else if (indent >= 2 && mode != "pre" &&
      (rest ~ /^(CMAP_[A-Z_]+  |> 0|[A-Z]\.[0-9] )/ ||
       (rest ~ /^CMAP_[A-Z_]+(,|$)/ && (mode == "tag" || before ~ /[.:]$/)))) {
    enter("tag")
    depth = indent
    at = match(rest, /  +/)
    if (at == 0) {
      emit(".TP 4n\n" quoted(rest))
    } else {
      emit(".TP 4n\n.B " quoted(substr(rest, 1, at - 1)))
      emit(quoted(substr(rest, at + RLENGTH)))
    }
  } else if (indent >= 4 && rest ~ /^- /) {
    enter("list")
    depth = indent
    emit(".IP \\- 2n\n" quoted(substr(rest, 3)))
  } else if (indent >= 4 || (indent >= 2 && (rest ~ /   / ||
      (mode == "pre" && (rest ~ /\|/ || split(rest, words, " ") <= 3))))) {
    enter("pre")
    emit(quoted(line))
  } else {
    if (mode != "fill")
      leave()
    else if (blank)
      emit(".PP")
    if (indent == 0 && match(rest, /^[A-Z][A-Za-z ]*\. /) && (blank || first) &&
        RLENGTH < 30)
      rest = "\\fB" substr(rest, 1, RLENGTH - 2) ".\\fR " \
        quoted(substr(rest, RLENGTH + 1))
    else
      rest = quoted(rest)
    emit(rest)
  }
  blank = 0
  first = 0
  before = rest
}

# A comment that was gathered in comment[1..comment_lines].
function text_of_comment(    i) {
  mode = "fill"
  blank = 0
  first = 1
  for (i = 1; i <= comment_lines; i++)
    text_line(comment[i])
  leave()
}

# ---------------------------------------------------------------------------
# Declarations
# ---------------------------------------------------------------------------

# Without what is for the compiler only.
function bare(text) {
  gsub(/(CMAP_MUST_CHECK|CMAP_API)[ \n]+/, "", text)
  gsub(/[ \n]+CMAP_SYMBOL\([a-z_0-9]*\)/, "", text)
  gsub(/ CMAP_NOEXCEPT/, "", text)
  if (sub(/^static inline /, "", text))
    gsub(/\n              /, "\n", text)
  sub(/\n\{.*/, ";", text)
  return text
}

# A declaration that was gathered in code.
function declaration(    name, text) {
  if (code == "" || section < 2)
    return
  text = code
  name = ""
  if (text ~ /CMAP_SYMBOL\(/ || text ~ /^static inline/)
    if (match(text, /cmap_[a-z0-9_]+\(/))
      name = substr(text, RSTART, RLENGTH - 1)
  text = bare(text)
  if (name != "") {
    if (!described) {
      print "man.awk: no comment for " name > "/dev/stderr"
      failed = 1
    }
    names[section] = names[section] (names[section] ? ", " : "") name
    alias[++aliases] = name
    alias_of[name] = section
  }
  sub(/ *\\$/, "", text)
  gsub(/\\/, "\\e", text)
  gsub(/-/, "\\-", text)
  pending = pending text "\n"
  if (name != "")
    synopsis[section] = synopsis[section] text "\n"
}

# Puts the comment and the declarations that it is about into the page.
function flush_item(    frame) {
  if (pending != "") {
    frame = ".PP\n.RS 0\n.nf\n.B\n" pending ".fi\n.RE\n"
    gsub(/\n\n/, "\n", frame)
    gsub(/\.B\n/, "\\fB", frame)
    sub(/\n\.fi/, "\\fR\n.fi", frame)
    body = body frame ".PP\n"
  }
  pending = ""
  if (comment_lines > 0)
    text_of_comment()
  comment_lines = 0
  if (section > 0)
    page[section] = page[section] body
  body = ""
}

function begin_section(number, what) {
  flush_item()
  section = number
  title[section] = what
  if (section > last)
    last = section
}

# ---------------------------------------------------------------------------
# The input
# ---------------------------------------------------------------------------

FNR == 1 {
  file = FILENAME
  sub(/.*\//, "", file)
  is_example = file != "cmap.h"
  number = file + 0
}

is_example {
  if ($0 !~ /^#define _GNU_SOURCE/ && (seen[number] || $0 != ""))
    seen[number] = 1
  example[number] = example[number] $0 "\n"
  next
}

# The comment at the top is section 1, and the contract ends before the macros.
FNR == 1 {
  section = 0
}
/The rest of the header is how that is made/ {
  comment_lines = 0
  code = ""
  done = 1
}
done { next }

in_comment || /^ *\/\*/ {
  if (!in_comment && code != "" && depth_of_braces > 0) {
    code = code "\n" $0 # of a member
    if ($0 !~ /\*\//)
      in_comment_of_member = 1
    next
  }
  line = $0
  if (!in_comment) {
    declaration()
    code = ""
    flush_item()
    described = 1
    in_comment = 1
    sub(/^ *\/\*/, "  ", line)
    if (line ~ /^  -----/)
      line = ""
    heading = $0 ~ /^\/\* ----/
  }
  ended = line ~ /\*\//
  sub(/ *\*\/.*/, "", line)
  if (line ~ /^ \* ?/)
    sub(/^ \* ?/, "", line)
  else
    sub(/^   /, "", line)
  if (line ~ /^-----/)
    ;
  else if ((heading || section == 0) && line ~ /^[0-9]+\. [A-Z]/ &&
      (heading || line ~ /Rules/)) {
    comment_lines = 0
    begin_section(line + 0, substr(line, index(line, " ") + 1))
  } else
    comment[++comment_lines] = line
  if (ended) {
    in_comment = 0
    if (heading || section == 1) {
      flush_item()
      described = 0
    }
  }
  next
}

{
  if (in_comment_of_member) {
    code = code "\n" $0
    if ($0 ~ /\*\//)
      in_comment_of_member = 0
    next
  }
  if ($0 == "" && depth_of_braces == 0) {
    declaration()
    code = ""
    if (pending != "" || comment_lines > 0)
      flush_item()
    described = 0
    next
  }
  if (of_macro || /^#/ || /^extern "C"/) {
    # Nothing but a macro for users is shown.
    if (!of_macro && /^#define CMAP_[A-Z_]*\(/) {
      declaration()
      code = $0
      declaration()
      code = ""
    }
    of_macro = /\\$/
    next
  }
  text = $0
  if (text ~ /\/\*/ && text !~ /\*\//)
    in_comment_of_member = 1
  code = code (code == "" ? "" : "\n") text
  sub(/\/\*.*/, "", text)
  depth_of_braces += gsub(/\{/, "{", text) - gsub(/\}/, "}", text)
  if (depth_of_braces == 0 && text ~ /[;}] *$/) {
    declaration()
    code = ""
  }
}

# ---------------------------------------------------------------------------
# The pages
# ---------------------------------------------------------------------------

function put(path, text) {
  printf "%s", text > path
  close(path)
}

function name_of(number) {
  return number in page_of ? page_of[number] : "cmap_section_" number
}

function others(number,    i, text) {
  text = ".SH SEE ALSO\n"
  for (i = 2; i <= last; i++)
    if (i != number && i in title)
      text = text ".BR " name_of(i) " (3)" ",\n"
  return text (number > 1 ? ".BR libcmap (7)\n" : "cmap.h\n")
}

# A program, which is nothing to roff.
function verbatim(text) {
  gsub(/\\/, "\\e", text)
  gsub(/-/, "\\-", text)
  gsub(/\n\./, "\n\\\\\\&.", text)
  return text
}

END {
  declaration()
  flush_item()
  for (i = 2; i <= last; i++) {
    if (!(i in title))
      continue
    if (names[i] == "")
      names[i] = name_of(i)
    text = ".TH " name_of(i) " 3 \"\" \"libcmap " version "\" libcmap\n" \
      ".SH NAME\n" names[i] " \\- " quoted(tolower(title[i])) "\n" \
      ".SH SYNOPSIS\n.nf\n.B #include <cmap.h>\n.PP\n" synopsis[i] ".fi\n" \
      ".SH DESCRIPTION\n" page[i]
    if (i in example)
      text = text ".SH EXAMPLE\n" \
        "is(status, expected) and so(condition) end the program if it is " \
        "otherwise; words() makes a map of strings to uint64_t, ages() one " \
        "with ada 36, bob 41 and eve 7.\n.PP\n.in 2n\n.nf\n" verbatim(example[i]) ".fi\n.in\n"
    put(out "/man3/" name_of(i) ".3", text others(i))
  }
  for (i = 1; i <= aliases; i++)
    if (alias[i] != name_of(alias_of[alias[i]]))
      put(out "/man3/" alias[i] ".3", \
        ".so man3/" name_of(alias_of[alias[i]]) ".3\n")
  put(out "/man7/libcmap.7", ".TH libcmap 7 \"\" \"libcmap " version \
    "\" libcmap\n.SH NAME\nlibcmap \\- a concurrent hash map for C\n" \
    ".SH SYNOPSIS\n.B #include <cmap.h>\n.br\ncc program.c \\-lcmap\n" \
    ".SH DESCRIPTION\n" page[1] others(1))
  if (aliases == 0 || failed)
    exit 1
}

#!/usr/bin/env python3
"""Which statuses of which public calls have the tests seen?

    statuses.py wrap HEADER             C of a library that counts them, for
                                        LD_PRELOAD: it stands before libcmap, and
                                        appends to $CMAP_STATUSES at the end
    statuses.py table HEADER FILE REASONS
                                        the table of what FILE has; fails if a
                                        call's own comment names a status, or any
                                        call has CMAP_OK and CMAP_EINVAL, that was
                                        not seen and is not among the REASONS

A line of REASONS is "call CMAP_STATUS why". One that is not needed is a fault.
"""
import re
import sys
from collections import Counter, defaultdict

CALL = re.compile(r"CMAP_API\s+enum cmap_status\s+(cmap_\w+)\(([^;]*?)\)\s*"
                  r"CMAP_SYMBOL\((\w+)\);")


def read_header(path):
    """[(name, parameters, symbol, statuses that its comment names)], [status]"""
    with open(path) as file:
        text = file.read()
    text = text[:text.index("The rest of the header is how that is made")]
    names = re.findall(r"^  X\((CMAP_\w+), +(-?\d+),", text, re.M)
    statuses = [name for name, value in sorted(names, key=lambda n: -int(n[1]))]
    calls = []
    for found in CALL.finditer(text):
        before = text[:found.start()].rstrip()
        before = re.sub(r"CMAP_MUST_CHECK$", "", before).rstrip()
        comment = ""
        if before.endswith("*/"):
            comment = before[before.rindex("/*"):]
        named = [s for line in re.findall(r"^ \*   (CMAP_\w+(?:, CMAP_\w+)*)",
                                          comment, re.M)
                 for s in line.split(", ") if s in statuses]
        calls.append((found[1], " ".join(found[2].split()), found[3], named))
    return calls, statuses


def wrap(header):
    calls, statuses = read_header(header)
    print("#define _GNU_SOURCE\n#include <cmap.h>\n#include <dlfcn.h>\n"
          "#include <fcntl.h>\n#include <stdatomic.h>\n#include <stdio.h>\n"
          "#include <stdlib.h>\n#include <unistd.h>\n")
    print(f"static atomic_uint seen[{len(calls)}][{len(statuses)}];\n")
    print("static enum cmap_status note(unsigned call, enum cmap_status status)\n"
          "{\n"
          f"  if ((int)status <= 0 && (int)status > -{len(statuses)})\n"
          "    atomic_fetch_add_explicit(&seen[call][-(int)status], 1,\n"
          "                              memory_order_relaxed);\n"
          "  return status;\n}\n")
    for number, (name, parameters, symbol, _) in enumerate(calls):
        names = [] if parameters == "void" else [
            re.search(r"(\w+)(\[\w*\])?$", p)[1] for p in parameters.split(", ")]
        print(f"static __typeof__(&{name}) real_{symbol};\n"
              f"enum cmap_status {name}({parameters})\n{{\n"
              f"  return note({number}, real_{symbol}({', '.join(names)}));\n}}\n")
    print("__attribute__((constructor)) static void find(void)\n{")
    for _, _, symbol, _ in calls:
        print(f"  *(void **)&real_{symbol} = dlsym(RTLD_NEXT, "
              f'"libcmap_{symbol}");')
    print("}\n")
    print("static const char *const names[] = {")
    for name, _, _, _ in calls:
        print(f'  "{name}",')
    print("};\n")
    print("""__attribute__((destructor)) static void tell(void)
{
  static char text[1 << 16];
  const char *path = getenv("CMAP_STATUSES");
  int file = path == NULL ? -1 : open(path, O_WRONLY | O_APPEND);
  size_t size = 0;

  for (unsigned i = 0; i < sizeof seen / sizeof *seen; i++)
    for (unsigned j = 0; j < sizeof *seen / sizeof **seen; j++)
      if (seen[i][j] != 0)
        size += (size_t)snprintf(text + size, sizeof text - size, "%s %s %u\\n",
                                 names[i], cmap_status_name(-(int)j), seen[i][j]);
  if (file >= 0 && write(file, text, size) != (ssize_t)size)
    abort();
}""")


def table(header, seen_file, reasons_file):
    calls, statuses = read_header(header)
    seen = defaultdict(Counter)
    with open(seen_file) as lines:
        for line in lines:
            call, status, count = line.split()
            seen[call][status] += int(count)
    reasons = {}
    with open(reasons_file) as lines:
        for line in lines:
            if not line.startswith("#") and line.strip():
                call, status, why = line.split(None, 2)
                reasons[call, status] = why
    short = [s[len("CMAP_"):] for s in statuses]
    print(f"{'call':34}" + "".join(f"{s:>12}" for s in short))
    for name, _, _, _ in calls:
        print(f"{name:34}" + "".join(
            f"{seen[name][s] or '-':>12}" for s in statuses))
    wrong = []
    for name, _, _, named in calls:
        for status in dict.fromkeys(["CMAP_OK", "CMAP_EINVAL"] + named):
            why = reasons.pop((name, status), None)
            if why is None and seen[name][status] == 0:
                wrong.append(f"{name} was never seen to return {status}")
            elif why is not None and seen[name][status] != 0:
                wrong.append(f"{name} returns {status}: no reason is needed")
    wrong += [f"the reason for {' '.join(key)} is for no call" for key in reasons]
    pairs = sum(1 for name in seen for s in seen[name])
    print(f"\n{len(calls)} calls, {pairs} pairs of a call and a status seen")
    for line in wrong:
        print("FAILED:", line)
    return not wrong and len(calls) > 100


def main():
    if len(sys.argv) == 3 and sys.argv[1] == "wrap":
        wrap(sys.argv[2])
    elif len(sys.argv) == 5 and sys.argv[1] == "table":
        sys.exit(0 if table(*sys.argv[2:]) else 1)
    else:
        sys.exit(__doc__)


main()

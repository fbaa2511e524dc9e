#!/usr/bin/env python3
"""Weakens each ordering of src/ in turn, and says which scenario finds it.

    weaken.py SOURCE PROGRAMS [--runs N] [--only REGEX] [--seed N]
              [--which REGEX] [--known REGEX]

SOURCE is the folder of the repository, PROGRAMS that of the scenarios' programs
(build/clang/tests/world). Nothing is compiled anew: the world is told at which
places of the code to take another order than the compiler says. A place is a
line of src/ with an atomic access or a fence; what an acquire, a release or a
seq_cst is weakened to is said in WEAKER. With --runs 0 only searches are made,
of those programs that have some. With --known it fails if it is not all found
but what this describes.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile

NAMES = ["relaxed", "consume", "acquire", "release", "acq_rel", "seq_cst"]
RELAXED, CONSUME, ACQUIRE, RELEASE, ACQ_REL, SEQ_CST = range(6)
WEAKER = {
    ACQUIRE: [RELAXED],
    RELEASE: [RELAXED],
    ACQ_REL: [ACQUIRE, RELEASE],
    SEQ_CST: [ACQ_REL],
}


def met_sites(program, runs, seed):
    """The sites that a program meets: {offset: order}."""
    with tempfile.NamedTemporaryFile() as file:
        env = dict(os.environ, CMAP_WORLD_SITES=file.name,
                   CMAP_WORLD_RUNS=str(runs), CMAP_TEST_SEED=str(seed))
        subprocess.run([program], env=env, check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with open(file.name, encoding="ascii") as lines:
            pairs = [line.split() for line in lines]
    return {int(offset, 16): int(order) for offset, order in pairs}


def places_of(program, offsets, source):
    """Of each offset the innermost line of src/ outside base/atomics.h."""
    if not offsets:
        return {}
    text = subprocess.run(
        ["addr2line", "-a", "-i", "-e", program]
        + [hex(offset - 1) for offset in offsets],
        check=True, capture_output=True, text=True).stdout
    places, at, todo = {}, None, iter(offsets)
    for line in text.splitlines():
        if line.startswith("0x"):
            at = next(todo)
            continue
        file, _, number = line.split(" ")[0].rpartition(":")
        file = os.path.relpath(os.path.realpath(
            os.path.join(source, "build/clang", file)), source)
        if at in places or file.endswith("base/atomics.h"):
            continue
        if file.startswith("src/") and number.isdigit():
            places[at] = (file, int(number))
    return places


def find(program, offsets, order, runs, seed):
    """The scenario of the program that fails; None if none does."""
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(f"{order}\n")
        file.writelines(f"{offset:x}\n" for offset in offsets)
        file.flush()
        env = dict(os.environ, CMAP_WORLD_WEAKEN=file.name,
                   CMAP_WORLD_QUIET="1", CMAP_WORLD_RUNS=str(runs),
                   CMAP_TEST_SEED=str(seed))
        run = subprocess.run([program], env=env, stdout=subprocess.DEVNULL,
                             stderr=subprocess.PIPE, text=True, check=False)
    if run.returncode == 0:
        return None
    last = run.stderr.strip().splitlines()[-1]
    return last.split(", run")[0]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("source")
    parser.add_argument("programs")
    parser.add_argument("--runs", type=int, default=20000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="")
    parser.add_argument("--which", default="")
    parser.add_argument("--known")
    options = parser.parse_args()
    source = os.path.realpath(options.source)
    programs = sorted(
        os.path.join(options.programs, name)
        for name in os.listdir(options.programs)
        if re.fullmatch(r"test_[a-z_]+", name)
        and not re.match(r"test_(litmus|reports)", name)
        and re.search(options.which, name))

    places = {}  # {(file, line, order): {program: [offset]}}
    for program in programs:
        sites = met_sites(program, min(options.runs, 3000), options.seed)
        lines = places_of(program, sorted(sites), source)
        for offset, place in lines.items():
            places.setdefault(place + (sites[offset],), {}).setdefault(
                program, []).append(offset)

    tried = survived = unknown = 0
    for (file, line, order), where in sorted(places.items()):
        with open(os.path.join(source, file), encoding="utf-8") as text:
            code = text.readlines()[line - 1].strip()
        for weaker in WEAKER.get(order, []):
            what = f"{file}:{line} {NAMES[order]} -> {NAMES[weaker]}"
            if not re.search(options.only, what):
                continue
            tried += 1
            found = None
            # First where few places are met: there it matters most.
            for program, offsets in sorted(
                    where.items(), key=lambda pair: -len(pair[1])):
                found = find(program, offsets, weaker, options.runs,
                             options.seed)
                if found:
                    break
            survived += found is None
            unknown += (found is None and options.known is not None and
                        not re.search(options.known, what + code))
            met = " ".join(os.path.basename(p)[5:] for p in where)
            print(f"{what}: {found or 'SURVIVES, met by ' + met}    {code}",
                  flush=True)
    print(f"{tried} weakened, {tried - survived} found, {survived} survive")
    return min(unknown, 1)


if __name__ == "__main__":
    sys.exit(main())

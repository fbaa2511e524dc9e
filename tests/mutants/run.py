#!/usr/bin/env python3
"""Would the tests see it? Applies the faults of mutants.txt, one at a time.

    run.py check SOURCE             each fault's text occurs once in the source
    run.py run SOURCE WORK [FROM]   in a copy of the source below WORK: builds
                                    what a fault changes, and runs the programs
                                    of unit, api and fault, two at a time, until
                                    one fails. FROM: the first fault's number

A fault is killed if a program fails, or needs ten times as long as without it.
Programs that have killed come first. The last line says how many were killed;
the exit status is 0 if 95 of 100 were.
"""
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from threading import Lock

SUITES = ("unit", "api", "fault")
JOBS = 2
SCALE = "20"  # percent of the usual loop counts


def read_mutants(source):
    """[(number, path, before, after)]"""
    mutants = []
    path, before, after = None, [], []
    with open(os.path.join(source, "tests/mutants/mutants.txt")) as lines:
        for line in list(lines) + ["\n"]:
            if line.startswith("#"):
                continue
            if line.startswith("-"):
                before.append(line[1:])
            elif line.startswith("+"):
                after.append(line[1:])
            elif line.strip():
                path = line.strip()
            elif path:
                mutants.append(
                    (len(mutants) + 1, path, "".join(before), "".join(after)))
                path, before, after = None, [], []
    return mutants


def check(source, mutants):
    wrong = 0
    for number, path, before, after in mutants:
        with open(os.path.join(source, path)) as file:
            count = file.read().count(before)
        if count != 1 or before == after or not before:
            print(f"{number}: {path}: {count} times in the source:\n{before}")
            wrong += 1
    print(f"{len(mutants)} mutants, {wrong} of which do not fit the source")
    return wrong == 0 and len(mutants) >= 60


class Programs:
    """The tests, built in a copy of the source."""

    def __init__(self, source, work):
        self.tree = work
        self.build = os.path.join(work, "build", "test")
        # All of it anew: a run that was stopped has left a fault there.
        shutil.rmtree(work, ignore_errors=True)
        os.makedirs(work)
        for name in ("CMakeLists.txt", "CMakePresets.json"):
            shutil.copy2(os.path.join(source, name), work)
        for name in ("include", "src", "tests"):
            shutil.copytree(os.path.join(source, name),
                            os.path.join(work, name))
        subprocess.run(
            ["cmake", "--preset", "test",
             "-DCMAP_BUILD_EXAMPLES=OFF", "-DCMAP_BUILD_BENCH=OFF",
             "-DCMAP_WERROR=OFF"],
            cwd=self.tree, check=True, stdout=subprocess.DEVNULL)
        targets = subprocess.run(
            ["ninja", "-C", self.build, "-t", "targets", "all"],
            check=True, capture_output=True, text=True).stdout
        self.targets = sorted({
            line.split(":")[0] for line in targets.splitlines()
            if line.split("_test_")[0] in SUITES and ": phony" in line})
        if not self.make():
            sys.exit("the source does not build")
        self.seconds = {}
        self.kills = {}
        self.lock = Lock()  # guards all below
        self.running = set()
        self.over = False
        for target in self.targets:
            begin = time.monotonic()
            if self.run_one(target, 600) != "passed":
                sys.exit(f"{target} fails without a fault")
            self.seconds[target] = time.monotonic() - begin

    def make(self):
        return subprocess.run(
            ["ninja", "-C", self.build, "-j", str(JOBS)] + self.targets,
            stdout=subprocess.DEVNULL).returncode == 0

    def run_one(self, target, limit):
        """How a program ends: "passed", "failed", "time" or "stopped"."""
        suite, name = target.split("_test_", 1)
        path = os.path.join(self.build, "tests", suite, "test_" + name)
        with self.lock:
            if self.over:
                return "stopped"
            process = subprocess.Popen(
                [path], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                start_new_session=True,
                env=dict(os.environ, CMAP_TEST_SCALE=SCALE))
            self.running.add(process)
        try:
            passed = process.wait(limit) in (0, 77)
            return "passed" if passed else "failed"
        except subprocess.TimeoutExpired:
            return "time"
        finally:
            with self.lock:
                self.stop(process)
                self.running.remove(process)

    @staticmethod
    def stop(process):
        """With what it has started; what it left behind as well."""
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()

    def stop_all(self):
        with self.lock:
            self.over = True
            for process in self.running:
                self.stop(process)

    def killer(self):
        """The first program that fails, or None."""
        order = sorted(self.targets, key=lambda t: (-self.kills.get(t, 0),
                                                    self.seconds[t]))
        self.over = False
        with ThreadPoolExecutor(JOBS) as pool:
            ends = {pool.submit(self.run_one, t, 10 + 10 * self.seconds[t]): t
                    for t in order}
            for end in as_completed(ends):
                if end.result() == "passed":
                    continue
                self.stop_all()
                target = ends[end]
                self.kills[target] = self.kills.get(target, 0) + 1
                return target + (" (time)" if end.result() == "time" else "")
        return None


def run(source, work, first):
    mutants = [m for m in read_mutants(source) if m[0] >= first]
    programs = Programs(source, work)
    survivors, broken = [], []
    for number, path, before, after in mutants:
        file = os.path.join(programs.tree, path)
        with open(file) as text:
            original = text.read()
        with open(file, "w") as text:
            text.write(original.replace(before, after))
        if not programs.make():
            broken.append(number)
            verdict = "does not compile"
        else:
            killer = programs.killer()
            verdict = f"killed by {killer}" if killer else "SURVIVED"
            if not killer:
                survivors.append(number)
        with open(file, "w") as text:
            text.write(original)
        print(f"{number:3} {path}: {verdict}", flush=True)
        if verdict == "SURVIVED":
            print("".join("    " + line for line in before.splitlines(True)))
    ran = len(mutants) - len(broken)
    killed = ran - len(survivors)
    print(f"{killed} of {ran} killed; survived: {survivors or 'none'}; "
          f"did not compile: {broken or 'none'}")
    return not broken and killed * 100 >= ran * 95


def main():
    if len(sys.argv) < 3 or sys.argv[1] not in ("check", "run"):
        sys.exit(__doc__)
    source = os.path.abspath(sys.argv[2])
    fits = check(source, read_mutants(source))
    if sys.argv[1] == "run" and fits:
        first = int(sys.argv[4]) if len(sys.argv) > 4 else 1
        fits = run(source, os.path.abspath(sys.argv[3]), first)
    sys.exit(0 if fits else 1)


main()

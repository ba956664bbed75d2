#!/usr/bin/env python3
"""Builds all test programs and runs them, two at a time: most of them wait more than they compute.

    python3 tests/side_by_side.py        what `cargo test --all-features` runs, but for the doc tests

Says for each program how many tests passed; of one that failed, everything that it printed.
"""
import concurrent.futures
import json
import re
import subprocess
import sys
import time

AT_ONCE = 2
# Those that take longest begin first, so that no core is idle at the end.
LONG = ["rotation_fleet", "admin_openapi", "rotate_every", "faults", "browser", "own_file", "console", "sealjar"]


def build():
    command = ["cargo", "test", "--locked", "--all-features", "--no-run", "--message-format=json-render-diagnostics"]
    built = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    messages = (json.loads(line) for line in built.stdout.splitlines())
    tests = [m for m in messages if m.get("executable") and m["profile"]["test"]]
    rank = {name: place for place, name in enumerate(LONG)}
    order = sorted(tests, key=lambda m: (rank.get(m["target"]["name"], len(LONG)), m["target"]["name"]))
    return [(f"{m['target']['kind'][0]} {m['target']['name']}", m["executable"]) for m in order]


def run(name, executable):
    began = time.monotonic()
    done = subprocess.run([executable], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    passed = sum(int(n) for n in re.findall(r"^test result: .* (\d+) passed", done.stdout, re.MULTILINE))
    word = "ok" if done.returncode == 0 else f"FAILED, exit code {done.returncode}"
    print(f"{name}: {passed} passed, {word}  ({time.monotonic() - began:.0f} s)", flush=True)
    return done


def main():
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        runs = {name: pool.submit(run, name, executable) for name, executable in build()}
    failed = {name: run.result() for name, run in runs.items() if run.result().returncode != 0}
    for name, done in failed.items():
        print(f"\n── {name} failed\n{done.stdout}")
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")
    print(f"{len(runs)} programs passed")


main()

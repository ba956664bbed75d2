#!/usr/bin/env python3
"""Builds all test programs and runs them, two at a time: most of them wait more than they compute.

    python3 tests/side_by_side.py                what `cargo test --all-features` runs, but for the doc tests
    python3 tests/side_by_side.py contract cli   only these programs

Says for each program how many tests passed; of one that failed, everything that it printed.

They use real servers, browsers and signals, and wait for real time; on a machine that other work keeps busy, one may give
up too early. So one that failed is run once more, after all others, and has to pass then. That is said at the end.
Those that look for broken promises get no second chance, nor one that says `breach:`: for that no machine is to blame.
"""
import concurrent.futures
import json
import re
import subprocess
import sys
import time

AT_ONCE = 2
FINAL = {"faults", "history_checker", "model", "rotation_model", "canary_scan"}
# Those that take longest begin first, so that no core is idle at the end.
LONG = ["rotation_fleet", "admin_openapi", "rotate_every", "faults", "browser", "own_file", "console", "lib sealjar"]


def build(wanted):
    command = ["cargo", "test", "--locked", "--all-features", "--no-run", "--message-format=json-render-diagnostics"]
    built = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    messages = (json.loads(line) for line in built.stdout.splitlines())
    tests = {name_of(m["target"]): m for m in messages if m.get("executable") and m["profile"]["test"]}
    if unknown := set(wanted) - set(tests):
        sys.exit(f"there is no test program {', '.join(sorted(unknown))}")
    rank = {name: place for place, name in enumerate(LONG)}
    order = sorted(wanted or tests, key=lambda name: (rank.get(name, len(LONG)), name))
    return {name: tests[name]["executable"] for name in order}


def name_of(target):
    kind, name = target["kind"][0], target["name"]
    return name if kind == "test" else f"{kind} {name}"


def run(name, executable):
    began = time.monotonic()
    done = subprocess.run([executable], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    passed = sum(int(n) for n in re.findall(r"^test result: .* (\d+) passed", done.stdout, re.MULTILINE))
    word = "ok" if done.returncode == 0 else f"FAILED, exit code {done.returncode}"
    print(f"{name}: {passed} passed, {word}  ({time.monotonic() - began:.0f} s)", flush=True)
    return done


def failures(programs, at_once):
    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        runs = {name: pool.submit(run, name, executable) for name, executable in programs.items()}
    failed = {name: executable for name, executable in programs.items() if runs[name].result().returncode != 0}
    for name in failed:
        print(f"\n── {name} failed\n{runs[name].result().stdout}")
    final = {name for name in failed if name in FINAL or "breach:" in runs[name].result().stdout}
    return failed, final


def main(wanted):
    programs = build(wanted)
    failed, final = failures(programs, AT_ONCE)
    again = {name: executable for name, executable in failed.items() if name not in final}
    if again:
        print("once more, one after the other:", flush=True)
    twice, _ = failures(again, 1)
    lost = [name for name in failed if name in final or name in twice]
    if lost:
        sys.exit(f"failed: {', '.join(lost)}")
    print(f"{len(programs)} programs passed")
    if failed:
        print(f"of these only at the second attempt: {', '.join(failed)}. Look above what was the matter.")


main(sys.argv[1:])

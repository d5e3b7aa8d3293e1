#!/usr/bin/python3
"""Runs the tests of a build directory and says how many there were.

test_report.py BUILD [--slow N] [-- ARGUMENTS OF meson test]
    runs them, with every time limit N times longer
test_report.py BUILD --count [--check NAME=STATUS]...
    runs nothing: counts what the last run left, and each check as one more test

A cmocka executable counts as the cases it ran, any other test as one. What was skipped and what
failed is named. The last line is `N passed, N failed`; the exit status is 0 only if nothing failed.
"""

import argparse
import json
import os
import re
import subprocess
import sys

CASE = re.compile(r"\[( RUN      |       OK |  FAILED  |  SKIPPED )\] (\S.*)$", re.M)
REASON = re.compile(r"skipped: *(.+)", re.I)
GOOD = ("OK", "EXPECTEDFAIL")


class Report:
    """The cases of all tests, by outcome; skipped and failed ones with their name."""

    def __init__(self):
        self.passed = 0
        self.failed = []
        self.skipped = []

    def add_cases(self, test, output):
        """Counts the cmocka cases in output; returns how many there were."""
        cases = 0
        running, since = None, 0
        for match in CASE.finditer(output):
            what, name = match.group(1).strip(), match.group(2)
            if what == "RUN":
                if running:
                    self.failed.append(f"{test}: {running}")
                running, since = name, match.end()
                cases += 1
            elif name == running:
                self.end_case(f"{test}: {name}", what, output[since : match.start()])
                running = None
        if running:
            self.failed.append(f"{test}: {running} (did not end)")
        return cases

    def end_case(self, name, what, output):
        if what == "OK":
            self.passed += 1
        elif what == "SKIPPED":
            self.skipped.append((name, reason_of(output)))
        else:
            self.failed.append(name)

    def add_test(self, entry):
        """Counts one line of meson's test log."""
        name, result = entry["name"].split(" / ")[-1], entry["result"]
        output = entry.get("stdout", "")
        failed_before = len(self.failed)
        cases = self.add_cases(name, output)
        if result == "SKIP":
            self.skipped.append((name, reason_of(output + entry.get("stderr", ""))))
        elif result not in GOOD:
            if len(self.failed) == failed_before:
                self.failed.append(f"{name} ({result.lower()})")
        elif cases == 0:
            self.passed += 1

    def add_check(self, check):
        name, status = check.rsplit("=", 1)
        if status == "0":
            self.passed += 1
        else:
            self.failed.append(f"{name} (exit status {status})")

    def print(self):
        for name, reason in self.skipped:
            print(f"skipped: {name}: {reason}")
        for name in self.failed:
            print(f"failed: {name}")
        if self.skipped:
            print(f"{len(self.skipped)} skipped")
        print(f"{self.passed} passed, {len(self.failed)} failed", flush=True)


def reason_of(output):
    """The last reason that a skipped test printed as `skipped: reason`."""
    reasons = REASON.findall(output)
    return reasons[-1].strip() if reasons else "no reason given"


def log_path(build):
    return os.path.join(build, "meson-logs", "testlog.json")


def read_log(build):
    """The entries of meson's test log; none if there was no run or it wrote nothing."""
    try:
        with open(log_path(build), encoding="utf-8", errors="replace") as log:
            return [json.loads(line) for line in log if line.strip()]
    except FileNotFoundError:
        return []


def forget_log(build):
    """What an earlier run left must not be counted as this one's."""
    try:
        os.unlink(log_path(build))
    except FileNotFoundError:
        pass


def environment(slow):
    env = dict(os.environ)
    for name in [name for name in env if name.startswith("CMOCKA_")]:
        del env[name]
    env["EMB_TEST_TIME_FACTOR"] = str(slow)
    env.setdefault("ASAN_OPTIONS", "abort_on_error=1:detect_leaks=1:strict_string_checks=1")
    env.setdefault("UBSAN_OPTIONS", "halt_on_error=1:abort_on_error=1:print_stacktrace=1")
    env.setdefault("TSAN_OPTIONS", "halt_on_error=1:second_deadlock_stack=1")
    return env


def fixed_addresses():
    """A prefix that turns address randomisation off where that is allowed: the thread sanitizer
    fails to start when the kernel randomises more bits than its memory layout can take."""
    prefix = ["setarch", os.uname().machine, "-R"]
    try:
        allowed = subprocess.run(prefix + ["true"], capture_output=True, check=False)
    except FileNotFoundError:
        return []
    return prefix if allowed.returncode == 0 else []


def run(build, slow, arguments):
    meson = "/usr/bin/meson" if os.access("/usr/bin/meson", os.X_OK) else "meson"
    command = [meson, "test", "-C", build, "--print-errorlogs", "--no-rebuild"]
    if slow != 1:
        command = fixed_addresses() + command + ["-t", str(slow)]
    sys.stdout.flush()
    return subprocess.run(command + arguments, env=environment(slow), check=False).returncode


def parse(arguments):
    parser = argparse.ArgumentParser(description="Runs the tests and counts them.")
    parser.add_argument("build")
    parser.add_argument("--slow", type=int, default=1, metavar="N")
    parser.add_argument("--count", action="store_true")
    parser.add_argument("--forget", action="store_true", help="only drop an earlier run's log")
    parser.add_argument("--check", action="append", default=[], metavar="NAME=STATUS")
    parser.add_argument("arguments", nargs="*")
    return parser.parse_args(arguments)


def main(arguments):
    options = parse(arguments)
    if options.forget or not options.count:
        forget_log(options.build)
    if options.forget:
        return 0
    status = 0 if options.count else run(options.build, options.slow, options.arguments)
    report = Report()
    entries = read_log(options.build)
    for entry in entries:
        report.add_test(entry)
    for check in options.check:
        report.add_check(check)
    if not entries and not options.check:
        report.failed.append("no test was run")
    if status and not report.failed:
        report.failed.append(f"meson test (exit status {status})")
    report.print()
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

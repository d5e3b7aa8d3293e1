#!/usr/bin/python3
"""Shows that test_report.py counts what ran: cases, crashes, skips, leaks and runs that broke."""

import io
import json
import os
import sys
import tempfile
import unittest
from contextlib import redirect_stdout

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import test_report  # noqa: E402


OUTCOMES = {"OK": "       OK ", "FAILED": "  FAILED  ", "SKIPPED": "  SKIPPED "}


def cmocka(*cases):
    """The output of a cmocka executable; a case without outcome is where it crashed."""
    lines = [f"[==========] Running {len(cases)} test(s)."]
    for name, outcome in cases:
        lines.append(f"[ RUN      ] {name}")
        if outcome == "SKIPPED":
            lines.append("skipped: no loop device")
        if outcome:
            lines.append(f"[{OUTCOMES[outcome]}] {name}")
    lines.append(f"[==========] {len(cases)} test(s) run.")
    lines += [f"[  FAILED  ] {name}" for name, outcome in cases if outcome == "FAILED"]
    return "\n".join(lines) + "\n"


def entry(name, result, stdout=""):
    return {"name": name, "result": result, "stdout": stdout}


class CountTest(unittest.TestCase):
    def count(self, entries, *checks):
        """The lines printed for a test log, and the exit status."""
        with tempfile.TemporaryDirectory() as build:
            if entries is not None:
                os.mkdir(os.path.join(build, "meson-logs"))
                with open(test_report.log_path(build), "w", encoding="utf-8") as log:
                    log.writelines(json.dumps(line) + "\n" for line in entries)
            output = io.StringIO()
            arguments = [build, "--count"] + [f"--check={check}" for check in checks]
            with redirect_stdout(output):
                status = test_report.main(arguments)
        return output.getvalue().splitlines(), status

    def test_cases_are_counted_and_other_tests_are_one(self):
        lines, status = self.count(
            [entry("base", "OK", cmocka(("a", "OK"), ("b", "OK"))), entry("tidy", "OK", "fine\n")]
        )
        self.assertEqual((lines, status), (["3 passed, 0 failed"], 0))

    def test_a_failed_case_is_named_once(self):
        output = cmocka(("a", "OK"), ("b", "FAILED"), ("c", "OK"))
        lines, status = self.count([entry("base", "FAIL", output)])
        self.assertEqual((lines, status), (["failed: base: b", "2 passed, 1 failed"], 1))

    def test_the_same_function_may_be_two_cases(self):
        lines, _ = self.count([entry("mem", "OK", cmocka(("a", "OK"), ("a", "OK")))])
        self.assertEqual(lines, ["2 passed, 0 failed"])

    def test_a_name_may_have_blanks(self):
        output = cmocka(("io_uring: a", "OK"), ("thread: a", "SKIPPED"), ("thread: b", "FAILED"))
        lines, _ = self.count([entry("io", "FAIL", output)])
        self.assertEqual(
            lines,
            ["skipped: io: thread: a: no loop device", "failed: io: thread: b", "1 skipped",
             "1 passed, 1 failed"],
        )

    def test_a_crash_fails_the_case_that_ran(self):
        lines, _ = self.count([entry("base", "FAIL", cmocka(("a", "OK"), ("b", None)))])
        self.assertEqual(lines, ["failed: base: b (did not end)", "1 passed, 1 failed"])

    def test_a_leak_after_the_last_case_fails(self):
        lines, status = self.count([entry("base", "FAIL", cmocka(("a", "OK")))])
        self.assertEqual((lines, status), (["failed: base (fail)", "1 passed, 1 failed"], 1))

    def test_a_timeout_fails(self):
        lines, _ = self.count([entry("rack", "TIMEOUT", "waiting\n")])
        self.assertEqual(lines, ["failed: rack (timeout)", "0 passed, 1 failed"])

    def test_what_was_skipped_is_named_with_its_reason(self):
        lines, status = self.count(
            [
                entry("base", "OK", cmocka(("a", "OK"), ("b", "SKIPPED"))),
                entry("net", "SKIP", "skipped: no network namespaces\n"),
                entry("disk", "SKIP"),
            ]
        )
        self.assertEqual(status, 0)
        self.assertEqual(
            lines,
            [
                "skipped: base: b: no loop device",
                "skipped: net: no network namespaces",
                "skipped: disk: no reason given",
                "3 skipped",
                "1 passed, 0 failed",
            ],
        )

    def test_no_log_is_a_failure(self):
        lines, status = self.count(None)
        self.assertEqual((lines, status), (["failed: no test was run", "0 passed, 1 failed"], 1))

    def test_checks_count(self):
        lines, status = self.count([entry("a", "OK")], "lint=0", "build=2")
        self.assertEqual(
            (lines, status), (["failed: build (exit status 2)", "2 passed, 1 failed"], 1)
        )


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])

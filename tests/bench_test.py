#!/usr/bin/python3
"""bench: that every subcommand measures, and tells what it measured in the form that is promised.
How fast anything is is not looked at: bench_test.py EMBARCADEROD EMBARCADERO [NAME...]
"""

import json
import os
import shutil
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True

from cli_rig import FACTOR, SMALL, Daemon, Place, Programs, Result

FIELDS = {"measure", "value", "unit", "limit", "ratio", "min", "max", "rounds", "settings",
          "foreign_cpu"}  # fmt: skip
PERCENTILES = ["unit", "p50", "p90", "p99", "p999", "max"]
ROUNDS = 5
ROUND_MS = 30 * FACTOR
RATE, BATCHES, TIME = "bytes/s", "batches/s", "ns"


class Bench(Place):
    """One rack for all."""

    @classmethod
    def setUpClass(cls):
        cls.home = tempfile.mkdtemp(prefix="cli-", dir=os.getcwd())
        cls.rack = Daemon(cls.home)
        try:
            cls.rack.ready()
        except AssertionError:
            cls.tearDownClass()
            raise

    @classmethod
    def tearDownClass(cls):
        cls.rack.end()
        shutil.rmtree(cls.home)

    def bench(self, verb, *arguments, round_ms=ROUND_MS, **more):
        return self.run_tool("bench", verb, "--round-time", f"{round_ms}ms",
                             "--brokers", self.rack.brokers(), *arguments, **more)  # fmt: skip

    def figures(self, verb, *arguments, least_ms=ROUND_MS):
        """On a busy machine nothing may happen in a short round; then it is tried with longer."""
        for round_ms in (least_ms, 8 * least_ms, 32 * least_ms):
            said = self.bench(verb, *arguments, "--json", round_ms=round_ms).stdout
            figures = [json.loads(line) for line in said.splitlines()]
            if all(figure["value"] > 0 for figure in figures):
                break
        for figure in figures:
            with self.subTest(figure=figure):
                self.check_figure(figure)
        return figures

    def check_figure(self, figure):
        self.assertEqual(set(figure) - {"percentiles"}, FIELDS)
        self.assertEqual(len(figure["rounds"]), ROUNDS)
        self.assertEqual(figure["settings"]["rounds"], ROUNDS)
        self.assertGreater(figure["settings"]["cpus"], 0)
        self.assertGreater(figure["value"], 0)
        self.assertEqual(figure["value"], sorted(figure["rounds"])[ROUNDS // 2])
        self.assertEqual(figure["min"], min(figure["rounds"]))
        self.assertEqual(figure["max"], max(figure["rounds"]))
        if not figure["limit"]:
            self.assertIsNone(figure["ratio"])
        else:
            self.assertAlmostEqual(figure["ratio"], figure["value"] / figure["limit"])
        if figure["limit"] is not None:
            self.assertEqual(figure["settings"]["limits"][figure["settings"]["limit"]],
                             figure["limit"])  # fmt: skip
        if "percentiles" in figure:
            self.check_percentiles(figure["percentiles"])

    def check_percentiles(self, percentiles):
        self.assertEqual(list(percentiles), PERCENTILES)
        numbers = [percentiles[name] for name in PERCENTILES[1:]]
        self.assertEqual(numbers, sorted(numbers))
        self.assertGreater(numbers[0], 0)

    def no_topics_left(self):
        said = self.run_tool("topic", "list", "--json", "--brokers", self.rack.brokers()).stdout
        self.assertNotIn("bench-", said)

    # ---- publish --------------------------------------------------------------------------------

    def test_publish_makes_a_measure_of_every_combination(self):
        figures = self.figures("publish", "--order", "0,client", "--message-bytes", "100,1KiB")
        made = [(f["measure"], f["settings"]["order"], f["settings"]["message_bytes"])
                for f in figures]  # fmt: skip
        self.assertEqual(made, [
            ("publish", 0, 100), ("publish", 5, 100), ("publish", 0, 1024), ("publish", 5, 1024),
            ("cost of order", 5, 100), ("cost of order", 5, 1024),
        ])  # fmt: skip
        for figure in figures[:4]:
            self.assertEqual((figure["unit"], figure["settings"]["limit"]), (RATE, "tcp"))
            self.assertEqual(figure["settings"]["replicas"], 0)
            self.assertIsNotNone(figure["foreign_cpu"])
        for cost, plain, ordered in zip(figures[4:], figures[0::2], figures[1::2]):
            self.assertEqual((cost["unit"], cost["limit"]), ("1", 1))
            for ratio, zero, five in zip(cost["rounds"], plain["rounds"], ordered["rounds"]):
                self.assertAlmostEqual(ratio, five / zero if zero else 0)
        self.no_topics_left()

    def test_publish_durably_is_limited_by_the_disk_too(self):
        memory, disk = self.figures("publish", "--acks", "1,2", "--limit-dir", self.place)
        self.assertEqual(list(memory["settings"]["limits"]), ["tcp"])
        self.assertEqual(sorted(disk["settings"]["limits"]), ["disk", "tcp"])
        self.assertEqual(disk["limit"], min(disk["settings"]["limits"].values()))
        self.assertEqual(disk["settings"]["replicas"], 2)
        self.assertEqual(os.listdir(self.place), [])

    # ---- the others -----------------------------------------------------------------------------

    def test_consume(self):
        (figure,) = self.figures("consume", "--backlog-bytes", "8MiB")
        self.assertEqual((figure["measure"], figure["unit"]), ("consume", RATE))
        self.assertEqual(figure["settings"]["limit"], "sendfile")
        said = self.bench("consume", "--backlog-bytes", "1GiB", status=2).stderr
        self.assertIn("1073741824", said)
        self.no_topics_left()

    def test_latency(self):
        figures = self.figures("latency", "--load", "closed,20", "--acks", "1,2", "--order", "5",
                               "--limit-dir", self.place, least_ms=2 * ROUND_MS)  # fmt: skip
        made = [(f["settings"]["load"], f["settings"]["acks"], f["settings"]["limit"])
                for f in figures]  # fmt: skip
        self.assertEqual(made, [
            ("closed", 1, "TCP round trip"), ("open 20 %", 1, "TCP round trip"),
            ("closed", 2, "synced write"), ("open 20 %", 2, "synced write"),
        ])  # fmt: skip
        for figure in figures:
            self.assertEqual((figure["measure"], figure["unit"]), ("latency", TIME))
            self.assertIn("percentiles", figure)
            self.check_percentiles(figure["settings"]["limit_percentiles"])
        for figure in figures[1::2]:
            settings = figure["settings"]
            self.assertAlmostEqual(settings["bytes_per_s"] / settings["peak_bytes_per_s"], 0.2)
            self.assertLessEqual(settings["late_p50_ns"], settings["late_p99_ns"])
        self.no_topics_left()

    def test_limits_need_no_rack(self):
        options = ["--limit-dir", self.place, "--region-size", "64MiB", "--streams", "2"]
        figures = self.figures("limits", *options, "--brokers", "tcp://127.0.0.1:1")
        self.assertEqual(figures[0]["settings"]["streams"], 4)
        units = {f["measure"]: f["unit"] for f in figures}
        if len(os.sched_getaffinity(0)) > 1:
            self.assertEqual(units.pop("limit cache line"), TIME)
        self.assertEqual(units, {
            "limit tcp": RATE, "limit sendfile": RATE, "limit memcpy": RATE,
            "limit 64+64 bytes": BATCHES, "limit TCP round trip": TIME, "limit disk": RATE,
            "limit synced write": TIME,
        })  # fmt: skip
        for figure in figures:
            with self.subTest(figure=figure):
                self.assertIsNone(figure["limit"])
                self.assertIsNotNone(figure["foreign_cpu"])
                self.assertEqual("percentiles" in figure, figure["unit"] == TIME)

    def test_idle(self):
        cpu, memory = self.figures("idle")
        self.assertEqual((cpu["measure"], cpu["unit"]), ("idle CPU", "cpus"))
        self.assertEqual((memory["measure"], memory["unit"]), ("resident memory", "bytes"))
        self.assertGreater(memory["value"], 1 << 20)
        self.assertEqual(memory["settings"]["processes"], 1)

    # ---- start ----------------------------------------------------------------------------------

    def start(self, *command, **more):
        ports = os.path.join(self.place, "ports")
        return self.run_tool("bench", "start", "--ports-file", ports, "--json", "--", *command,
                             **more)  # fmt: skip

    def test_start(self):
        done = self.start(Programs.daemon, "--dev", "--port", "0", *SMALL,
                          "--ports-file", os.path.join(self.place, "ports"),
                          "--data", os.path.join(self.place, "data"))  # fmt: skip
        figure = json.loads(done.stdout)
        self.check_figure(figure)
        self.assertEqual((figure["measure"], figure["unit"]), ("start to first ack", TIME))
        self.assertGreater(figure["value"], 0)
        self.assertEqual(os.listdir(self.place), [])

    def test_start_of_what_does_not_start(self):
        self.assertIn("/bin/false", self.start("/bin/false", status=1).stderr)
        self.assertIn("/nowhere", self.start("/nowhere", status=1).stderr)
        with open(os.path.join(self.place, "ports"), "w", encoding="utf-8"):
            pass
        self.assertIn("there already", self.start("/bin/true", status=1).stderr)

    # ---- table ----------------------------------------------------------------------------------

    def test_table_draws_what_the_others_printed(self):
        printed = self.bench("idle", "--json").stdout
        file = os.path.join(self.place, "figures")
        with open(file, "w", encoding="utf-8") as figures:
            figures.write(printed)
        drawn = self.run_tool("bench", "table", file).stdout
        self.assertRegex(drawn, r"(?m)^measure .*ratio")
        self.assertRegex(drawn, r"(?m)^idle CPU .*\n^resident memory ")
        self.assertIn('"rounds":5', drawn)
        self.assertEqual(self.run_tool("bench", "table", stdin=printed).stdout, drawn)
        self.assertEqual(self.run_tool("bench", "table", "-", "--json", stdin=printed).stdout,
                         printed)  # fmt: skip

    def test_table_of_something_else(self):
        for text in ("{", '{"measure": 1}', "[]", "idle CPU"):
            with self.subTest(text=text):
                said = self.run_tool("bench", "table", stdin=text, status=1).stderr
                self.assertIn("standard input", said)
        self.assertIn("/nowhere", self.run_tool("bench", "table", "/nowhere", status=1).stderr)

    # ---- the command line -----------------------------------------------------------------------

    def test_what_the_command_line_gets_wrong(self):
        wrong = (
            (["publish", "--order", "0,6"], '"6"'),
            (["publish", "--acks", "1,1"], "none twice"),
            (["publish", "--message-bytes", "1GiB"], "1MiB"),
            (["publish", "--order", "0,1,2,3,4,5", "--acks", "0,1,2"], "18"),
            (["publish", "--rounds", "4"], "5 to 100"),
            (["latency", "--load", "open"], "closed"),
            (["latency", "--load", "100"], "1 to 95"),
            (["latency", "--acks", "0"], "1 to 2"),
            (["limits", "--round-time", "1ms"], "10ms"),
            (["start", "--", "/bin/true"], "--ports-file"),
            (["start", "--ports-file", "x"], "PROGRAM"),
        )
        for arguments, text in wrong:
            with self.subTest(arguments=arguments):
                self.assertIn(text, self.run_tool("bench", *arguments, status=2).stderr)

    def test_a_directory_that_cannot_be_written_is_named(self):
        for verb in (["publish", "--acks", "2"], ["latency", "--acks", "2", "--load", "closed"]):
            said = self.bench(*verb, "--limit-dir", "/proc", status=1).stderr
            self.assertIn("--limit-dir /proc", said)
        self.no_topics_left()


def main():
    Programs.daemon, Programs.tool = (os.path.abspath(path) for path in sys.argv[1:3])
    suite = unittest.TestSuite()
    loaded = unittest.defaultTestLoader.loadTestsFromModule(sys.modules[__name__])
    for of_class in loaded:
        chosen = [t for t in of_class if all(n in t.id() for n in sys.argv[3:])]
        suite.addTest(unittest.TestSuite(chosen))
    result = Result()
    suite.run(result)
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())

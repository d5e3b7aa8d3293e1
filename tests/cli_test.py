#!/usr/bin/python3
"""The programs as a person uses them: cli_test.py EMBARCADEROD EMBARCADERO [NAME...]

Starts the daemon in directories below the current one and runs every command of the tool. With
names only those tests run whose name contains all of them.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True

from cli_rig import ENVIRONMENT, PATIENCE_S, SMALL, Daemon, Place, Programs, Result


# ---- the daemon -----------------------------------------------------------------------------


class DaemonTest(Place):
    def check_clean_stop(self, with_signal):
        daemon = self.daemon().ready()
        self.assertEqual(len(set(daemon.ports())), 4)
        self.assertTrue(os.path.exists(daemon.region()))
        self.assertEqual(sorted(os.listdir(daemon.data))[-4:], [f"node{i}" for i in range(4)])
        self.assertEqual(daemon.stop(with_signal), 0, daemon.said())
        self.assertFalse(os.path.exists(daemon.region()))
        self.assertFalse(os.path.exists(daemon.data))

    def test_sigterm_stops_and_removes_all(self):
        self.check_clean_stop(signal.SIGTERM)

    def test_sigint_stops_and_removes_all(self):
        self.check_clean_stop(signal.SIGINT)

    def test_keep_leaves_region_and_log_which_is_never_overwritten(self):
        daemon = self.daemon("--keep").ready()
        brokers = daemon.brokers()
        self.run_tool("topic", "create", "kept", "--brokers", brokers)
        self.run_tool("produce", "kept", "--brokers", brokers, stdin="one\ntwo\n")
        self.assertEqual(daemon.stop(), 0, daemon.said())
        self.assertTrue(os.path.exists(daemon.region()))
        nodes = [os.path.join(daemon.data, f"node{i}") for i in range(4)]
        dump = self.run_tool("store", "check", *nodes, "--topic", "kept", "--dump-values", "-")
        self.assertIn("one\ntwo\n", dump.stdout)
        before = sorted(os.listdir(nodes[0]))
        self.assertFalse(os.path.exists(daemon.ports_file))
        again = self.daemon()
        self.refused(again, 1, daemon.data)
        self.assertEqual(sorted(os.listdir(nodes[0])), before)

    def test_a_data_directory_in_use_is_named(self):
        first = self.daemon().ready()
        other = Daemon(self.place, "--data", first.data, data="other")
        self.addCleanup(other.end)
        self.refused(other, 1, first.data, str(first.process.pid))
        self.assertEqual(first.stop(), 0)

    def test_a_data_directory_that_cannot_be_is_named(self):
        file = os.path.join(self.place, "file")
        with open(file, "w", encoding="utf-8"):
            pass
        self.refused(self.daemon("--data", f"{file}/below"), 1, f"{file}/below")

    def test_a_port_in_use_is_named(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            daemon = self.daemon("--port", str(port))
            self.refused(daemon, 1, str(port))
            self.assertFalse(os.path.exists(daemon.region()))

    def test_a_region_that_is_there_is_named(self):
        region = f"file:{self.place}/region"
        self.run_tool("region", "format", region, "--region-size", "1GiB", *SMALL[2:])
        self.refused(self.daemon("--region", region), 1, region)
        self.assertTrue(os.path.exists(f"{self.place}/region"))

    def test_a_region_too_large_is_told_with_both_numbers(self):
        daemon = self.daemon("--region-size", "16000GiB")
        self.refused(daemon, 1, str(16000 << 30), "free")
        self.assertFalse(os.path.exists(daemon.data))

    def test_what_the_command_line_gets_wrong(self):
        wrong = (
            (["--frobnicate"], "--frobnicate"),
            (["--nodes", "9"], "9"),
            (["--nodes", "many"], "many"),
            (["--port", "65536"], "65536"),
            (["--lane-slots", "9"], "9"),
            (["--region-size", "12XB"], "12XB"),
            (["--region-size"], "region-size"),
            (["--threads", "some"], "some"),
            (["stray"], "stray"),
        )
        for options, text in wrong:
            with self.subTest(options=options):
                daemon = Daemon(self.place, *options, data="wrong")
                self.addCleanup(daemon.end)
                self.refused(daemon, 2, text)
                self.assertFalse(os.path.exists(daemon.data))

    def test_the_environment_counts_below_the_command_line(self):
        daemon = self.daemon(env={"EMBARCADERO_NODES": "3"}).ready()
        self.assertEqual(len(daemon.ports()), 3)
        self.assertEqual(daemon.stop(), 0)
        bad = Daemon(self.place, data="bad", env={"EMBARCADERO_NODES": "99"})
        self.addCleanup(bad.end)
        self.refused(bad, 2, "99", "NODES")
        over = Daemon(self.place, "--nodes", "2", data="over", env={"EMBARCADERO_NODES": "3"})
        self.addCleanup(over.end)
        self.assertEqual(len(over.ready().ports()), 2)
        self.assertEqual(over.stop(), 0)

    def run_daemon(self, *options, env=None):
        return subprocess.run(
            [Programs.daemon, *options], capture_output=True, text=True, check=False,
            env={**ENVIRONMENT, **(env or {})},
        )  # fmt: skip

    def test_a_file_counts_below_the_environment(self):
        path = f"{self.place}/rack.yaml"
        with open(path, "w", encoding="utf-8") as file:
            file.write("# a rack of its own\nnodes: 3\ntopics: 8\n")
        daemon = self.daemon("--config", path).ready()
        self.assertEqual(len(daemon.ports()), 3)
        self.assertEqual(daemon.stop(), 0)
        over = Daemon(self.place, "--config", path, data="over", env={"EMBARCADERO_NODES": "2"})
        self.addCleanup(over.end)
        self.assertEqual(len(over.ready().ports()), 2)
        self.assertEqual(over.stop(), 0)

    def test_check_config_says_who_said_what_and_starts_nothing(self):
        path = f"{self.place}/rack.yaml"
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"region: shm:none\ndata: {self.place}/checked\n")
        done = self.run_daemon(
            "--check-config", "--config", path, "--node-id", "1", env={"EMBARCADERO_PORT": "7000"}
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        for pattern in (
            r"^node-id: 1 +# --node-id$", r"^port: 7000 +# EMBARCADERO_PORT$",
            rf'^region: "shm:none" +# \S*{path[-60:]}:1$', r"^# all others have their default$",
        ):  # fmt: skip
            self.assertRegex(done.stdout, re.compile(pattern, re.M))
        self.assertFalse(os.path.exists(f"{self.place}/checked"))
        with open(path, "a", encoding="utf-8") as file:
            file.write("lanes: 65\n")
        done = self.run_daemon("--check-config", "--config", path, "--node-id", "1")
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertIn('rack.yaml:3:1: lanes: bad value "65"', done.stderr)
        self.assertEqual(len(done.stderr.splitlines()), 1)

    def test_a_region_that_is_too_small_is_seen_by_the_check(self):
        size = ("--region-size", "64MiB")
        node = ("--node-id", "1", "--region", "shm:none", *size)
        for options in (node, ("--check-config", *node), ("--dev", *size)):
            done = self.run_daemon(*options)
            self.assertEqual((done.returncode, done.stdout), (2, ""))
            self.assertRegex(done.stderr, "region-size is 64MiB, .* which takes [0-9]+MiB\n")

    def test_files_that_cannot_be_read(self):
        for path, text in ((f"{self.place}/none.yaml", "No such file"), (self.place, "directory")):
            done = self.run_daemon("--dev", "--config", path)
            self.assertEqual(done.returncode, 2)
            self.assertIn(path, done.stderr)
            self.assertIn(text, done.stderr)

    def test_what_a_node_needs_is_asked_for(self):
        self.assertIn("--node-id is missing", self.run_daemon().stderr)
        self.assertIn("--region is missing", self.run_daemon("--node-id", "0").stderr)
        self.assertEqual(self.run_daemon().returncode, 2)

    def test_a_ports_file_that_is_another_daemons_stays(self):
        path = os.path.join(self.place, "ports-data")
        with open(path, "w", encoding="utf-8") as anothers:
            anothers.write("1\n")
        os.mkdir(f"{path}.part")
        daemon = self.daemon()
        self.refused(daemon, 1, f"ports file {path} cannot be written")
        self.assertEqual(daemon.ports(), [1])
        os.rmdir(f"{path}.part")
        os.unlink(path)
        daemon = self.daemon().ready()
        later = self.daemon(data="later").ready()
        os.rename(later.ports_file, daemon.ports_file)
        ports = daemon.ports()
        self.assertEqual(daemon.stop(), 0)
        self.assertEqual(daemon.ports(), ports)

    def test_without_standard_descriptors_nothing_else_gets_their_numbers(self):
        daemon = self.daemon(redirected="<&- >&- 2>&-").ready()
        for number in range(3):
            held = os.readlink(f"/proc/{daemon.process.pid}/fd/{number}")
            self.assertEqual(held, "/dev/null", f"descriptor {number}")
        self.run_tool("region", "check", f"shm:{os.path.basename(daemon.region())}")
        self.run_tool("topic", "create", "t", "--brokers", daemon.brokers())
        self.assertEqual(daemon.stop(), 0)

    def test_help_and_version(self):
        for option, text in (("--help", "--region-size"), ("--version", "0.")):
            done = subprocess.run(
                [Programs.daemon, option], capture_output=True, text=True, check=False
            )
            self.assertEqual(done.returncode, 0)
            self.assertIn(text, done.stdout)


# ---- the tool without a rack ----------------------------------------------------------------


class UsageTest(Place):
    def commands(self):
        listed = re.findall(r"^  ([a-z]+(?: [a-z]+)?) +(?:[A-Z\[]|\S)", self.overview(), re.M)
        return [command.split() for command in listed]

    def overview(self):
        return self.run_tool("--help").stdout.split("options of every command")[0]

    def test_help_lists_every_command_with_an_example(self):
        commands = self.commands()
        for wanted in ("topic create", "topic list", "topic describe", "topic delete", "produce",
                       "consume", "status", "region format", "region inspect", "region check",
                       "store inspect", "store check",
                       "config check", "config example", "config docs",
                       "bench publish", "bench latency"):  # fmt: skip
            self.assertIn(wanted.split(), commands)
        for command in commands:
            with self.subTest(command=command):
                said = self.run_tool(*command, "--help").stdout
                self.assertRegex(said, r"(?s)example:\n  .*embarcadero " + " ".join(command))
                if command[0] not in ("produce", "consume", "config"):
                    self.assertIn("--json", said)

    def test_version(self):
        self.assertRegex(self.run_tool("--version").stdout, r"\d+\.\d+\.\d+")

    def test_what_the_command_line_gets_wrong(self):
        wrong = (
            ([], "usage"),
            (["frob"], "frob"),
            (["topic"], "topic"),
            (["topic", "frob"], "frob"),
            (["topic", "create"], "NAME"),
            (["topic", "create", "a", "b"], "b"),
            (["topic", "create", "a", "--frob"], "--frob"),
            (["topic", "create", "a", "--order", "7"], "7"),
            (["topic", "create", "a", "--replicas", "9"], "9"),
            (["topic", "create", "a", "--replicas", "-1"], "-1"),
            (["topic", "create", "a", "--gap-timeout", "5"], "5"),
            (["produce"], "TOPIC"),
            (["produce", "t", "--acks", "3"], "3"),
            (["produce", "t", "--compression", "gzip"], "gzip"),
            (["produce", "t", "--batch-bytes", "1KiB"], "1KiB"),
            (["consume", "t", "--from", "yesterday"], "yesterday"),
            (["consume", "t", "--count", "x"], "x"),
            (["consume", "t", "--level", "high"], "high"),
            (["status", "--broker", "32"], "32"),
            (["region", "format"], "URL"),
            (["region", "format", "shm:x", "--lane-slots", "9"], "9"),
            (["store", "check"], "DIR"),
            (["status", "--json=maybe"], "json"),
        )
        for arguments, text in wrong:
            with self.subTest(arguments=arguments):
                self.assertIn(text, self.run_tool(*arguments, status=2).stderr)

    def test_no_rack_is_a_failure_that_names_the_broker(self):
        with socket.socket() as unused:  # bound, but nobody listens
            unused.bind(("127.0.0.1", 0))
            broker = f"127.0.0.1:{unused.getsockname()[1]}"
            for command in (["status"], ["topic", "list"], ["produce", "t"], ["consume", "t"]):
                with self.subTest(command=command):
                    done = self.run_tool(*command, "--brokers", f"tcp://{broker}", status=1)
                    self.assertIn(broker, done.stderr)
        done = self.run_tool("status", "--brokers", "http://x", status=2)
        self.assertIn("http://x", done.stderr)


class RegionTest(Place):
    SIZES = SMALL

    def test_format_inspect_check(self):
        url = f"file:{self.place}/region"
        made = json.loads(self.run_tool("region", "format", url, *self.SIZES, "--json").stdout)
        self.assertEqual(made["region_bytes"], 64 << 20)
        seen = json.loads(self.run_tool("region", "inspect", url, "--json").stdout)
        self.assertEqual(seen["region"]["lane_slots"], 64)
        self.assertEqual(seen["region"]["coherence"], "software")
        self.assertEqual(seen["region"]["uuid"], made["uuid"])
        checked = json.loads(self.run_tool("region", "check", url, "--json").stdout)
        self.assertEqual(checked["problems"], 0)
        self.assertIn(url, self.run_tool("region", "format", url, *self.SIZES, status=1).stderr)
        again = json.loads(
            self.run_tool("region", "format", url, *self.SIZES, "--force", "--json").stdout
        )
        self.assertNotEqual(again["uuid"], made["uuid"])

    def test_shared_memory(self):
        name = f"emb-test-{os.getpid()}-cli"
        self.run_tool("region", "format", f"shm:{name}", *self.SIZES)
        try:
            said = self.run_tool("region", "inspect", f"shm:{name}").stdout
            self.assertIn("hardware", said)
        finally:
            os.unlink(f"/dev/shm/{name}")

    def test_bad_regions(self):
        path = f"{self.place}/region"
        url = f"file:{path}"
        self.assertIn(path, self.run_tool("region", "inspect", url, status=1).stderr)
        self.assertIn("nonsense", self.run_tool("region", "inspect", "nonsense", status=1).stderr)
        with open(path, "wb") as foreign:
            foreign.write(b"\x55" * (1 << 20))
        said = self.run_tool("region", "inspect", url, status=1).stderr
        self.assertIn("5555555555555555", said)
        os.unlink(path)
        self.run_tool("region", "format", url, *self.SIZES)
        with open(path, "r+b") as region:
            region.seek(48)
            region.write(b"\xff")
        self.assertIn("CRC", self.run_tool("region", "check", url, status=1).stderr)
        self.run_tool("region", "format", url, *self.SIZES, "--force")
        self.run_tool("region", "check", url)
        os.truncate(path, 1 << 20)
        self.run_tool("region", "inspect", url, status=1)

    def test_force_replaces_regions_only(self):
        path = os.path.join(self.place, "precious")
        with open(path, "wb") as file:
            file.write(b"x" * (64 << 20))
        said = self.run_tool(
            "region", "format", f"file:{path}", *self.SIZES, "--force", status=1
        ).stderr
        self.assertIn("is no region", said)
        with open(path, "rb") as file:
            self.assertEqual(file.read(), b"x" * (64 << 20))

    def test_an_empty_directory_is_no_store(self):
        said = self.run_tool("store", "inspect", self.place, status=1).stderr
        self.assertIn(self.place, said)
        said = self.run_tool("store", "check", f"{self.place}/nowhere", status=1).stderr
        self.assertIn("nowhere", said)


# ---- the tool with a rack -------------------------------------------------------------------


class RackTest(Place):
    """One rack for all; each test has a topic of its own."""

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
        status = cls.rack.stop() if cls.rack.process.poll() is None else None
        said = cls.rack.said()
        cls.rack.end()
        shutil.rmtree(cls.home)
        if status != 0:
            raise AssertionError(f"the daemon ended with {status}: {said}")

    def tool(self, *arguments, **more):
        return self.run_tool(*arguments, "--brokers", self.rack.brokers(), **more)

    def json(self, *arguments, **more):
        return json.loads(self.tool(*arguments, "--json", **more).stdout)

    def topic(self, *options):
        name = self.id().rsplit(".", 1)[-1]
        self.tool("topic", "create", name, *options)
        return name

    def consume(self, topic, *options):
        return self.tool("consume", topic, "--until-end", *options).stdout

    def test_topic_life(self):
        made = self.json("topic", "create", "life", "--order", "total", "--replicas", "2",
                         "--min-insync", "1")  # fmt: skip
        self.assertEqual((made["name"], made["order"], made["min_insync"]), ("life", "total", 1))
        self.assertEqual(self.json("topic", "describe", "life"), made)
        self.assertIn(made, self.json("topic", "list"))
        self.assertIn("life", self.tool("topic", "list").stdout)
        self.assertIn("life", self.tool("topic", "create", "life", status=1).stderr)
        self.tool("topic", "delete", "life")
        self.assertIn("life", self.tool("topic", "describe", "life", status=1).stderr)
        self.assertNotIn("life", [topic["name"] for topic in self.json("topic", "list")])

    def test_refused_topics(self):
        self.assertIn("0x20", self.tool("topic", "create", "a b", status=2).stderr)
        said = self.tool("topic", "create", "a", "--gap", "skip", "--order", "2", status=2).stderr
        self.assertIn("skip", said)
        said = self.tool("topic", "create", "a", "--min-insync", "3", status=2).stderr
        self.assertIn("min_insync", said)

    def test_lines_survive(self):
        topic = self.topic()
        lines = "".join(f"line {i} äöü \\ \" \t\n" for i in range(3000)) + "\n\nlast\n"
        self.tool("produce", topic, stdin=lines)
        self.assertEqual(self.consume(topic), lines)
        self.assertEqual(self.consume(topic, "--level", "latest", "--broker", "3"), lines)

    def test_files_keys_headers_and_compressions(self):
        for method in ("none", "lz4", "zstd"):
            topic = f"files-{method}"
            self.tool("topic", "create", topic)
            paths = []
            for i in range(2):
                paths.append(os.path.join(self.place, f"{method}{i}"))
                with open(paths[-1], "w", encoding="utf-8") as file:
                    file.write(f"k{i}:v{i}\nno key\n")
            self.tool("produce", topic, *paths, "--key-separator", ":", "--header", "from=test",
                      "--compression", method)  # fmt: skip
            said = self.consume(topic, "--format", "%o %k=%v\\n")
            self.assertEqual(said, "0 k0=v0\n1 =no key\n2 k1=v1\n3 =no key\n")
            rows = [json.loads(line) for line in self.consume(topic, "--json").splitlines()]
            self.assertEqual([row["key"] for row in rows], ["k0", None, "k1", None])
            self.assertEqual([row["value"] for row in rows], ["v0", "no key", "v1", "no key"])
            self.assertIn("test", json.dumps(rows[0]["headers"]))

    def test_where_to_begin(self):
        topic = self.topic()
        self.tool("produce", topic, stdin="a\nb\nc\nd\n")
        self.assertEqual(self.consume(topic, "--from", "2"), "c\nd\n")
        self.assertEqual(self.consume(topic, "--from", "latest"), "")
        self.assertEqual(self.consume(topic, "--from", "timestamp:0"), "a\nb\nc\nd\n")
        self.assertEqual(self.tool("consume", topic, "--count", "2").stdout, "a\nb\n")
        out = os.path.join(self.place, "out")
        self.consume(topic, "--output", out)
        with open(out, encoding="utf-8") as written:
            self.assertEqual(written.read(), "a\nb\nc\nd\n")

    def test_too_few_messages_is_a_failure(self):
        topic = self.topic()
        self.tool("produce", topic, stdin="a\n")
        said = self.tool("consume", topic, "--count", "2", "--timeout", "50ms", status=1)
        self.assertEqual(said.stdout, "a\n")
        self.assertIn("1 of 2", said.stderr)

    def test_acks_and_refusals_of_produce(self):
        topic = self.topic("--replicas", "0")
        self.assertIn("acks", self.tool("produce", topic, stdin="a\n", status=2).stderr)
        done = self.json("produce", topic, "--acks", "1", stdin="a\nb\n")
        self.assertEqual((done["messages"], done["failed"]), (2, 0))
        self.assertIn("nowhere", self.tool("produce", "nowhere", stdin="a\n", status=1).stderr)
        self.assertIn("nowhere", self.tool("consume", "nowhere", status=1).stderr)
        said = self.tool("produce", topic, f"{self.place}/nofile", "--acks", "1", status=1).stderr
        self.assertIn("nofile", said)
        said = self.tool("produce", topic, "--acks", "1", stdin="x" * (129 << 10) + "\n", status=1)
        self.assertIn("131072", said.stderr)

    def test_a_summary_says_what_was_published(self):
        topic = self.topic()
        done = self.json("produce", topic, stdin="a\nbc\n")
        self.assertEqual((done["messages"], done["failed"], done["bytes"]), (2, 0, 3))
        self.assertEqual((done["first_offset"], done["last_offset"]), (0, 1))

    def test_consume_ends_cleanly_on_a_signal(self):
        topic = self.topic()
        self.tool("produce", topic, stdin="a\n")
        with subprocess.Popen(
            [Programs.tool, "consume", topic, "--brokers", self.rack.brokers()],
            stdout=subprocess.PIPE, text=True, env=ENVIRONMENT,
        ) as reader:  # fmt: skip
            self.assertEqual(reader.stdout.readline(), "a\n")
            reader.send_signal(signal.SIGINT)
            self.assertEqual(reader.wait(timeout=PATIENCE_S), 0)

    def test_without_standard_descriptors_what_needs_them_fails(self):
        topic = self.topic()
        self.tool("produce", topic, stdin="one\ntwo\n")
        done = self.tool("produce", topic, redirected="<&-", status=1)
        self.assertIn("standard input: Bad file descriptor", done.stderr)
        done = self.tool("consume", topic, "--count", "2", redirected=">&-", status=1)
        self.assertIn("Bad file descriptor", done.stderr)
        done = self.tool("topic", "list", redirected=">&-", status=1)
        self.assertIn("writing to standard output failed", done.stderr)
        self.tool("produce", topic, stdin="three\n", redirected="2>&-")
        done = self.tool("consume", topic, "--count", "3", redirected="2>&-")
        self.assertEqual(done.stdout, "one\ntwo\nthree\n")

    def test_a_reader_that_goes_away_ends_consume(self):
        topic = self.topic()
        self.tool("produce", topic, stdin="line\n" * 100000)
        with subprocess.Popen(
            [Programs.tool, "consume", topic, "--until-end", "--brokers", self.rack.brokers()],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT,
        ) as reader:  # fmt: skip
            reader.stdout.readline()
            reader.stdout.close()
            reader.wait(timeout=PATIENCE_S)
            self.assertIn(reader.returncode, (0, 1, -signal.SIGPIPE))

    def test_status(self):
        topic = self.topic()
        state = self.json("status")
        self.assertEqual([row["node"] for row in state["broker"]], [0, 1, 2, 3])
        self.assertIn(topic, json.dumps(state))
        self.assertEqual(len(self.json("status", "--broker", "2")["broker"]), 1)
        self.assertIn("committed", self.tool("status").stdout)
        self.assertIn("broker", self.tool("status", "--broker", "9", status=2).stderr)

    def test_the_environment_names_the_brokers(self):
        self.run_tool("status", env={"EMBARCADERO_BROKERS": self.rack.brokers(2)})

    def test_a_running_rack_can_be_inspected(self):
        url = "shm:" + os.path.basename(self.rack.region())
        self.assertEqual(len(self.json("region", "inspect", url)["node"]), 4)
        self.assertEqual(self.json("region", "check", url)["problems"], 0)
        node = os.path.join(self.rack.data, "node0")
        said = self.tool("store", "check", node, status=1).stderr
        self.assertIn(str(self.rack.process.pid), said)


class StoreTest(Place):
    """What the stores hold, once their rack has stopped."""

    def kept(self, lines):
        daemon = self.daemon("--keep").ready()
        brokers = daemon.brokers()
        self.run_tool("topic", "create", "t", "--brokers", brokers)
        self.run_tool("produce", "t", "--brokers", brokers, stdin=lines)
        self.assertEqual(daemon.stop(), 0, daemon.said())
        return [os.path.join(daemon.data, f"node{i}") for i in range(4)]

    def test_each_member_of_the_chain_has_everything(self):
        lines = "".join(f"line {i}\n" for i in range(20000))
        nodes = self.kept(lines)
        for member in ("0", "1"):
            done = self.run_tool("store", "check", *nodes, "--topic", "t", "--member", member,
                                 "--dump-values", "-")  # fmt: skip
            self.assertTrue(done.stdout.startswith(lines) or lines in done.stdout)
        said = json.loads(self.run_tool("store", "check", *nodes, "--json").stdout)
        self.assertIsInstance(said, dict)
        said = json.loads(self.run_tool("store", "inspect", nodes[0], "--json").stdout)
        self.assertIsInstance(said, dict)
        entries = self.run_tool("store", "inspect", nodes[0], "--entries", "--json").stdout
        for line in entries.splitlines()[:50]:
            json.loads(line)

    def test_a_flipped_byte_is_found(self):
        nodes = self.kept("".join(f"a line that is looked for {i}\n" for i in range(2000)))
        flipped = 0
        for node in nodes:
            for name in os.listdir(node):
                path = os.path.join(node, name)
                with open(path, "rb") as file:
                    at = file.read().find(b"looked for 1000")
                if at >= 0:
                    with open(path, "r+b") as file:
                        file.seek(at)
                        file.write(b"L")
                    flipped += 1
            if flipped:
                break
        self.assertEqual(flipped, 1)
        said = self.run_tool("store", "check", *nodes, status=1)
        self.assertIn(os.path.basename(node), said.stdout + said.stderr)


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

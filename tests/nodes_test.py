#!/usr/bin/python3
"""A rack of daemons, a node each, as an operator has it: nodes_test.py EMBARCADEROD EMBARCADERO

How nodes come, go, and are refused. What a rack then does with messages is tested in e2e_*.c, which
run against daemons, too.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import unittest

from cli_rig import ENVIRONMENT, PATIENCE_S, SMALL, Daemon, Place, Programs, Result, wait_for

STORE = "broker,replica"
SEQUENCER = "broker,replica,sequencer"


class Node(Daemon):
    """One node of the region `region`."""

    def __init__(self, place, region, number, roles, *options, data=None, env=None):
        self.number = number
        self.region_url = region
        super().__init__(
            place, "--node-id", str(number), "--roles", roles, "--region", region, *options,
            data=data or f"node{number}", env=env, mode=[],
        )  # fmt: skip

    def region(self):
        return "/nonexistent"  # it is the rack's

    def address(self):
        return f"tcp://127.0.0.1:{self.ports()[0]}"

    def says(self, text):
        wait_for(lambda: text in self.said() or self.process.poll() is not None, f"“{text}”")
        if text not in self.said():
            raise AssertionError(f"“{text}” was not said before the end: {self.said()}")


class Nodes(Place):
    def setUp(self):
        super().setUp()
        self.url = f"shm:emb-nodes-{os.getpid()}-{os.path.basename(self.place)}"
        self.path = f"/dev/shm/{self.url[4:]}"
        self.addCleanup(lambda: os.path.exists(self.path) and os.unlink(self.path))

    def node(self, number, roles, *options, **more):
        node = Node(self.place, self.url, number, roles, *options, **more)
        self.addCleanup(node.end)
        return node

    def serves(self, *nodes):
        for node in nodes:
            node.says(" serves")

    def rack(self):
        """Three nodes, two stores."""
        nodes = [
            self.node(2, "broker"), self.node(1, STORE), self.node(0, SEQUENCER),
        ][::-1]  # fmt: skip
        self.serves(*nodes)
        return nodes

    def json(self, node, *arguments, status=0):
        done = self.run_tool(*arguments, "--brokers", node.address(), "--json", status=status)
        return json.loads(done.stdout)

    def warnings(self, node):
        """What status warns of, also where it fails since a broker does not answer."""
        done = self.run_tool_anyhow("status", "--json", "--brokers", node.address())
        return " ".join(json.loads(done.stdout)["warnings"])

    def publish(self, node, topic, lines, *options):
        self.run_tool(
            "produce", topic, *options, "--brokers", node.address(), stdin="\n".join(lines) + "\n"
        )

    def read(self, node, topic, count):
        done = self.run_tool(
            "consume", topic, "--from", "earliest", "--count", str(count), "--brokers",
            node.address(),
        )  # fmt: skip
        return done.stdout.splitlines()

    # ---- coming ------------------------------------------------------------------------------

    def test_nodes_start_in_any_order(self):
        early = [self.node(i, STORE) for i in (2, 1)]
        for node in early:
            node.says("is not there yet")
        sequencer = self.node(0, SEQUENCER)
        self.serves(sequencer, *early)
        rows = self.json(sequencer, "status")
        self.assertEqual([row["state"] for row in rows["node"]], ["live"] * 3)
        self.assertEqual(rows["warnings"], [])
        self.assertTrue(all(row["chain_version"] == 1 for row in rows["lane"]))

    def test_topics_with_replicas_wait_for_the_chains(self):
        first = self.node(0, SEQUENCER)
        first.says("topics with replicas wait for more stores")
        self.run_tool("topic", "create", "bare", "--replicas", "0", "--brokers", first.address())
        self.publish(first, "bare", ["early"], "--acks", "1")
        self.assertIn("lanes have no chains yet", self.warnings(first))
        second = self.node(1, STORE)
        self.serves(first, second)
        self.run_tool("topic", "create", "kept", "--brokers", first.address())
        self.publish(second, "kept", ["late"])
        self.assertEqual(self.read(second, "kept", 1), ["late"])
        self.assertEqual(self.read(second, "bare", 1), ["early"])

    def test_a_node_joins_a_log_under_way(self):
        nodes = self.rack()
        self.run_tool("topic", "create", "t", "--brokers", nodes[0].address())
        lines = [f"line {i}" for i in range(3000)]
        self.publish(nodes[1], "t", lines[:1500])
        late = self.node(3, STORE)
        self.serves(late)
        self.publish(late, "t", lines[1500:])
        for node in [late, *nodes]:
            self.assertEqual(self.read(node, "t", 3000), lines)
        lanes = self.json(late, "status")["lane"]
        self.assertTrue(any(row["chain"].startswith("3,") for row in lanes), lanes)

    # ---- being refused -----------------------------------------------------------------------

    def test_one_id_has_one_process(self):
        nodes = self.rack()
        again = self.node(1, STORE, data="elsewhere")
        self.refused(again, 1, "node id 1 is taken", f":{nodes[1].ports()[0]} ", "it runs")
        same = self.node(5, "broker", "--nodes", "8", data="node2")
        self.refused(same, 1, "node2", str(nodes[2].process.pid))
        self.assertEqual(self.warnings(nodes[0]), "")

    def test_a_killed_node_cannot_come_back(self):
        nodes = self.rack()
        nodes[2].process.kill()
        nodes[2].wait()
        nodes[0].says("another node has been silent")
        wait_for(lambda: "node 2 has been silent" in self.warnings(nodes[0]), "a warning of node 2")
        self.refused(self.node(2, "broker"), 1, "node id 2 is taken", "cannot come back yet")

    def test_a_second_sequencer_is_refused(self):
        nodes = self.rack()
        self.refused(self.node(3, "broker,sequencer"), 1, "is held by another process")
        self.assertEqual(self.warnings(nodes[0]), "")
        self.run_tool("topic", "create", "t", "--brokers", nodes[0].address())
        self.serves(self.node(3, "broker"))
        nodes[0].stop()
        self.refused(self.node(4, "broker,sequencer", "--nodes", "8"), 1, "earlier epoch")

    def test_of_two_starts_of_one_id_one_serves(self):
        """At the same instant, with one data directory or two; the region is not there yet, or is
        there and blank, as a device is."""
        for number in range(10):
            if number >= 5:
                with open(self.path, "wb") as blank:
                    blank.truncate(64 << 20)
            names = [f"first{number}", f"second{number}"]
            if number % 2:
                os.mkdir(os.path.join(self.place, names[0]))
                os.symlink(names[0], os.path.join(self.place, names[1]))
            self.one_of_two_serves(names)

    def one_of_two_serves(self, names):
        def uuid():
            with open(self.path, "rb") as region:
                return region.read(32)[16:]

        both = [self.node(0, SEQUENCER, "--replicas", "1", data=name) for name in names]
        wait_for(lambda: any(" serves" in node.said() for node in both), "one of two served")
        winner, loser = sorted(both, key=lambda node: " serves" not in node.said())
        formatted = uuid()
        self.run_tool("topic", "create", "t", "--replicas", "1", "--brokers", winner.address())
        self.publish(winner, "t", ["kept"])
        self.refused(loser, 1)
        self.assertNotIn(" serves", loser.said())
        self.assertRegex(loser.said(), "is in use by process|is held by another process")
        self.assertEqual(uuid(), formatted)
        self.assertEqual(self.read(winner, "t", 1), ["kept"])
        self.assertEqual(winner.stop(), 0)
        os.unlink(self.path)

    def test_a_foreign_file_is_not_formatted(self):
        with open(os.path.join(self.place, "precious"), "wb") as file:
            file.write(b"x" * (64 << 20))
        node = Node(self.place, f"file:{file.name}", 0, SEQUENCER)
        self.addCleanup(node.end)
        self.refused(node, 1, file.name, "no region")
        with open(file.name, "rb") as file:
            self.assertEqual(file.read(), b"x" * (64 << 20))

    def reader_of(self, node, topic, count):
        """Consumes from this node, and has read one line."""
        reader = subprocess.Popen(
            [Programs.tool, "consume", topic, "--from", "earliest", "--count", str(count)]
            + ["--broker", str(node.number), "--brokers", node.address()],
            stdout=subprocess.PIPE, text=True, env=ENVIRONMENT,
        )  # fmt: skip
        self.addCleanup(reader.wait)
        self.addCleanup(reader.kill)
        self.assertTrue(reader.stdout.readline())
        return reader

    def test_a_node_that_hangs_holds_up_nobody(self):
        nodes = self.rack()
        self.run_tool("topic", "create", "t", "--brokers", nodes[0].address())
        brokers = ",".join(node.address() for node in nodes[::-1])
        self.publish(nodes[0], "t", ["before"])
        reader = self.reader_of(nodes[2], "t", 101)
        hung = nodes[2].process
        hung.send_signal(signal.SIGSTOP)
        self.addCleanup(hung.send_signal, signal.SIGCONT)
        begin = time.monotonic()
        lines = [f"line {i}" for i in range(100)]
        self.run_tool("produce", "t", "--brokers", brokers, stdin="\n".join(lines) + "\n")
        done = self.run_tool(
            "consume", "t", "--from", "earliest", "--count", "101", "--brokers", brokers
        )
        self.assertEqual(done.stdout.splitlines(), ["before", *lines])
        done = self.run_tool("status", "--json", "--brokers", brokers, status=1)
        self.assertLess(time.monotonic() - begin, PATIENCE_S)
        self.assertIn(f"{nodes[2].address()[6:]}: connected, and no greeting", done.stderr)
        rows = json.loads(done.stdout)
        self.assertEqual([row["row"] for row in rows["broker"]], [0, 1])
        self.assertIn("node 2 has been silent", " ".join(rows["warnings"]))
        said, _ = reader.communicate(timeout=PATIENCE_S)
        self.assertEqual((reader.returncode, said.splitlines()), (0, lines))
        hung.send_signal(signal.SIGCONT)
        wait_for(lambda: self.warnings(nodes[0]) == "", "no warning any more")
        self.assertEqual(self.read(nodes[2], "t", 101), ["before", *lines])

    # ---- leaving -----------------------------------------------------------------------------

    def test_a_node_without_store_leaves_and_comes_back(self):
        nodes = self.rack()
        self.run_tool("topic", "create", "t", "--brokers", nodes[0].address())
        lines = [f"line {i}" for i in range(300)]
        for part in range(3):
            self.publish(nodes[2], "t", lines[100 * part : 100 * part + 100])
            self.assertEqual(nodes[2].stop(), 0)
            self.assertIn("has left the rack", nodes[2].said())
            self.assertEqual(self.json(nodes[0], "status")["node"][2]["state"], "left")
            nodes[2] = self.node(2, "broker", data="node2")
            self.serves(nodes[2])
        for node in nodes[:2]:
            self.assertEqual(self.read(node, "t", 300), lines)
        self.assertEqual(self.warnings(nodes[0]), "")

    def test_a_store_in_a_chain_cannot_leave(self):
        nodes = self.rack()
        self.assertEqual(nodes[1].stop(), 0)
        self.assertIn("stops without leaving", nodes[1].said())
        self.assertIn("member of chains", nodes[1].said())
        self.refused(self.node(1, STORE, data="other"), 1, "cannot come back yet")

    def uuid(self):
        done = self.run_tool("region", "inspect", self.url, "--json")
        return json.loads(done.stdout)["region"]["uuid"]

    def test_a_node_that_waits_stops_at_once(self):
        node = self.node(1, STORE)
        node.says("is not there yet")
        self.assertEqual(node.stop(), 0)

    def test_a_node_that_waits_for_a_lane_takes_its_request_back(self):
        size = ("--nodes", "2", "--lanes", "2", "--replicas", "0")
        nodes = [self.node(0, "broker,sequencer", *size), self.node(1, "broker", *size)]
        self.serves(*nodes)
        waits = self.node(2, "broker", "--replicas", "0")
        waits.says("waits to be admitted")
        self.refused(self.node(2, "broker", "--replicas", "0", data="other"), 1, "it runs")
        begin = time.monotonic()
        self.assertEqual(waits.stop(), 0)
        self.assertLess(time.monotonic() - begin, PATIENCE_S / 2)
        killed = self.node(2, "broker", "--replicas", "0", data="node2")
        killed.says("waits to be admitted")
        killed.process.kill()
        killed.wait()
        self.assertEqual(nodes[1].stop(), 0)
        rows = self.json(nodes[0], "status")["node"]
        self.assertEqual([row["state"] for row in rows if row["row"] < 2], ["live", "left"])
        time.sleep(0.3)  # in which it could be granted the lane
        rows = self.json(nodes[0], "status")["node"]
        self.assertNotIn("live", [row["state"] for row in rows if row["row"] == 2])
        nodes[1] = self.node(1, "broker", *size, data="node1")
        self.serves(nodes[1])

    def test_the_region_outlives_its_nodes_until_it_is_replaced_or_removed(self):
        nodes = self.rack()
        for command in (["remove"], ["format", "--force", *SMALL]):
            done = self.run_tool("region", *command, self.url, status=1)
            self.assertIn("runs on it; stop its process first", done.stderr)
        self.run_tool("topic", "create", "t", "--brokers", nodes[0].address())
        for node in nodes:
            node.stop()
        before = self.uuid()
        self.run_tool("region", "format", "--force", *SMALL, self.url)
        self.assertNotEqual(self.uuid(), before)
        self.run_tool("region", "remove", self.url)
        self.assertFalse(os.path.exists(self.path))

    # ---- while it runs -----------------------------------------------------------------------

    def test_a_node_that_is_no_broker_says_so(self):
        nodes = self.rack()
        store = self.node(3, "replica")
        self.serves(store)
        self.assertEqual(len(self.json(nodes[0], "status")["node"]), 4)
        done = self.run_tool("topic", "list", "--brokers", store.address(), status=1)
        self.assertIn("node 3 is not a broker", done.stderr)

    def test_status_tells_of_clients(self):
        nodes = self.rack()
        self.run_tool("topic", "create", "t", "--brokers", nodes[0].address())
        command = [Programs.tool, "consume", "t", "--broker", "1", "--brokers", nodes[0].address()]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as reader:

            def is_told():
                rows = self.json(nodes[0], "status")["client"]
                return (1, "embarcadero", "t") in [
                    (row["broker"], row["name"], row.get("reads")) for row in rows
                ]

            wait_for(is_told, "the reader is told of")
            reader.terminate()
        wait_for(lambda: not is_told(), "the reader is gone")

    def test_what_can_be_reloaded_is(self):
        path = os.path.join(self.place, "node.yaml")

        def configure(*lines):
            with open(path, "w", encoding="utf-8") as file:
                file.write("\n".join(lines) + "\n")

        configure("replicas: 0")
        node = self.node(0, "broker,sequencer", "--config", path)
        self.serves(node)
        port = node.ports()[0]
        with socket.create_connection(("127.0.0.1", port)):
            self.json(node, "status")
            configure("replicas: 0", "max-connections-per-client: 1", "pass-time: 1ms")
            node.process.send_signal(signal.SIGHUP)
            node.says("option=max-connections-per-client before=0 after=1")
            node.says("an option has changed, which needs a restart option=pass-time")

            def is_refused():
                done = self.run_tool_anyhow("status", "--brokers", node.address())
                return done.returncode == 1 and "connections" in done.stderr

            wait_for(is_refused, "the second connection was refused")
            configure("max-connections-per-client: many")
            node.process.send_signal(signal.SIGHUP)
            node.says("nothing has changed")
            self.assertTrue(is_refused())
            configure("replicas: 0")
            node.process.send_signal(signal.SIGHUP)
            wait_for(lambda: not is_refused(), "two connections were taken again")
        self.assertEqual(node.stop(), 0)

    def test_systemd_is_told(self):
        address = os.path.join(self.place, "notify")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
            supervisor.bind(address)
            supervisor.settimeout(PATIENCE_S)

            def heard(wanted):
                while wanted not in supervisor.recv(4096).decode().splitlines():
                    pass

            early = self.node(1, "broker", env={"NOTIFY_SOCKET": address})
            heard("READY=1")  # it waits for nobody but others
            self.node(0, "broker,sequencer", "--replicas", "0")
            heard("STATUS=serves; topics with replicas wait for more stores")
            early.process.send_signal(signal.SIGHUP)
            heard("RELOADING=1")
            heard("READY=1")
            early.process.send_signal(signal.SIGTERM)
            heard("STOPPING=1")
            self.assertEqual(early.wait(), 0)

    def test_the_log_as_json(self):
        node = self.node(0, SEQUENCER, "--log-format", "json", "--replicas", "0")
        node.says('"serves"')
        lines = [json.loads(line) for line in node.said().splitlines()]
        self.assertTrue(all(line["node"] == 0 for line in lines))
        self.assertEqual(lines[0]["message"], "starts")


def main():
    Programs.daemon, Programs.tool = sys.argv[1:3]
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(Nodes)
    result = Result()
    suite.run(result)
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())

"""What the tests of the programs stand on: daemons and tools in a directory that ends with the
test, and results printed as cmocka does, so that the report counts and names each test."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

FACTOR = max(1, int(os.environ.get("EMB_TEST_TIME_FACTOR", "1")))
PATIENCE_S = 20 * FACTOR
SMALL = [
    "--region-size", "64MiB", "--segment-size", "256KiB", "--lanes", "8", "--lane-slots", "64",
    "--goi-segments", "16", "--goi-segment-entries", "64", "--topics", "64", "--sessions", "256",
]  # fmt: skip
SMALL_BATCHES = ["--max-batch", "256KiB", "--max-message", "128KiB"]
ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith("EMBARCADERO_")}


class Programs:
    """Paths of the programs under test, set before any test runs."""

    daemon = ""
    tool = ""


def wait_for(condition, what):
    end = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"{PATIENCE_S} s passed before {what}")
        time.sleep(0.005)


def shell(redirected):
    """What is put before a command to redirect its descriptors; it stays one process."""
    return ["sh", "-c", f'exec "$0" "$@" {redirected}'] if redirected else []


class Daemon:
    """A rack in the directory `place`; its output is kept in a file there. `redirected`: as a shell
    writes it."""

    def __init__(self, place, *options, data="data", env=None, mode=("--dev",), redirected=""):
        self.place = place
        self.data = os.path.join(place, data)
        self.ports_file = os.path.join(place, f"ports-{data}")
        self.output = open(os.path.join(place, f"output-{data}"), "w+", encoding="utf-8")
        self.process = subprocess.Popen(
            [*shell(redirected), Programs.daemon, *mode]
            + ["--port", "0", "--ports-file", self.ports_file]
            + ["--data", self.data] + SMALL + SMALL_BATCHES + list(options),
            stdout=self.output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
            env={**ENVIRONMENT, **(env or {})},
        )  # fmt: skip

    def said(self):
        self.output.flush()
        with open(self.output.name, encoding="utf-8") as said:
            return said.read()

    def ready(self):
        def is_ready():
            if self.process.poll() is not None:
                raise AssertionError(f"the daemon has ended: {self.said()}")
            return os.path.exists(self.ports_file)

        wait_for(is_ready, "the daemon was ready")
        return self

    def ports(self):
        with open(self.ports_file, encoding="utf-8") as ports:
            return [int(line) for line in ports]

    def brokers(self, first=0):
        ports = self.ports()
        return "tcp://" + ",".join(f"127.0.0.1:{p}" for p in ports[first:] + ports[:first])

    def region(self):
        return f"/dev/shm/embarcadero-{self.process.pid}"

    def wait(self):
        return self.process.wait(timeout=PATIENCE_S)

    def stop(self, with_signal=signal.SIGTERM):
        self.process.send_signal(with_signal)
        return self.wait()

    def end(self):
        """Whatever state a test left it in."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.output.close()
        if os.path.exists(self.region()):
            os.unlink(self.region())


class Place(unittest.TestCase):
    """A directory for each test, on a real file system, and daemons that end with it."""

    def setUp(self):
        self.place = tempfile.mkdtemp(prefix="cli-", dir=os.getcwd())
        self.addCleanup(shutil.rmtree, self.place)

    def daemon(self, *options, **more):
        daemon = Daemon(self.place, *options, **more)
        self.addCleanup(daemon.end)
        return daemon

    def refused(self, daemon, status, *texts):
        self.assertEqual(daemon.wait(), status, daemon.said())
        for text in texts:
            self.assertIn(text, daemon.said())

    def run_tool_anyhow(self, *arguments, stdin="", env=None, redirected=""):
        return subprocess.run(
            [*shell(redirected), Programs.tool, *arguments],
            input=stdin, capture_output=True, text=True, check=False,
            timeout=PATIENCE_S * 3, env={**ENVIRONMENT, **(env or {})},
        )  # fmt: skip

    def run_tool(self, *arguments, status=0, **more):
        done = self.run_tool_anyhow(*arguments, **more)
        self.assertEqual(done.returncode, status, f"{arguments}: {done.stdout}{done.stderr}")
        if status:
            self.assertTrue(done.stderr.strip(), f"{arguments}: failed without a word")
        return done


# ---- as cmocka prints it --------------------------------------------------------------------


class Result(unittest.TestResult):
    """Prints what unittest reports."""

    good = True
    skipped_now = False

    def name(self, test):
        return test.id().split(".", 1)[1] if hasattr(test, "id") else str(test)

    def startTest(self, test):
        super().startTest(test)
        self.good = True
        print(f"[ RUN      ] {self.name(test)}", flush=True)

    def fail(self, test, error):
        self.good = False
        print(self._exc_info_to_string(error, test), flush=True)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.fail(test, err)

    def addError(self, test, err):
        super().addError(test, err)
        self.fail(test, err)
        if not isinstance(test, unittest.TestCase):  # of a class: it has no test of its own
            name = self.name(test).replace(" ", "")
            print(f"[ RUN      ] {name}\n[  FAILED  ] {name}")

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err:
            print(subtest)
            self.fail(test, err)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.good = False
        print(f"skipped: {reason}\n[  SKIPPED ] {self.name(test)}", flush=True)
        self.skipped_now = True

    def stopTest(self, test):
        super().stopTest(test)
        if self.skipped_now:
            self.skipped_now = False
        elif self.good:
            print(f"[       OK ] {self.name(test)}", flush=True)
        else:
            print(f"[  FAILED  ] {self.name(test)}", flush=True)

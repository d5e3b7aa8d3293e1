#!/usr/bin/python3
"""The project as it is installed: install_test.py BUILD [NAME...]

Installs into a directory below the current one, looks at what came, builds the examples there as a
user would (C11 and C++17, shared and static) and runs them against the installed daemon. With names
only those tests run whose name contains all of them.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

sys.dont_write_bytecode = True

from cli_rig import ENVIRONMENT, PATIENCE_S, Daemon, Place, Programs, Result, wait_for

EXAMPLES = ("publish", "subscribe", "pipeline")
STRICT = ["-O1", "-Wall", "-Wextra", "-Werror", "-pedantic"]
LANGUAGES = {"c11": ["cc", "-std=c11"], "c++17": ["c++", "-x", "c++", "-std=c++17"]}
LINKS = ("shared", "static")


def run(*command, env=None, **more):
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=PATIENCE_S * 3,
        env={**os.environ, **(env or {})}, **more,
    )  # fmt: skip
    if done.returncode:
        raise AssertionError(f"{command}: status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def meson():
    """The distribution's own, as in tools/build.sh."""
    return "/usr/bin/meson" if os.path.exists("/usr/bin/meson") else "meson"


README = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "README.md")


class Installed:
    """One installation for all tests, made by setUpModule."""

    build = ""
    root = ""
    prefix = ""
    files = []


def log_of_installs():
    """What `make uninstall` goes by: it must go on naming the last real one."""
    return os.path.join(Installed.build, "meson-logs", "install-log.txt")


def install():
    log = log_of_installs()
    if os.path.exists(log):
        shutil.copy(log, log + ".kept")
    run(meson(), "install", "-C", Installed.build, "--no-rebuild", "--quiet",
        "--destdir", Installed.root)  # fmt: skip


def log_restore():
    log = log_of_installs()
    if os.path.exists(log + ".kept"):
        os.replace(log + ".kept", log)
    elif os.path.exists(log):
        os.unlink(log)


def files_below(root):
    return sorted(
        os.path.relpath(os.path.join(where, name), root)
        for where, _, names in os.walk(root)
        for name in names
    )


def setUpModule():
    Installed.root = tempfile.mkdtemp(prefix="installed-", dir=Installed.build)
    unittest.addModuleCleanup(shutil.rmtree, Installed.root)
    unittest.addModuleCleanup(log_restore)
    install()
    Installed.files = files_below(Installed.root)
    headers = [f for f in Installed.files if f.endswith("include/embarcadero/embarcadero.h")]
    Installed.prefix = os.path.join(Installed.root, headers[0].split("/include/")[0])
    Programs.daemon = os.path.join(Installed.prefix, "bin", "embarcaderod")
    Programs.tool = os.path.join(Installed.prefix, "bin", "embarcadero")


def libdir():
    found = [f for f in Installed.files if f.endswith("/libembarcadero.so")]
    return os.path.dirname(os.path.join(Installed.root, found[0]))


def static_libdir():
    """A place with nothing but the archive, which is what -lembarcadero then finds."""
    place = os.path.join(Installed.root, "static")
    os.makedirs(place, exist_ok=True)
    shutil.copy(os.path.join(libdir(), "libembarcadero.a"), place)
    return place


def pkg_config(*options):
    return run(
        "pkg-config", f"--define-variable=prefix={Installed.prefix}", *options, "embarcadero",
        env={"PKG_CONFIG_PATH": os.path.join(libdir(), "pkgconfig")},
    ).split()  # fmt: skip


def sanitizers():
    """What a program must be linked with when the library was built for a sanitizer."""
    symbols = run("nm", "-D", os.path.join(libdir(), "libembarcadero.so"))
    if "__tsan" in symbols:
        return ["-fsanitize=thread"]
    return ["-fsanitize=address,undefined"] if "__asan" in symbols else []


# ---- what is there --------------------------------------------------------------------------


class InstallTest(unittest.TestCase):
    def test_everything_is_in_its_place(self):
        prefix = os.path.relpath(Installed.prefix, Installed.root)
        lib = os.path.relpath(libdir(), Installed.root)
        wanted = [f"{prefix}/bin/{name}" for name in ("embarcadero", "embarcaderod")]
        wanted += [f"{prefix}/include/embarcadero/{name}.h" for name in ("embarcadero", "errors")]
        wanted += [f"{lib}/libembarcadero.{end}" for end in ("a", "so", "so.0", "so.0.1.0")]
        wanted += [f"{lib}/pkgconfig/embarcadero.pc"]
        man = f"{prefix}/share/man"
        wanted += [f"{man}/man1/embarcadero.1", f"{man}/man8/embarcaderod.8"]
        wanted += [f"{man}/man3/{name}.3" for name in ("embarcadero", "emb_publish", "emb_status")]
        examples = f"{prefix}/share/doc/embarcadero/examples"
        wanted += [f"{examples}/{name}.c" for name in EXAMPLES] + [f"{examples}/README.md"]
        missing = set(wanted) - set(Installed.files)
        self.assertFalse(missing)
        allowed = tuple(f"{prefix}/{part}/" for part in ("bin", "include", "share")) + (f"{lib}/",)
        elsewhere = [f for f in Installed.files if not f.startswith(allowed)]
        parts = ("systemd/system", "sysusers.d", "tmpfiles.d")  # where systemd looks
        services = tuple(f"{prefix}/lib/{part}/embarcadero" for part in parts)
        self.assertFalse([f for f in elsewhere if not f.startswith(services)])
        self.assertEqual(len([f for f in Installed.files if f.startswith(services)]), len(parts))

    def test_the_library_is_found_by_its_soname(self):
        links = {name: os.path.join(libdir(), name) for name in os.listdir(libdir())}
        self.assertEqual(os.readlink(links["libembarcadero.so"]), "libembarcadero.so.0")
        self.assertEqual(os.readlink(links["libembarcadero.so.0"]), "libembarcadero.so.0.1.0")
        dynamic = run("readelf", "-d", links["libembarcadero.so"])
        self.assertIn("soname: [libembarcadero.so.0]", dynamic)
        self.assertNotIn("RPATH", dynamic)
        self.assertNotIn("RUNPATH", dynamic)

    def test_pkg_config_names_what_each_way_of_linking_needs(self):
        self.assertEqual(pkg_config("--modversion"), ["0.1.0"])
        self.assertIn(f"-I{Installed.prefix}/include", pkg_config("--cflags"))
        shared = pkg_config("--libs")
        self.assertEqual([o for o in shared if o.startswith("-l")], ["-lembarcadero"])
        static = pkg_config("--static", "--libs")
        for library in ("-lembarcadero", "-lisal", "-llz4", "-lzstd"):
            self.assertIn(library, static)

    def test_the_programs_run(self):
        for program in (Programs.daemon, Programs.tool):
            self.assertIn("0.1.0", run(program, "--version"))

    def test_man_pages_lead_to_installed_pages(self):
        links = [f for f in Installed.files if "/man3/emb_" in f]
        self.assertGreater(len(links), 30)
        for link in links:
            with open(os.path.join(Installed.root, link), encoding="utf-8") as file:
                target = file.read().removeprefix(".so ").strip()
            self.assertIn(f"{link.split('/man3/')[0]}/{target}", Installed.files)

    def test_uninstall_removes_all_of_it(self):
        other = tempfile.mkdtemp(prefix="uninstalled-", dir=Installed.build)
        self.addCleanup(shutil.rmtree, other)
        log_restore()
        kept, Installed.root = Installed.root, other
        try:
            install()
            self.assertTrue(files_below(other))
            run("ninja", "-C", Installed.build, "uninstall")
        finally:
            Installed.root = kept
        self.assertEqual(files_below(other), [])


# ---- the examples ---------------------------------------------------------------------------


class Built:
    """The examples' programs, by (name, language, link); each is built once."""

    programs = {}

    @classmethod
    def get(cls, name, language, link):
        key = (name, language, link)
        if key not in cls.programs:
            cls.programs[key] = cls.build(name, language, link)
        return cls.programs[key]

    @staticmethod
    def build(name, language, link):
        source = os.path.join(Installed.prefix, "share/doc/embarcadero/examples", f"{name}.c")
        program = os.path.join(Installed.root, f"{name}-{language}-{link}")
        libs = pkg_config("--libs")
        if link == "static":
            libs = pkg_config("--static", "--libs", f"--define-variable=libdir={static_libdir()}")
        run(*LANGUAGES[language], *STRICT, *sanitizers(), *pkg_config("--cflags"), source,
            "-o", program, *libs)  # fmt: skip
        return program


def has_cplusplus():
    return shutil.which("c++") is not None


def kinds():
    for language in LANGUAGES if has_cplusplus() else ["c11"]:
        for link in LINKS:
            yield language, link


class ExamplesTest(Place):
    def setUp(self):
        super().setUp()
        self.rack = self.daemon().ready()
        self.brokers = f"tcp://127.0.0.1:{self.rack.ports()[0]}"

    def example(self, kind, name, *arguments, text=""):
        return run(Built.get(name, *kind), *arguments, input=text, cwd=self.place,
                   env=self.environment())  # fmt: skip

    def environment(self):
        return {**ENVIRONMENT, "LD_LIBRARY_PATH": libdir(), "EMBARCADERO_BROKERS": self.brokers}

    def test_the_program_of_the_readme(self):
        with open(README, encoding="utf-8") as readme:
            code = readme.read().split("```c\n")[1].split("```")[0]
        source = os.path.join(self.place, "hello.c")
        with open(source, "w", encoding="utf-8") as file:
            file.write(code)
        program = os.path.join(self.place, "hello")
        run("cc", "-std=c11", "-Wall", "-Wextra", "-Werror", source, *sanitizers(),
            *pkg_config("--cflags", "--libs"), "-o", program)  # fmt: skip
        self.assertEqual(run(program, env=self.environment()), "on two disks, at offset 0\n")

    def wait_durable(self, topic, offset):
        """The broker that the examples ask first may hear of the end a moment later than others."""

        def is_durable():
            command = ["topic", "describe", topic, "--brokers", self.brokers, "--json"]
            return json.loads(self.run_tool(*command).stdout)["durable_offset"] >= offset

        wait_for(is_durable, f"offset {offset} of {topic} was durable")

    def check_examples(self, kind):
        words = "words-" + "-".join(kind).replace("+", "p")
        self.assertEqual(
            self.example(kind, "publish", words, text="one\ntwo\n\nfour\n"),
            "4 durable, 0 failed, last offset 3\n",
        )
        self.wait_durable(words, 4)
        read = self.example(kind, "subscribe", words, f"{words}.position")
        self.assertEqual(read, "0: one\n1: two\n2: \n3: four\n")
        self.assertEqual(self.example(kind, "subscribe", words, f"{words}.position"), "")
        more = self.example(kind, "publish", words, text="five\n")
        self.assertEqual(more, "1 durable, 0 failed, last offset 4\n")
        self.wait_durable(words, 5)
        self.assertEqual(
            self.example(kind, "subscribe", words, f"{words}.position"), "4: five\n")
        loud = f"loud-{words}"
        for count, said in ((2, "2 messages from offset 0"), (9, "3 messages from offset 2")):
            got = self.example(kind, "pipeline", words, loud, str(count))
            self.assertEqual(got, f"{said} on\n")
            self.wait_durable(loud, min(count, 5))
        self.assertEqual(
            self.example(kind, "subscribe", loud, f"{loud}.position"),
            "0: ONE\n1: TWO\n2: \n3: FOUR\n4: FIVE\n",
        )

    def test_all_run_alike_in_every_language_and_link(self):
        if not has_cplusplus():
            print("no C++ compiler: C++17 was not tested")
        for kind in kinds():
            with self.subTest(kind=kind):
                self.check_examples(kind)

    def test_static_programs_need_no_library(self):
        for language, link in kinds():
            needed = run("readelf", "-d", Built.get("publish", language, link))
            self.assertEqual("libembarcadero.so.0" in needed, link == "shared")

    def test_a_killed_pipeline_goes_on_without_gap_or_double(self):
        kind = ("c11", "shared")
        lines = [f"line {i} of many" for i in range(60000)]
        self.example(kind, "publish", "from", text="\n".join(lines) + "\n")
        self.wait_durable("from", len(lines))
        for milliseconds in range(3, 15):  # some of them kill it at work
            process = subprocess.Popen(
                [Built.get("pipeline", *kind), "from", "to"], cwd=self.place,
                stdout=subprocess.DEVNULL, env={**os.environ, **self.environment()},
            )  # fmt: skip
            time.sleep(milliseconds / 1000)
            process.kill()
            process.wait()
        self.example(kind, "pipeline", "from", "to")
        self.assertEqual(self.results(), [line.upper() for line in lines])

    def results(self):
        """As its readers take it: without what is not above all before."""
        got = self.run_tool("consume", "to", "--until-end", "--format", "%h %v\\n",
                            "--brokers", self.brokers).stdout  # fmt: skip
        last, values = -1, []
        for line in got.splitlines():
            header, value = line.split(" ", 1)
            source = int(header.split("=")[1])
            if source > last:
                last = source
                values.append(value)
        return values

    def test_failures_are_told(self):
        kind = ("c11", "shared")
        for name, arguments in (("publish", ["t"]), ("subscribe", ["t", "p"]), ("pipeline", "ab")):
            done = subprocess.run(
                [Built.get(name, *kind), *arguments], capture_output=True, text=True, check=False,
                cwd=self.place, stdin=subprocess.DEVNULL,
                env={**os.environ, **self.environment(), "EMBARCADERO_BROKERS": "127.0.0.1:1"},
            )  # fmt: skip
            self.assertEqual(done.returncode, 1)
            self.assertIn("127.0.0.1:1", done.stderr)
            self.assertIn("UNAVAILABLE", done.stderr)


def main():
    if len(sys.argv) < 2:
        print(__doc__)
        return 2
    Installed.build = os.path.abspath(sys.argv[1])
    names = sys.argv[2:]
    suite = unittest.TestSuite()
    for case in (InstallTest, ExamplesTest):
        for test in unittest.defaultTestLoader.loadTestsFromTestCase(case):
            if all(name in test.id() for name in names):
                suite.addTest(test)
    result = Result()
    suite.run(result)
    return 0 if result.wasSuccessful() and result.testsRun else 1


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/python3
"""The man pages: man_test.py INCLUDE EMBARCADERO EMBARCADEROD PAGE...

Each renders without a warning; functions, commands and options are named in the pages as they are
in the header and in --help, all of them and no other. Prints as cmocka does.
"""

import os
import re
import subprocess
import sys
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tests"))

from cli_rig import ENVIRONMENT, Result

OPTION = re.compile(r"(?<![\w-])--[a-z][a-z.-]*[a-z]")


class Given:
    include = tool = daemon = ""
    pages = {}


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def plain(name):
    """A page's text without roff's escapes."""
    text = re.sub(r"\\f[BIRP]|\\&", "", read(Given.pages[name]))
    return text.replace("\\-", "-").replace("\\_", "_").replace("\\(aq", "'")


def said(*command):
    return subprocess.run(
        command, capture_output=True, text=True, check=True, env=ENVIRONMENT
    ).stdout


def commands():
    listed = r"^  ([a-z]+(?: [a-z]+)?)(?: [A-Z\[]\S*)*\s{2,}\S"
    return re.findall(listed, said(Given.tool, "--help"), re.M)


class ManTest(unittest.TestCase):
    maxDiff = None

    def test_pages_render_without_warnings(self):
        self.assertEqual(len(Given.pages), 8)
        for name, path in Given.pages.items():
            with self.subTest(page=name):
                done = subprocess.run(
                    ["groff", "-man", "-ww", "-Tutf8", "-z", path], capture_output=True, text=True,
                    check=False,
                )  # fmt: skip
                self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_pages_name_the_functions_of_the_header_and_no_other(self):
        header = read(os.path.join(Given.include, "embarcadero/embarcadero.h"))
        exported = set(re.findall(r"^EMB_API [^;]*?\b(emb_\w+)\(", header, re.M))
        inline = set(re.findall(r"^static inline \w+ (emb_\w+)\(", header, re.M))
        self.assertGreater(len(exported), 30)
        described, named = set(), set()
        for name in Given.pages:
            if name.endswith(".3"):
                described |= set(re.findall(r"^\.SS (emb_\w+)$", plain(name), re.M))
                named |= set(re.findall(r"\b(emb_\w+)(?=\()", plain(name)))
        declared = exported | inline
        self.assertEqual(exported - described, set())
        self.assertEqual(described - exported, set())
        self.assertEqual(declared - named, set())
        self.assertEqual(named - declared, set())

    def test_each_function_is_linked_to_its_page(self):
        place = os.path.dirname(Given.pages["embarcadero.3"])
        header = read(os.path.join(Given.include, "embarcadero/embarcadero.h"))
        function = r"^(?:EMB_API|static inline) [^;{]*?\b(emb_\w+)\("
        functions = set(re.findall(function, header, re.M))
        links = {f[:-2] for f in os.listdir(place) if re.match(r"emb_\w+\.3$", f)}
        self.assertEqual(functions, links)
        for function in links:
            page = re.match(r"\.so man3/(.*)\n$", read(f"{place}/{function}.3")).group(1)
            self.assertIn(f"{function}(", plain(page), page)

    def test_the_tools_page_has_every_command_and_option(self):
        page = plain("embarcadero.1")
        names = commands()
        self.assertGreater(len(names), 10)
        sections = {}
        for part in re.split(r"^\.SS ", page, flags=re.M)[1:]:
            heading, _, body = part.partition("\n")
            sections[heading] = body.split("\n.SH ")[0]
        common = set(OPTION.findall(sections["options of every command"]))
        self.assertEqual(common, {"--brokers", "--help", "--version"})
        for name in names:
            with self.subTest(command=name):
                mine = [body for heading, body in sections.items()
                        if re.match(rf"{name}( [A-Z\[]|$)", heading)]  # fmt: skip
                self.assertEqual(len(mine), 1)
                text = said(Given.tool, *name.split(), "--help")
                self.assertEqual(set(OPTION.findall(mine[0])) | common,
                                 set(OPTION.findall(text)) | common)  # fmt: skip
        self.assertEqual(len(sections), len(names) + 1)

    def test_the_daemons_page_has_every_option(self):
        text = said(Given.daemon, "--help")
        options = set(re.findall(r"^  (--[a-z][\w.-]*)", text, re.M))
        self.assertGreater(len(options), 20)
        entries = set(re.findall(r"^(--[a-z][\w.-]*)$", plain("embarcaderod.8"), re.M))
        self.assertEqual(options - entries, set())
        self.assertEqual(entries - options, set())


def main():
    Given.include, Given.tool, Given.daemon = sys.argv[1:4]
    Given.pages = {os.path.basename(path): os.path.abspath(path) for path in sys.argv[4:]}
    result = Result()
    unittest.defaultTestLoader.loadTestsFromTestCase(ManTest).run(result)
    return 0 if result.wasSuccessful() and result.testsRun else 1


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/python3
"""Fills a page's template: what the code says stands in the code only, and is copied from there.

pages.py TEMPLATE OUTPUT --include DIR [--tool EMBARCADERO] [--daemon EMBARCADEROD]

A line of a template that begins with @@ is replaced:
  @@function NAME   prototype and comment of a function of the public header
  @@comment WORDS   the comment of the header that begins so
  @@declare NAME    a struct or an enum of the header, whole
  @@overview        the header's opening comment, a paragraph each
  @@errors          the table of results of errors.h
  @@commands        every command of the tool with its options, from its --help
  @@options         every option of the daemon, from its --help
All others are scdoc's, see scdoc(5).
"""

import argparse
import os
import re
import subprocess
import sys


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def escape(text):
    """Plain words for scdoc: no mark-up, and no table or list by a first character."""
    text = re.sub(r"([\\*_`<>])", r"\\\1", text)
    return re.sub(r"^([\[\]|\-.#;])", r"\\\1", text)


def paragraphs(comment):
    """The text of a comment, its lines joined."""
    inner = comment.strip()[2:-2]
    lines = [re.sub(r"^\s*\* ?", "", line).strip() for line in inner.split("\n")]
    return [part for part in re.split(r"\n\s*\n", "\n".join(lines).strip()) if part]


def flow(text):
    return escape(" ".join(text.split()))


class Header:
    """The public header, looked up by name."""

    def __init__(self, include):
        self.text = read(os.path.join(include, "embarcadero/embarcadero.h"))
        self.codes = read(os.path.join(include, "embarcadero/errors.h"))

    def function(self, name):
        match = re.search(rf"^EMB_API [^;]*?\b{name}\([^;]*;", self.text, re.M)
        if not match:
            raise SystemExit(f"pages: the header has no function {name}")
        before = self.text[: match.start()].rstrip()
        # Functions that follow each other share the comment before the first.
        while before.endswith(");"):
            before = before[: before.rindex("EMB_API")].rstrip()
        comment = before[before.rindex("/*") :] if before.endswith("*/") else "/* */"
        lines = match.group(0).replace("EMB_API ", "").split("\n")
        cut = min((len(line) - len(line.lstrip()) for line in lines[1:]), default=8) - 4
        prototype = [lines[0]] + [line[max(cut, 0) :] for line in lines[1:]]
        yield from [f"## {name}", "", "```"] + prototype + ["```", ""]
        if not re.match(r"/\* -{4}", comment):
            yield from self.words(paragraphs(comment))

    @staticmethod
    def words(parts):
        for part in parts:
            head, colon, rest = part.partition("Errors:")
            if head.strip():
                yield from [flow(head), ""]
            if colon:
                yield from [f"*Errors:* {flow(rest)}", ""]

    def comment(self, words):
        at = self.text.find(words)
        if at < 0:
            raise SystemExit(f"pages: the header has no comment \"{words}\"")
        start = self.text.rindex("/*", 0, at)
        yield from self.words(paragraphs(self.text[start : self.text.index("*/", at) + 2]))

    def declare(self, name):
        match = re.search(rf"^(struct|enum) {name} \{{\n.*?^\}};", self.text, re.M | re.S)
        if not match:
            raise SystemExit(f"pages: the header has no struct or enum {name}")
        yield from ["```"] + match.group(0).split("\n") + ["```", ""]

    def overview(self):
        for part in paragraphs(self.text[: self.text.index("*/") + 2])[1:]:
            lead = re.match(r"([A-Z]\w+)\. ", part)
            if lead:
                yield from [f"*{lead.group(1)}.* {flow(part[lead.end():])}", ""]
            elif not part.startswith("struct emb_"):
                yield from [flow(part), ""]

    def errors(self):
        for name, value, text in re.findall(r"X\((\w+), (\d+), \"([^\"]+)\"\)", self.codes):
            yield from [f"*EMB\\_ERR\\_{escape(name)}* (-{value})", f"\t{escape(text)}", ""]


# ---- what programs say of themselves --------------------------------------------------------


def said(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def options(lines):
    """Options with their text below; other lines are headings."""
    entry = None
    for line in lines:
        match = re.match(r"  (-\S.*?)(?:\s{2,}(\S.*))?$", line)
        short = re.match(r"  (--[\w.-]+) +(\S.*)$", line)
        if match or short:
            if entry:
                yield from close(entry)
            term, text = (match or short).group(1), (match or short).group(2)
            if short and not (match and match.group(2)) and len(short.group(1)) > 20:
                term, text = short.group(1), short.group(2)
            entry = (term, [text] if text else [])
        elif entry and line.startswith(" " * 10):
            entry[1].append(line.strip())
        else:
            if entry:
                yield from close(entry)
            entry = None
            if line.strip():
                yield from [escape(line.strip()), ""]
    if entry:
        yield from close(entry)


def close(entry):
    term, texts = entry
    words = [f"*{escape(word)}*" if word.startswith("-") else escape(word) for word in term.split()]
    return [" ".join(words), "\t" + (flow(" ".join(texts)) or "\\ "), ""]


def commands_of(tool):
    """Each command as the tool lists it, with its arguments."""
    for line in said(tool, "--help").split("\n"):
        match = re.match(r"  ([a-z]+(?: [a-z]+)?)((?: [A-Z\[][\w.\]\[]*)*)\s{2,}(\S.*)$", line)
        if match:
            yield match.group(1), match.group(2).strip()


def parts_of(text):
    """{heading: lines} of a help text; what stands before the first heading is under ""."""
    parts, now = {"": []}, ""
    for line in text.split("\n"):
        if re.match(r"[a-z][a-z ]*:$", line):
            now = line[:-1]
            parts[now] = []
        else:
            parts[now].append(line)
    return parts


def commands(tool):
    for name, arguments in commands_of(tool):
        parts = parts_of(said(tool, *name.split(), "--help"))
        yield from ["## " + escape(f"{name} {arguments}").rstrip(), ""]
        about = "\n".join(parts[""][1:]).strip()
        yield from [flow(about), ""]
        yield from options(parts.get("options", []))
        example = [line.strip() for line in parts.get("example", []) if line.strip()]
        if example:
            yield from ["Example:", "", "```"] + example + ["```", ""]
    common = parts_of(said(tool, "--help")).get("options of every command", [])
    yield from ["## options of every command", ""] + list(options(common))


def daemon_options(daemon):
    lines = said(daemon, "--help").strip().split("\n")
    first = next(i for i, line in enumerate(lines) if line.startswith("  --"))
    end = len(lines) - lines[::-1].index("")  # of the options; then come sentences
    yield from options(lines[max(0, first - 1) : end])
    yield from [flow(" ".join(lines[end:])), ""]


# ---- a page ---------------------------------------------------------------------------------


def fill(line, header, arguments):
    word, _, rest = line[2:].partition(" ")
    if word == "commands":
        return commands(arguments.tool)
    if word == "options":
        return daemon_options(arguments.daemon)
    if word in ("function", "comment", "declare"):
        return getattr(header, word)(rest.strip())
    if word in ("overview", "errors"):
        return getattr(header, word)()
    raise SystemExit(f"pages: @@{word} is not known")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("template")
    parser.add_argument("output")
    parser.add_argument("--include", required=True)
    parser.add_argument("--tool")
    parser.add_argument("--daemon")
    arguments = parser.parse_args()
    header = Header(arguments.include)
    lines = []
    for line in read(arguments.template).rstrip("\n").split("\n"):
        lines += fill(line, header, arguments) if line.startswith("@@") else [line]
    text = re.sub(r"\n{3,}", "\n\n", "\n".join(lines).rstrip() + "\n")
    with open(arguments.output, "w", encoding="utf-8") as file:
        file.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())

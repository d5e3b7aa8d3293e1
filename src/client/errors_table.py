#!/usr/bin/python3
"""Each error that the public header names of a function has a test, and each test is of such one.

errors_table.py HEADER FORK_TEST ERRORS_TEST...

In the header the comment before a function has an `Errors:` part with names of errors.h. In the
tests a row is ROW(function, ERROR, ...) or ROW_OF(...). NOT_SUPPORTED is no row: every function
that can fail must be called in the fork test. Prints what is missing.
"""

import os
import re
import sys

FUNCTION = re.compile(r"^EMB_API\s+(?P<type>[\w\s]*?[\s*]+)(?P<name>emb_\w+)\(", re.M)
ROW = re.compile(r"\bROW(?:_OF)?\(\s*(emb_\w+),\s*([A-Z_]+),")

# What a forked child may call.
IN_A_CHILD = {"emb_client_open", "emb_client_close", "emb_publisher_close"}


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def comment_before(text, at):
    """The comment that ends right before a declaration, or nothing."""
    before = text[:at].rstrip()
    if not before.endswith("*/"):
        return ""
    return before[before.rindex("/*") :]


def named(header, known):
    """{function: errors} for all functions that return a code."""
    found = {}
    for match in FUNCTION.finditer(header):
        if match.group("type").strip() != "int":
            continue
        _, _, errors = comment_before(header, match.start()).partition("Errors:")
        found[match.group("name")] = set(re.findall(r"\b[A-Z][A-Z_]+\b", errors)) & known
    return found


def main(header_path, fork_path, *test_paths):
    codes = read(os.path.join(os.path.dirname(header_path), "errors.h"))
    header = named(read(header_path), set(re.findall(r"X\((\w+), \d+,", codes)))
    forked = read(fork_path)
    wanted = {(function, error) for function, errors in header.items() for error in errors}
    tested = {row for path in test_paths for row in ROW.findall(read(path))}
    wrong = [f"{function}: {error} has no row" for function, error in sorted(wanted - tested)]
    wrong += [f"{function}: {error} has a row and is not in the header"
              for function, error in sorted(tested - wanted)]
    wrong += [f"{function}: no `Errors:` in the header"
              for function, errors in header.items() if not errors]
    wrong += [f"{function}: not called in {fork_path}"
              for function in sorted(set(header) - IN_A_CHILD)
              if f"refuses({function}(" not in forked]
    if len(wanted) < 60:
        wrong.append(f"only {len(wanted)} errors are found in the header: it is not understood")
    print("\n".join(wrong) or f"{len(wanted)} errors of {len(header)} functions")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

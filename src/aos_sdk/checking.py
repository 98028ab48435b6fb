"""`python -m aos_sdk.checking --folder=F ENTRY...`: says of each entry, as JSON, why it cannot be loaded; of a good one nothing.

It imports as a host does, in a process of its own: what an agent's module does when imported happens here and ends here.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence

from aos_sdk.entries import EntryError
from aos_sdk.native import load_runtime


def find_problems(entries: Sequence[str], folders: Sequence[str]) -> dict[str, str]:
    """Return why entries cannot be loaded, by entry; one of another runtime than Python's reads `RUNTIME=module:name`."""
    problems = {}
    for entry in entries:
        try:
            runtime, equals, named = entry.partition("=")
            load_runtime(runtime if equals else "", named if equals else entry, folders=folders)
        except EntryError as error:
            problems[entry] = str(error)
        except BaseException as error:  # a module may end the process; the others are still looked at
            problems[entry] = f"entry `{entry}` cannot be loaded: importing it raised {type(error).__name__}: {error}"
    return problems


def main(arguments: Sequence[str]) -> int:
    """Check the entries named, and print the problems where nothing that is imported can write."""
    parser = argparse.ArgumentParser(prog="aos_sdk.checking")
    parser.add_argument("--folder", action="append", default=[])
    parser.add_argument("entries", nargs="+")
    given = parser.parse_args(arguments)
    answer = os.dup(1)
    os.dup2(2, 1)
    problems = find_problems(given.entries, given.folder)
    with os.fdopen(answer, "w", encoding="utf-8") as out:
        json.dump(problems, out)
    return 0


if __name__ == "__main__":
    status = main(sys.argv[1:])
    sys.stdout.flush()
    os._exit(status)  # threads that a module began must not hold the answer up

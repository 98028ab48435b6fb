"""Runs blocks of a page for the test of that page, in the framework's own environment: nothing but the standard library here.

A line of JSON on standard input is a program; a line on standard output says what it printed and what it raised.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import traceback
from pathlib import Path

answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
for line in sys.stdin:
    asked = json.loads(line)
    known = {"__name__": "__main__"}
    # A file, since some frameworks read the source of what they are given.
    file = Path.cwd() / f"{asked['name']}.py"
    file.write_text(asked["source"])
    printed, raised = io.StringIO(), None
    with contextlib.redirect_stdout(printed):
        try:
            exec(compile(asked["source"], str(file), "exec"), known)
        except BaseException:
            raised = traceback.format_exc()
    answers.write(json.dumps({"printed": printed.getvalue(), "raised": raised}) + "\n")
    answers.flush()

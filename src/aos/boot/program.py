"""How the person at this terminal can call `aos` again, so that what a message names can be typed as it stands.

The rest of the code writes `aos`; only what is printed is put in these words.
"""

from __future__ import annotations

import functools
import os
import shutil
import sys
from pathlib import Path
from typing import Final

from aos.boot.installation import installation_root

PLAIN: Final = "aos"
UP_MAX: Final = 2
"""How many folders up a relative name may lead; from deeper down or elsewhere, the whole path is easier to read."""


@functools.cache
def program_name() -> str:
    """Return how `aos` was called, computed once: `aos` where the shell finds it, else the path from this folder."""
    called = Path(sys.argv[0])
    return name_of_program(called, Path.cwd(), installation_root(), found=shutil.which(PLAIN))


def name_of_program(called: Path, folder: Path, root: Path, *, found: str | None) -> str:
    """Return what to type in `folder` for the program started as `called`, of the installation at `root`.

    `found` is what the shell runs for `aos`. In a clone its own script `aos` counts, which makes the environment too.
    """
    script = root / PLAIN
    ours = [each for each in (called, script) if each.is_file()]
    if found is not None and any(os.path.samefile(found, each) for each in ours):
        return PLAIN
    if not ours or not (script.is_file() or called.name == PLAIN):
        return PLAIN
    target = script if script.is_file() else called.absolute()
    near = os.path.relpath(target, folder)
    if not folder.is_relative_to(target.parent) or near.split(os.sep).count(os.pardir) > UP_MAX:
        return str(target)
    return near if near.startswith(os.pardir) else f".{os.sep}{near}"


def typed(text: str) -> str:
    """Return a text with the commands in back-ticks as they can be typed here."""
    return text.replace(f"`{PLAIN} ", f"`{program_name()} ")

"""Virtual environments for peers: pinned, apart from ours, made for the length of a benchmark."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

INSTALL_SECONDS: Final = 400


class MissingPeer(Exception):
    """The peer cannot be measured here; the message says why."""


def make_environment(folder: Path, wanted: Sequence[str], *, overrides: Sequence[str] = ()) -> Path:
    """Install what is wanted in a new environment below a folder and return its Python; raises MissingPeer.

    `overrides` loosen pins of packages that play no part in what is measured: an index may lag behind them.
    """
    python = folder / "venv/bin/python"
    uv = shutil.which("uv", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    if uv is None:
        raise MissingPeer("`uv` is not there, which `make environment` installs")
    loosened = folder / "overrides.txt"
    loosened.write_text("\n".join(overrides))
    try:
        for command in (
            ["venv", "--quiet", "--python", sys.executable, str(folder / "venv")],
            ["pip", "install", "--quiet", "--python", str(python), "--override", str(loosened), *wanted],
        ):
            subprocess.run([uv, *command], check=True, capture_output=True, text=True, timeout=INSTALL_SECONDS)
    except subprocess.CalledProcessError as error:
        raise MissingPeer(f"{wanted[0]} cannot be installed: {error.stderr[-400:]}") from error
    except subprocess.TimeoutExpired as error:
        raise MissingPeer(f"{wanted[0]} was not installed within {INSTALL_SECONDS} s") from error
    return python

"""What this installation is called: the folder that it runs from."""

from __future__ import annotations

import sys
from pathlib import Path


def installation_root() -> Path:
    """Return what names this installation: the clone it runs from, else the environment it is installed in."""
    clone = Path(__file__).resolve().parents[3]
    return clone if (clone / "pyproject.toml").is_file() else Path(sys.prefix).resolve()

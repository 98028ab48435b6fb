"""Loads SQL by file name: one statement a file, each existing once, run by either connection.

Parameters are psycopg's named ones, `%(name)s`; both Django's cursor and psycopg take them.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent / "sql"


@cache
def sql(name: str) -> str:
    """Return the statement in `sql/<name>.sql`; a missing file is a KeyError naming it."""
    file = FOLDER / f"{name}.sql"
    if not file.is_file():
        raise KeyError(f"no statement `{name}` in {FOLDER.name}/")
    return file.read_text("utf-8")

"""Loads SQL by file name: one statement a file, each existing once, run by either connection.

Parameters are psycopg's named ones, `%(name)s`; both Django's cursor and psycopg take them.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Final

FOLDER = Path(__file__).parent / "sql"
_PLACEHOLDER: Final = re.compile(r"%(?:\((\w+)\)s|%)")


@cache
def sql(name: str) -> str:
    """Return the statement in `sql/<name>.sql`; a missing file is a KeyError naming it."""
    file = FOLDER / f"{name}.sql"
    if not file.is_file():
        raise KeyError(f"no statement `{name}` in {FOLDER.name}/")
    return file.read_text("utf-8")


@cache
def numbered(name: str) -> tuple[bytes, tuple[str, ...]]:
    """Return the statement in the server's own form, and the names of `$1`, `$2` and so on.

    To send it costs nothing more, whereas psycopg looks for placeholders anew at each execution of a long statement.
    """
    names: dict[str, int] = {}

    def place(found: re.Match[str]) -> str:
        return f"${names.setdefault(found[1], len(names) + 1)}" if found[1] else "%"

    text = _PLACEHOLDER.sub(place, sql(name))
    return text.encode("utf-8"), tuple(names)

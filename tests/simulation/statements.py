"""Statements as AOS sends them, brought back into the form of their files: what a mutant changes and a fence reads."""

from __future__ import annotations

from functools import cache
from typing import Any

from aos.store.sql_files import FOLDER, numbered, sql


@cache
def _numbered() -> dict[str, str]:
    """Return the name of every statement by its form with numbers, which is what AOS sends."""
    return {numbered(file.stem)[0].decode(): file.stem for file in FOLDER.glob("*.sql")}


def as_written(text: str, params: Any) -> tuple[str, Any]:
    """Return a statement as its file has it, with its parameters by name."""
    name = _numbered().get(text)
    if name is None:
        return text.replace("$1", "%s"), params
    return sql(name), None if params is None else dict(zip(numbered(name)[1], params, strict=True))

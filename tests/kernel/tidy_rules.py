"""The rules of form that no tool knows: each a function from a path and its text to the complaints about it.

A complaint begins with the path and says what to do. The rules are pure, so that `test_tidy.py` shows each of them
refusing a bad sample with the same function that reads the repository.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 500
TEST_FOLDERS = frozenset({"kernel", "store", "operations", "contract", "simulation", "e2e"})
VAGUE_NAMES = frozenset(
    name + plural for name in ("util", "helper", "common", "base", "manager", "service") for plural in ("", "s")
)
GENERATED = re.compile(r"_pb2(_grpc)?\.pyi?$")
# Written in pieces, so that the rules do not find themselves.
UNFINISHED = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "X" + "XX", "NotImplemented" + "Error")) + r")\b")
OWN_MACHINE = re.compile(r"(?<![\w.}>/-])/(?:root/|work/|home/\w+/|Users/\w+/)")
SQL_STATEMENT = re.compile(
    r"\s*(select\s.+\sfrom\s|insert\s+into\s|update\s+[\w.\"]+\s+set\s|delete\s+from\s|with\s+\w+\s+as\s*\(|"
    r"create\s+(unlogged\s+|temp\w*\s+)?table\s)",
    re.IGNORECASE | re.DOTALL,
)
SQL_NOISE = re.compile(
    r"--[^\n]*|/\*.*?\*/|(?P<tag>\$\w*\$).*?(?P=tag)|'(?:[^']|'')*'|\"[^\"]*\"",
    re.DOTALL,
)
# Text with a suffix; of files without one the Makefile and what is executable are read.
TEXT_NAME = re.compile(r"(^Makefile|\.(py|sql|html|css|js|svg|md|toml|ya?ml|json|lock|txt|cfg|ini|sh|proto|csv))$")


@dataclass(frozen=True, slots=True)
class Source:
    """One file of the repository: its path from the root, with `/`, and its text."""

    path: str
    text: str

    @property
    def parts(self) -> tuple[str, ...]:
        return PurePosixPath(self.path).parts

    @property
    def is_python(self) -> bool:
        return self.path.endswith(".py") and not GENERATED.search(self.path)


def read_sources(root: Path) -> list[Source]:
    """Return every text file under a root, by path; environments, caches and hidden folders but `.ci` are left out."""
    found: list[Source] = []
    for folder, folders, files in os.walk(root):
        here = Path(folder)
        folders[:] = [name for name in folders if _is_ours(here / name, root)]
        for name in files:
            path = here / name
            if TEXT_NAME.search(name) or (not path.suffix and os.access(path, os.X_OK)):
                found.append(Source(path.relative_to(root).as_posix(), path.read_text("utf-8", "replace")))
    return sorted(found, key=lambda source: source.path)


def _is_ours(folder: Path, root: Path) -> bool:
    name = folder.name
    if name in {"__pycache__", "node_modules"} or name.endswith(".egg-info") or (folder / "pyvenv.cfg").exists():
        return False
    if folder.relative_to(root).as_posix() in {"build", "dist", "bench/results"}:
        return False
    return not name.startswith(".") or name == ".ci"


def measure_functions(source: Source) -> Iterator[tuple[str, int, int]]:
    """Yield name, first line and length in lines of each function in a Python file, decorators left out."""
    if source.is_python:
        for node in ast.walk(ast.parse(source.text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield node.name, node.lineno, (node.end_lineno or node.lineno) - node.lineno + 1


def measure(source: Source) -> dict[str, int]:
    """Return what is over its length: `path` for a file, `path::function` for a function, each with its lines."""
    over: dict[str, int] = {}
    lines = source.text.count("\n")
    if source.is_python and "migrations" not in source.parts and lines > FILE_LINES_MAX:
        over[source.path] = lines
    for name, _, length in measure_functions(source):
        if length > FUNCTION_LINES_MAX:
            over[f"{source.path}::{name}"] = length
    return over


def check_lengths(sources: list[Source], allowed: dict[str, int]) -> list[str]:
    """Complain of what is over its length and not allowed, and of what is allowed more than it needs."""
    over = {key: lines for source in sources for key, lines in measure(source).items()}
    long = [
        f"{key}: {lines} lines (a function has at most {FUNCTION_LINES_MAX}, a file {FILE_LINES_MAX}): divide it"
        for key, lines in over.items()
        if lines > allowed.get(key, 0)
    ]
    loose = [
        f"{key}: the ratchet allows {lines} lines, it has {over.get(key, 0)}: the ratchet only shrinks, lower it"
        for key, lines in allowed.items()
        if over.get(key, 0) < lines
    ]
    return long + loose


def read_ratchet(text: str) -> dict[str, int]:
    """Return the exceptions of a ratchet file: a line holds a path or `path::function`, and its lines."""
    rows = [line.split() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return {key: int(lines) for key, lines in rows}


def check_names(source: Source) -> Iterator[str]:
    """Refuse modules and packages whose name says nothing."""
    if source.path.endswith(".py"):
        for part in source.parts:
            if part.removesuffix(".py") in VAGUE_NAMES:
                yield f"{source.path}: `{part}` says nothing: name the module by what it holds"


def check_module_docstring(source: Source) -> Iterator[str]:
    """Ask a docstring of each module under src that holds anything."""
    if source.is_python and source.parts[0] == "src":
        tree = ast.parse(source.text)
        if tree.body and not ast.get_docstring(tree):
            yield f"{source.path}: no docstring: one sentence for what the module holds"


def check_sql_file(source: Source) -> Iterator[str]:
    """Ask that a SQL file under src lies in the store and, outside the migrations, holds one statement."""
    if not source.path.endswith(".sql") or source.parts[0] != "src":
        return
    if source.parts[:3] != ("src", "aos", "store"):
        yield f"{source.path}: SQL lives in src/aos/store/sql and in the migrations"
    elif "migrations" not in source.parts:
        bare = SQL_NOISE.sub(lambda noise: " " if noise[0].startswith(("-", "/")) else "x", source.text)
        count = sum(bool(statement.strip()) for statement in bare.split(";"))
        if count != 1:
            yield f"{source.path}: {count} statements: a SQL file holds one"


def check_sql_strings(source: Source) -> Iterator[str]:
    """Refuse SQL in strings of Python under src; the migrations may hold it."""
    if not source.is_python or source.parts[0] != "src" or "migrations" in source.parts:
        return
    for node in ast.walk(ast.parse(source.text)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
            value = node.value if isinstance(node.value, str) else node.value.decode("utf-8", "replace")
            if SQL_STATEMENT.match(value):
                yield f"{source.path}:{node.lineno}: SQL in a string: give it a file in src/aos/store/sql"


def check_own_machine(source: Source) -> Iterator[str]:
    """Refuse paths of somebody's machine."""
    for number, line in enumerate(source.text.splitlines(), 1):
        if found := OWN_MACHINE.search(line):
            yield f"{source.path}:{number}: `{found[0]}...` is a path of one machine"


def check_unfinished(source: Source) -> Iterator[str]:
    """Refuse marks of unfinished work under src."""
    if source.parts[0] == "src":
        for number, line in enumerate(source.text.splitlines(), 1):
            if found := UNFINISHED.search(line):
                yield f"{source.path}:{number}: `{found[0]}`: finish it or leave it out"


def check_vendored(source: Source) -> Iterator[str]:
    """Refuse minified files and vendored folders."""
    if re.search(r"\.min\.(js|css)$", source.path) or {"vendor", "node_modules"} & set(source.parts):
        yield f"{source.path}: third-party code comes from its package, never from a copy"


def check_test_folder(source: Source) -> Iterator[str]:
    """Ask that a test lies in one of the six folders; what tests share (servers, databases, worlds) lies above them."""
    is_test = source.path.endswith(".py") and source.parts[0] == "tests" and source.parts[-1].startswith("test_")
    if is_test and source.parts[1] not in TEST_FOLDERS:
        yield f"{source.path}: tests live in {', '.join(sorted(TEST_FOLDERS))}"


def check_skips(source: Source) -> Iterator[str]:
    """Ask a reason of each skip and each expected failure: what would make it run."""
    if not source.is_python or source.parts[0] != "tests":
        return
    tree = ast.parse(source.text)
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and (kind := _skip_kind(node.func)) and not _has_reason(node, kind):
            yield f"{source.path}:{node.lineno}: `{kind}` without a reason: say what would run it"
        elif (
            isinstance(node, ast.Attribute)
            and id(node) not in called
            and _skip_kind(node) in {"mark.skip", "mark.xfail"}
        ):
            yield f"{source.path}:{node.lineno}: `{_skip_kind(node)}` without a reason: say what would run it"


def _skip_kind(node: ast.expr) -> str | None:
    match node:
        case ast.Attribute(value=ast.Name(id="pytest"), attr="skip" | "xfail" | "importorskip" as name):
            return name
        case ast.Attribute(value=ast.Attribute(attr="mark"), attr="skip" | "skipif" | "xfail" as name):
            return f"mark.{name}"
        case ast.Attribute(value=ast.Name(id="unittest"), attr="skip" | "skipIf" | "skipUnless" as name):
            return f"unittest.{name}"
        case _:
            return None


def _has_reason(call: ast.Call, kind: str) -> bool:
    named = [keyword.value for keyword in call.keywords if keyword.arg == "reason"]
    first = {"skip": 0, "xfail": 0, "mark.skip": 0, "unittest.skip": 0, "unittest.skipIf": 1, "unittest.skipUnless": 1}
    if not named and kind in first:
        named = call.args[first[kind] : first[kind] + 1]
    return bool(named) and not (isinstance(named[0], ast.Constant) and not named[0].value)


RULES: tuple[Callable[[Source], Iterator[str]], ...] = (
    check_names,
    check_module_docstring,
    check_sql_file,
    check_sql_strings,
    check_own_machine,
    check_unfinished,
    check_vendored,
    check_test_folder,
    check_skips,
)

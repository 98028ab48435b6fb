"""`python -m bench [NAME,...]`: run the named benchmarks, or all, each in a process of its own.

A benchmark is a module of this folder that defines `main(argv)`; nothing else is to be registered. It is found by
reading its source, not by importing it, so that one that cannot be imported fails alone and the others still run.
Standard output carries the JSON lines only; what is being run, and what failed, goes to standard error.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
RUN_ONE = "import importlib, sys; importlib.import_module(sys.argv[1]).main(sys.argv[2:])"


def has_main(source: str) -> bool:
    """Tell whether a module's source defines `main` at its top level."""
    return any(isinstance(node, ast.FunctionDef) and node.name == "main" for node in ast.parse(source).body)


def find_benchmarks(folder: Path) -> list[str]:
    """Return the names of the benchmarks in a folder, sorted."""
    files = sorted(path for path in folder.glob("*.py") if not path.name.startswith("_"))
    return [path.stem for path in files if has_main(path.read_text(encoding="utf-8"))]


def run_benchmark(name: str, argv: Sequence[str]) -> int:
    """Run one benchmark in its own process and return its exit status."""
    print(f"bench: {name}", file=sys.stderr, flush=True)
    command = [sys.executable, "-c", RUN_ONE, f"{FOLDER.name}.{name}", *argv]
    return subprocess.run(command, cwd=FOLDER.parent, check=False).returncode


def main(argv: Sequence[str]) -> int:
    """Run what was asked for; return 0 if all went well, 1 if one failed, 2 for a name that does not exist."""
    known = find_benchmarks(FOLDER)
    asked = [name for name in (argv[0].split(",") if argv else []) if name] or known
    unknown = [name for name in asked if name not in known]
    if unknown:
        print(f"no benchmark `{'`, `'.join(unknown)}`; there are: {', '.join(known) or 'none'}", file=sys.stderr)
        return 2
    failed = [name for name in asked if run_benchmark(name, argv[1:]) != 0]
    if failed:
        print(f"bench: failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

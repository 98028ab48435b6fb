"""The entry point `aos`. What it imports before it knows the command is waited for at every call, so it is next to nothing."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command line that this process was called with and return its exit status."""
    arguments = sys.argv[1:]
    if arguments == ["--version"]:
        from importlib.metadata import version

        print(f"aos {version('aos')}")
        return 0
    from aos.boot.command_line import run_command_line

    return run_command_line(arguments)


if __name__ == "__main__":
    raise SystemExit(main())

"""Becomes the program of an MCP server, bounded: run as a file of its own, it imports nothing of AOS.

python launch.py PARENT MEMORY_BYTES COMMAND...

The kernel kills the program when the thread that started it ends; it may hold so much memory in each process, leaves no core
file, and opens no more than so many files.
"""

import ctypes
import os
import resource
import signal
import sys

_PR_SET_PDEATHSIG = 1
_FILES_MAX = 1_024


def main(parent: int, memory_bytes: int, command: list[str]) -> None:
    """Set the bounds and become the program; exit with 127 where it cannot be."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(1)  # the parent was gone before it was asked for
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = _FILES_MAX if hard == resource.RLIM_INFINITY else min(_FILES_MAX, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    if memory_bytes:
        resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))
    try:
        os.execvp(command[0], command)
    except OSError as error:
        sys.stderr.write(f"cannot run {command[0]}: {error.strerror}\n")
        sys.exit(127)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])

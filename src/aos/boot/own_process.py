"""What a process of AOS asks of Linux for itself: to be closed to debuggers, and to end with its supervisor."""

from __future__ import annotations

import ctypes
import os
import signal
from typing import Final

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_DUMPABLE: Final = 4


def close_to_others() -> None:
    """Refuse core dumps, and debuggers of the same account (prctl(2), PR_SET_DUMPABLE): keys are in memory."""
    _prctl(_PR_SET_DUMPABLE, 0)


def end_with(parent: int) -> None:
    """End, with SIGKILL, when the process that started this one ends, however it does; at once where it has already.

    `parent` is the pid it was started by, so that one that died in between is noticed.
    """
    _prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option}) failed")

"""How Python's cycle collector works in processes that serve for long: seldom, and never over what was there at the start.

What the gate and the worker make for each act is freed by its count of references; the collector found next to nothing
and took 15 % of a worker's CPU (`python -m bench orchestration dag`).
"""

from __future__ import annotations

import gc
from typing import Final

YOUNG_OBJECTS: Final = 50_000
"""New containers between two looks at the young; 700 by default."""
LOOKS: Final = (20, 50)
"""Looks at one generation before the next older one is looked at as well."""


def settle_garbage() -> None:
    """Leave out of every later collection what has been loaded so far, and collect seldom."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, *LOOKS)

"""Where the local model of this machine is asked, in a private file: for workers that were started by hand.

What `aos up` starts learns it from its plan. Address and key are new at every `aos up`; whoever reads them keeps them.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from aos.boot.files import read_private, write_private
from aos.boot.paths import Paths
from aos.boot.plan import LocalModel


def write_local_model(paths: Paths, found: LocalModel | None) -> None:
    """Say where it is asked; None: nowhere."""
    if found is None:
        _file(paths).unlink(missing_ok=True)
    else:
        write_private(_file(paths), msgspec.json.encode(found))


def read_local_model(paths: Paths) -> LocalModel | None:
    """Return where it is asked, None where none was started here."""
    content = read_private(_file(paths))
    try:
        return None if content is None else msgspec.json.decode(content, type=LocalModel)
    except msgspec.MsgspecError:
        return None


def _file(paths: Paths) -> Path:
    return paths.aos / "local-model.json"

"""Fixtures of the contract tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.cli_peer import Cli, Peer, serving


@pytest.fixture
def peer() -> Iterator[Peer]:
    with serving() as found:
        yield found


@pytest.fixture
def aos(peer: Peer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Cli:
    return Cli(peer, tmp_path / "config", capsys)

"""Folders for sockets outside of an installation: what killed processes left goes, what anybody uses stays."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from aos.boot.config import Config
from aos.boot.files import make_private_folder
from aos.boot.paths import SPARE_ROOT, find_paths, spare_prefix
from aos.boot.spare_folders import STALE_SECONDS, SpareFolders, remove_dead_sockets, remove_left_over
from tests.folders import new_folder


@pytest.fixture
def root() -> Path:
    """A short folder in the place of /tmp."""
    return new_folder("spare")


def left(root: Path, name: str) -> Path:
    """Return a folder as a killed process leaves it, long ago."""
    folder = root / f"{spare_prefix()}{name}"
    make_private_folder(folder)
    (folder / "hosts-worker.sock").touch()
    os.utime(folder, (0, 0))
    return folder


def test_what_nobody_uses_is_removed_and_nothing_else(root: Path) -> None:
    stale, young, bound, other, linked = (left(root, name) for name in ("stale", "young", "bound", "other", "linked"))
    os.utime(young)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(bound / "control.sock"))
        os.utime(bound, (0, 0))
        stranger = root / "aos-tests-of-somebody"
        make_private_folder(stranger)
        os.utime(stranger, (0, 0))
        linked.rename(root / "elsewhere")
        linked.symlink_to(root / "elsewhere")
        assert remove_left_over(root, keep=[other]) == [stale]
        assert all(folder.is_dir() for folder in (young, bound, other, linked, stranger))
    now = young.stat().st_mtime + STALE_SECONDS + 1
    assert remove_left_over(root, now=now) == [bound, other, young], "the sockets were closed, and it was long ago"


def test_a_folder_that_holds_anything_but_sockets_is_not_ours_to_remove(root: Path) -> None:
    notes = left(root, "notes")
    (notes / "data.txt").write_text("kept", encoding="utf-8")
    os.utime(notes, (0, 0))
    assert remove_left_over(root) == []
    assert sorted(each.name for each in notes.iterdir()) == ["data.txt", "hosts-worker.sock"]


def test_of_the_sockets_of_hosts_those_of_living_processes_stay(root: Path) -> None:
    for name in ("hosts-worker-1.sock", "control.sock"):
        with socket.socket(socket.AF_UNIX) as killed:
            killed.bind(str(root / name))
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(root / "hosts-worker-2.sock"))
        remove_dead_sockets(root)
        remove_dead_sockets(root / "nowhere")
        assert sorted(each.name for each in root.iterdir()) == ["control.sock", "hosts-worker-2.sock"]


def test_a_folder_goes_with_the_last_that_holds_it_and_two_homes_of_one_name_have_two() -> None:
    made = [find_paths(Config(home=new_folder("long").joinpath(*["deeper"] * 30, "home")), {}) for _ in range(2)]
    assert {each.sockets.parent for each in made} == {SPARE_ROOT}
    assert made[0].sockets != made[1].sockets
    folder = made[0].sockets
    make_private_folder(folder)
    first, second = SpareFolders(made[0]), SpareFolders(made[0])
    first.hold()
    second.hold()
    os.utime(folder, (0, 0))
    assert remove_left_over(SPARE_ROOT) == []
    first.release()
    assert folder.is_dir(), "the second still uses it"
    second.release()
    assert not folder.exists()

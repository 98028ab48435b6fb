"""What a message names as the command can be typed where it is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from aos.boot.program import name_of_program


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    root = tmp_path / "clone"
    for path in (root / "aos", root / ".venv/bin/aos", tmp_path / "elsewhere/aos"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (root / "a/b/c").mkdir(parents=True)
    return root


@pytest.mark.parametrize(
    ("folder", "name"),
    [(".", "./aos"), ("a", "../aos"), ("a/b", "../../aos"), ("a/b/c", "{root}/aos"), ("..", "{root}/aos")],
)
def test_in_a_clone_its_own_script_is_named_from_where_one_is(clone: Path, folder: str, name: str) -> None:
    called = clone / ".venv/bin/aos"
    assert name_of_program(called, (clone / folder).resolve(), clone, found=None) == name.format(root=clone)


def test_the_shells_own_aos_is_named_only_where_it_is_this_one(clone: Path) -> None:
    called = clone / ".venv/bin/aos"
    assert name_of_program(called, clone, clone, found=str(called)) == "aos"
    assert name_of_program(called, clone, clone, found=str(clone / "aos")) == "aos"
    assert name_of_program(called, clone, clone, found=str(clone.parent / "elsewhere/aos")) == "./aos"


def test_without_a_clone_the_program_itself_is_named(clone: Path) -> None:
    called, root = clone.parent / "elsewhere/aos", clone.parent / "no-clone"
    assert name_of_program(called, called.parent, root, found=None) == "./aos"
    assert name_of_program(clone / "pytest", clone, root, found=None) == "aos"

"""The commands of a fresh clone: what they are called, and what they say on a machine that lacks something."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bench import __main__ as bench

ROOT = Path(__file__).resolve().parents[2]
GRPC = "src/aos/data_plane/grpc/"
MESSAGES = f"{GRPC}aos_pb2.py"
LOCKS = ("requirements.lock", "requirements-local.lock", "pyproject.toml", "setup.py", f"{GRPC}aos.proto")
"""What decides whether an environment is up to date."""
TARGETS = {"demo", "test", "up", "down", "check", "bench", "test-long", "clean", "format", "help"}


def run(*command: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/nonexistent")}
    return subprocess.run(command, cwd=cwd, env=kept | environment, capture_output=True, text=True, check=False)


def test_make_alone_lists_every_target() -> None:
    listed = run("make", "--no-print-directory", cwd=ROOT).stdout
    assert {line.split()[1] for line in listed.splitlines()} == TARGETS


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    for path in ("aos", ".ci/environment", *LOCKS, "Makefile"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, tmp_path / path)
    return tmp_path


def test_a_machine_without_a_python_is_told_what_to_install(clone: Path) -> None:
    done = run("./aos", "up", cwd=clone, PYTHON="python-that-is-not-there")
    assert done.returncode == 1
    assert "no Python 3.11 or newer found (tried python-that-is-not-there)" in done.stderr
    assert not (clone / ".venv").exists()


def test_a_python_without_venv_is_told_what_to_install(clone: Path) -> None:
    fake = clone / "python-without-venv"
    fake.write_text(f'#!/bin/sh\ncase "$2" in *ensurepip*) exit 1 ;; esac\nexec {sys.executable} "$@"\n')
    fake.chmod(0o755)
    done = run(".ci/environment", cwd=clone, PYTHON=str(fake))
    assert done.returncode == 1
    assert "apt-get install python3-venv" in done.stderr


def test_a_folder_that_is_no_environment_is_left_alone(clone: Path) -> None:
    (clone / "mine/bin").mkdir(parents=True)
    (clone / "mine/bin/python").write_text("not a program")
    done = run(".ci/environment", "mine", cwd=clone)
    assert done.returncode == 1
    assert "is not a virtual environment" in done.stderr
    assert (clone / "mine/bin/python").exists()


def test_the_launcher_runs_the_clone_s_command_from_any_folder(
    clone: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("elsewhere")
    (folder / "link").symlink_to(clone / "aos")
    command = clone / ".venv/bin/aos"
    command.parent.mkdir(parents=True)
    command.write_text('#!/bin/sh\necho "ran in $PWD with $*"\n')
    command.chmod(0o755)
    both = b"".join((clone / name).read_bytes() for name in LOCKS)
    checksum = subprocess.run(["cksum"], input=both, capture_output=True, check=True).stdout.decode().strip()
    (clone / MESSAGES).write_text("")
    (clone / ".venv/.installed").write_text(f"{clone}/.venv {checksum}\n")
    done = run("./link", "runs", "list me", cwd=folder)
    assert (done.returncode, done.stdout) == (0, f"ran in {folder} with runs list me\n")


def test_a_benchmark_is_a_module_with_a_main(tmp_path: Path) -> None:
    samples = {
        "b.py": "def main(argv): ...",
        "a.py": "def main(argv): ...",
        "c.py": "x = 1",
        "_d.py": "def main(): ...",
    }
    for name, text in samples.items():
        (tmp_path / name).write_text(text)
    assert bench.find_benchmarks(tmp_path) == ["a", "b"]


def test_an_unknown_benchmark_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["no_such_one"]) == 2
    assert "no benchmark `no_such_one`" in capsys.readouterr().err

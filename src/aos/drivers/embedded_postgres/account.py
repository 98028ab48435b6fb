"""The account that Postgres runs under: the caller itself, or the system user `aos-postgres` when root calls.

Postgres refuses to run as root. The system user is one for all checkouts of the machine, has no password, no shell and
no home, and is made once, with a line that says so.
"""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from aos.kernel.errors import Misconfigured

SYSTEM_USER = "aos-postgres"
Announce = Callable[[str], None]

_ADMIN_PATH = "/usr/sbin:/sbin:/usr/bin:/bin"
_USERADD_TIMEOUT_SECONDS = 30
_NAME_TAKEN = 9


@dataclass(frozen=True, slots=True)
class Account:
    """Whom Postgres runs as; `is_other` when that is not who we are."""

    name: str
    uid: int
    gid: int
    is_other: bool


def own_account() -> Account:
    """Return the caller's own account.

    Raises Misconfigured for a uid without a passwd entry, since initdb refuses to work for one.
    """
    uid = os.geteuid()
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        raise Misconfigured(
            f"uid `{uid}` has no entry in the passwd database, without which Postgres does not start: add one, "
            "or set AOS_DATABASE_URL to a Postgres server"
        ) from None
    return Account(name=entry.pw_name, uid=uid, gid=os.getegid(), is_other=False)


def system_account(announce: Announce, *, admin_path: str = _ADMIN_PATH) -> Account:
    """Return the system user's account, making it first when the machine has none.

    Raises Misconfigured where it cannot be made.
    """
    found = _find_system_account()
    if found is not None:
        return found
    useradd = shutil.which("useradd", path=admin_path)
    if useradd is None:
        raise Misconfigured(
            f"Postgres does not run as root, and `useradd`, which would make the system user `{SYSTEM_USER}`, is not "
            "installed: install it, start AOS as an ordinary user, or set AOS_DATABASE_URL to a Postgres server"
        )
    made = subprocess.run(
        [useradd, "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent",
         "--shell", "/usr/sbin/nologin", "--comment", "AOS embedded Postgres", SYSTEM_USER],
        capture_output=True, text=True, check=False, timeout=_USERADD_TIMEOUT_SECONDS,
    )  # fmt: skip
    found = _find_system_account()
    if found is None or made.returncode not in (0, _NAME_TAKEN):
        raise Misconfigured(
            f"Postgres does not run as root, and the system user `{SYSTEM_USER}` could not be made "
            f"(`useradd`: {made.stderr.strip()}): start AOS as an ordinary user, or set AOS_DATABASE_URL"
        )
    announce(f"made the system user `{SYSTEM_USER}` with `useradd --system`, because Postgres does not run as root")
    return found


def check_reachable(account: Account, folder: Path) -> None:
    """Raise Misconfigured when the account may not pass one of the folders above, whose modes are never changed."""
    if not account.is_other:
        return
    for parent in reversed(folder.parents):
        if parent.exists() and not _may_enter(account, parent.stat()):
            raise Misconfigured(
                f"the system user `{account.name}` may not enter `{parent}`, so Postgres cannot use `{folder}`: "
                "choose a folder outside it, or set AOS_DATABASE_URL"
            )


def _find_system_account() -> Account | None:
    try:
        entry = pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        return None
    return Account(name=SYSTEM_USER, uid=entry.pw_uid, gid=entry.pw_gid, is_other=True)


def _may_enter(account: Account, entry: os.stat_result) -> bool:
    if entry.st_uid == account.uid:
        return bool(entry.st_mode & stat.S_IXUSR)
    if entry.st_gid == account.gid:
        return bool(entry.st_mode & stat.S_IXGRP)
    return bool(entry.st_mode & stat.S_IXOTH)

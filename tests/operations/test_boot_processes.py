"""What the supervisor goes by: pauses between restarts, sums of connections, states of processes, private files."""

from __future__ import annotations

import json
import logging
import os
import stat
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from aos.boot.addresses import url_of
from aos.boot.canary import judge
from aos.boot.children import PAUSE_SECONDS_MAX, PAUSE_SECONDS_MIN, pause_seconds
from aos.boot.config import Config
from aos.boot.connections import COMMANDS_MAX, SHARES, Kind, check_connections
from aos.boot.files import make_home, make_private_folder, read_private, write_private
from aos.boot.measured import door_of
from aos.boot.passwords import load_passwords
from aos.boot.paths import find_paths
from aos.boot.state import InstallationLock, State, is_supervised, process_state, read_state, write_state
from aos.boot.supervisor import is_loopback, with_port
from aos.drivers.embedded_postgres.layout import SOCKET_PATH_BYTES_MAX
from aos.drivers.ids import StandardIds
from aos.kernel.errors import Conflict, Misconfigured
from aos.kernel.policy.index import PolicySet
from aos.kernel.policy.values import Outcome, Rule
from aos.telemetry.logs import JsonLines


def test_pauses_grow_from_the_least_to_the_most() -> None:
    pauses = [pause_seconds(deaths) for deaths in range(40)]
    assert pauses[0] == PAUSE_SECONDS_MIN
    assert pauses == sorted(pauses)
    assert pauses[-1] == PAUSE_SECONDS_MAX


@pytest.mark.parametrize("spare", [-1, 0, 1])
def test_connections_beyond_the_servers_are_refused_with_their_sum(spare: int) -> None:
    processes = {Kind.CONTROL_PLANE: 1, Kind.DATA_PLANE: 1, Kind.WORKER: 3}
    needed = COMMANDS_MAX + sum(SHARES[kind].total * count for kind, count in processes.items())
    if spare >= 0:
        assert check_connections(processes, available=needed + spare) == needed
        return
    with pytest.raises(Misconfigured) as refused:
        check_connections(processes, available=needed + spare)
    assert f"{needed} database connections" in refused.value.detail
    assert f"3 worker x {SHARES[Kind.WORKER].total}" in refused.value.detail


def test_a_pid_that_was_used_again_is_not_the_process() -> None:
    mine = process_state("test", "test", os.getpid())
    assert mine.alive
    assert not replace(mine, began_seconds=mine.began_seconds - 60).alive
    with subprocess.Popen(["true"]) as child:
        child.wait()
    assert not process_state("gone", "test", child.pid).alive


def test_one_installation_has_one_supervisor(tmp_path: Path) -> None:
    paths = find_paths(Config(home=tmp_path / "home"), {})
    assert not is_supervised(paths)
    make_private_folder(paths.aos)
    lock = InstallationLock(paths)
    me = process_state("supervisor", "supervisor", os.getpid())
    write_state(paths, State("1", "here", me, "127.0.0.1", 1, "http://127.0.0.1:1", "", ready=True, postgres=None))
    assert is_supervised(paths)
    with pytest.raises(Conflict, match=rf"already running at http://127.0.0.1:1 \(pid {os.getpid()}\)"):
        InstallationLock(paths)
    lock.release()
    InstallationLock(paths).release()


@pytest.mark.parametrize("content", [b"", b"{}", b"no json", b'{"version": 1}'])
def test_a_state_that_another_version_wrote_counts_as_none(tmp_path: Path, content: bytes) -> None:
    paths = find_paths(Config(home=tmp_path / "home"), {})
    make_private_folder(paths.aos)
    write_private(paths.state_file, content)
    assert read_state(paths) is None


def test_private_files_are_refused_once_others_may_read_them(tmp_path: Path) -> None:
    write_private(tmp_path / "secret", b"x")
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600
    (tmp_path / "secret").chmod(0o640)
    with pytest.raises(Misconfigured, match="chmod 600"):
        read_private(tmp_path / "secret")


def test_passwords_are_made_once_and_never_shown(tmp_path: Path) -> None:
    made = load_passwords(tmp_path / "passwords.json")
    assert load_passwords(tmp_path / "passwords.json") == made
    assert len({made.owner, made.app, made.machine}) == 3
    assert made.app not in repr(made)
    (tmp_path / "passwords.json").write_text("{}")
    with pytest.raises(Misconfigured, match="restore it"):
        load_passwords(tmp_path / "passwords.json")


@pytest.mark.parametrize("depth", [1, 30])
def test_sockets_have_paths_that_the_kernel_takes(tmp_path: Path, depth: int) -> None:
    home = tmp_path.joinpath(*["deeper"] * depth)
    paths = find_paths(Config(home=home), {})
    for socket in (paths.control_socket, paths.hosts_socket("worker-4194304")):
        assert len(os.fsencode(socket)) <= SOCKET_PATH_BYTES_MAX


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:1"),
        ("0.0.0.0", "http://127.0.0.1:1"),
        ("::", "http://[::1]:1"),
        ("aos.example", "http://aos.example:1"),
    ],
)
def test_the_address_shown_is_one_that_can_be_opened(host: str, url: str) -> None:
    assert url_of(Config(host=host, port=1)) == url


@pytest.mark.parametrize(
    ("host", "alone"),
    [("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False)],
)
def test_only_loopback_addresses_go_without_a_warning(host: str, *, alone: bool) -> None:
    assert is_loopback(host) is alone


def test_a_moved_server_keeps_login_and_database() -> None:
    moved = with_port("user=app password=secret host=/run/x port=1 dbname=aos", 2)
    assert sorted(moved.split()) == ["dbname=aos", "host=/run/x", "password=secret", "port=2", "user=app"]


@pytest.mark.parametrize(
    ("path", "door"),
    [
        ("/tools/payments.create/call", "tools"),
        ("/tools", "control-plane"),
        ("/tools/payments.create", "control-plane"),
        ("/v1/chat/completions", "models"),
        ("/agents", "control-plane"),
        ("/", "control-plane"),
    ],
)
def test_requests_are_counted_by_a_closed_set_of_doors(path: str, door: str) -> None:
    assert door_of(path) == door


def test_canaries_hold_against_policies_that_allow_everything() -> None:
    everything = Rule("allow-everything", 1, Outcome.ALLOW, ("*",), ("*",))
    now = datetime(2026, 1, 30, tzinfo=UTC)
    assert judge(PolicySet((everything,)), StandardIds().new(), now) == []


def test_a_log_line_is_one_json_object_with_its_extra_fields() -> None:
    record = logging.LogRecord("aos.test", logging.WARNING, __file__, 1, "said %s", ("so\nand so",), None)
    record.canary = "a paused agent"
    line = JsonLines("worker").format(record)
    found = json.loads(line)
    assert "\n" not in line
    assert (found["level"], found["process"], found["message"]) == ("warning", "worker", "said so\nand so")
    assert found["canary"] == "a paused agent"
    assert found["time"].endswith("Z")


def test_an_empty_folder_of_ones_own_is_closed_and_one_that_holds_something_is_not_touched(tmp_path: Path) -> None:
    empty, full = tmp_path / "empty", tmp_path / "full"
    for folder in (empty, full):
        folder.mkdir()
        folder.chmod(0o755)
    (full / "kept").touch()
    for folder in (empty, full):
        make_home(folder)
    assert [stat.S_IMODE(folder.stat().st_mode) for folder in (empty, full)] == [0o700, 0o755]

"""`aos schedules` and `aos hooks` against the real control plane."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from aos.control_plane.binding import Services, bind
from aos.operations.bridge import Bridge, open_hot
from aos.store.hot.database import DatabaseConfig
from tests.contract.cli_peer import Cli, Peer
from tests.contract.test_cli_against_rest import done, listening
from tests.planes import Plane


@pytest.fixture
def real(plane: Plane, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Cli]:
    """`aos`, signed in to a control plane that can start runs, with one agent."""
    bridge = Bridge(lambda: open_hot(DatabaseConfig(plane.database.app, plane.database.machine), plane.drivers))
    bind(Services(plane.drivers, bridge=bridge))
    assert plane.post("/agents", {"name": "finance", "type": "functional"}).status_code == 201
    with listening(plane.client._transport.app) as url:  # type: ignore[attr-defined]
        yield Cli(Peer(url), tmp_path / "config", capsys, token=plane.token)
    bridge.close()


def test_a_schedule_lives_its_life(real: Cli) -> None:
    created = (
        "schedules",
        "create",
        "nightly",
        "30 2 * * MON-FRI",
        "--agent",
        "finance",
        "--timezone",
        "Europe/Berlin",
    )
    assert "nightly" in done(real, *created, "--input", '{"m": "${due.month}"}', "--overlap", "allow")
    assert real(*created).status == 6
    assert real("schedules", "create", "bad", "* * *", "--agent", "finance").status == 2
    assert "30 2 * * MON-FRI" in done(real, "schedules", "list")
    assert json.loads(done(real, "schedule", "show", "nightly", "--json"))["input"] == {"m": "${due.month}"}
    lines = done(real, "schedules", "next", "nightly", "3").splitlines()
    assert len(lines) == 3
    assert all(" 02:30 CE" in line for line in lines)
    assert "and so on, 5 a week" in real("schedules", "next", "nightly", "3").err
    assert len(json.loads(done(real, "schedules", "next", "nightly", "3", "--json"))["items"]) == 3
    assert "has started" in done(real, "schedules", "run", "nightly")
    assert done(real, "schedules", "pause", "nightly") == "schedule nightly is paused\n"
    assert "paused" in done(real, "schedules", "next", "nightly")
    assert done(real, "schedules", "resume", "nightly").startswith("schedule nightly goes on; next in ")
    assert done(real, "schedules", "delete", "nightly", "--yes") == "schedule nightly has ended\n"
    assert real("schedules", "show", "nightly").status == 3


def test_a_hook_prints_its_secret_where_it_is_made_and_nowhere_else(real: Cli) -> None:
    made = json.loads(done(real, "hooks", "create", "invoices", "--agent", "finance", "--type", "invoice.*", "--json"))
    assert made["secret"].startswith("whsec_")
    assert made["url"].endswith(made["path"])
    assert made["accepts"] == {"types": ["invoice.*"], "sources": []}
    shown = done(real, "hooks", "show", "invoices") + done(real, "hooks", "list") + done(real, "hook", "list", "--json")
    assert "whsec_" not in shown
    assert "whsec_" in done(real, "hooks", "rotate", "invoices")
    assert done(real, "hooks", "pause", "invoices") == "hook invoices is paused\n"
    assert done(real, "hooks", "resume", "invoices") == "hook invoices is open\n"
    unasked = real("hooks", "delete", "invoices")
    assert (unasked.status, "--yes" in unasked.err) == (2, True), "nobody sits at a terminal to be asked"
    assert done(real, "hooks", "delete", "invoices", "--yes") == "hook invoices is closed\n"
    assert real("hooks", "show", "invoices").status == 3


def test_a_wrong_cron_line_in_a_manifest_has_its_place(real: Cli, tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text("aos: 1\nschedules:\n  nightly:\n    agent: finance\n    cron: 0 0 31 2 *\n")
    refused = real("apply", "-f", str(path))
    assert refused.status == 2
    assert "wrong.yaml:5:11: /schedules/nightly/cron" in refused.err

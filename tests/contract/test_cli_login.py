"""Signing in from the command line: what is kept of it, for whom, and the way into the console."""

from __future__ import annotations

import io
import stat

import pytest

from aos.boot.command_line import open_page
from tests.contract.cli_peer import Cli, Peer


def test_a_login_is_kept_for_its_owner_alone(aos: Cli, peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    aos.token = ""
    peer.give("POST /people/link", {"token": "aosp_new"})
    peer.give("GET /whoami", {"person": {"email": "maria@larkspur.example"}, "roles": ["admin"]})
    assert aos("login", "https://x.example/link/abc").status == 0
    kept = aos.home / "credentials.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert "maria@larkspur.example" in aos("whoami").out
    assert peer.asked[-1].headers["authorization"] == "Bearer aosp_new"

    kept.chmod(0o644)
    assert "chmod 600" in aos("whoami").err


def test_a_token_is_read_from_standard_input_and_never_shown(
    aos: Cli, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("aosp_secret\n"))
    peer.give("GET /whoami", {"person": {"email": "maria@larkspur.example"}, "roles": ["admin"]})
    done = aos("login", "--token-stdin")
    assert done.status == 0
    assert "aosp_secret" not in done.out + done.err


def test_a_login_that_the_server_refuses_is_not_kept(aos: Cli, peer: Peer) -> None:
    peer.give("POST /people/link", {"token": "aosp_new"})
    peer.refuse("GET /whoami", 401, "Not signed in")
    assert aos("login", "link").status == 8
    assert not (aos.home / "credentials.json").exists()


def test_the_console_opens_in_the_browser(aos: Cli, peer: Peer) -> None:
    aos.token = ""
    assert aos("login", "--open").status == 0
    assert aos.opened == [f"{peer.url}/console/"]


def test_who_is_signed_in_here_is_signed_in_to_the_console_too(aos: Cli, peer: Peer) -> None:
    peer.give("GET /whoami", {"id": "01a20915-e1a4-74ed-abc1-13f62846422f", "email": "maria@larkspur.example"})
    peer.give("POST /people/01a20915-e1a4-74ed-abc1-13f62846422f/link", {"link": "aosl_own"})
    assert aos("login", "--open").status == 0
    assert aos.opened == [f"{peer.url}/console/sign-in?link=aosl_own"]


def test_a_login_that_replaces_another_persons_says_so(aos: Cli, peer: Peer) -> None:
    aos.token = ""
    peer.give("POST /people/link", {"token": "aosp_new"})
    peer.give("GET /whoami", {"email": "maria@larkspur.example", "roles": ["admin"]})
    peer.give("GET /whoami", {"email": "ben@larkspur.example", "roles": ["admin"]})
    assert aos("login", "link").err == ""
    done = aos("login", "link")
    assert done.status == 0
    assert "maria@larkspur.example was signed in here until now" in done.err


def test_without_a_browser_the_address_is_said_whole_and_by_itself(aos: Cli, peer: Peer) -> None:
    link = f"{peer.url}/console/sign-in?link={'x' * 300}"
    aos.browser = False
    done = aos("login", "--open", link)
    assert (done.status, done.out) == (0, f"{link}\n")
    assert "there is no browser here: open this address" in done.err
    assert aos("login", "--open", link, "--json").json == {"opened": False, "url": link}


@pytest.mark.parametrize("environment", [{}, {"DISPLAY": ""}, {"TERM": "xterm"}])
def test_no_browser_is_looked_for_where_there_is_no_screen(environment: dict[str, str]) -> None:
    assert open_page(environment, "http://127.0.0.1:1/") is False

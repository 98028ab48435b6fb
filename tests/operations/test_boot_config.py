"""The settings: each declared once, parsed or refused by name, documented, and handed on to processes without secrets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from aos.boot.addresses import private_hosts_of
from aos.boot.config import Config, read_config, settings_table, unknown_settings
from aos.boot.environment import child_environment
from aos.boot.reference import pages
from aos.kernel.errors import Misconfigured
from aos.kernel.private_hosts import LOOPBACK

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("name", "text", "field", "value"),
    [
        ("AOS_PORT", "9000", "port", 9000),
        ("AOS_PORT", " 9000 ", "port", 9000),
        ("AOS_PORT", "", "port", 8470),
        ("AOS_HOME", "/srv/aos", "home", Path("/srv/aos")),
        ("AOS_AGENT_PATH", "/a:/b", "agent_path", (Path("/a"), Path("/b"))),
        ("AOS_AGENT_ENV", "ERP_URL, ERP_USER", "agent_env", ("ERP_URL", "ERP_USER")),
        ("AOS_ALLOW_RUN_CLOCK", "YES", "allow_run_clock", True),
        ("AOS_ALLOW_RUN_CLOCK", "0", "allow_run_clock", False),
        ("AOS_ALLOW_INLINE", "", "allow_inline", False),
        ("AOS_LOG_LEVEL", "Warning", "log_level", "warning"),
    ],
)
def test_a_setting_is_read_as_its_type(name: str, text: str, field: str, value: Any) -> None:
    assert getattr(read_config({name: text}), field) == value


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("AOS_PORT", "http", "AOS_PORT cannot be `http`: give a whole number from 1 to 65535"),
        ("AOS_PORT", "65536", "AOS_PORT cannot be `65536`"),
        ("AOS_PORT", "٣", "AOS_PORT cannot be"),
        ("AOS_WORKERS", "-1", "AOS_WORKERS cannot be `-1`"),
        ("AOS_ALLOW_RUN_CLOCK", "maybe", "say `true` or `false`"),
        ("AOS_LOG_FORMAT", "xml", "give one of json, text"),
        ("AOS_PRIVATE_HOSTS", "10.2.0.1/16", "`10.2.0.1/16` opens no host"),
    ],
)
def test_a_bad_value_is_refused_by_its_settings_name(name: str, text: str, why: str) -> None:
    with pytest.raises(Misconfigured) as refused:
        read_config({name: text})
    assert why in refused.value.detail


def test_relative_folders_are_those_of_where_aos_was_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert read_config({"AOS_HOME": "here"}).home == tmp_path / "here"


@pytest.mark.parametrize(
    ("names", "warnings"),
    [
        (["AOS_PORT", "HOME", "XAOS_PRT"], []),
        (["AOS_PROT"], ["AOS_PROT is no setting of AOS: did you mean AOS_PORT?"]),
        (["AOS_QQQQQQQQ"], ["AOS_QQQQQQQQ is no setting of AOS: `aos config --all` lists the settings"]),
    ],
)
def test_an_unknown_variable_is_named_with_the_closest_one(names: list[str], warnings: list[str]) -> None:
    assert list(unknown_settings(dict.fromkeys(names, "1"))) == warnings


def test_a_process_reads_the_settings_that_the_supervisor_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    given = {"AOS_HOME": "here", "AOS_PORT": "9000", "AOS_AGENT_PATH": "a:b", "AOS_ALLOW_RUN_CLOCK": "1", "HOME": "/h"}
    config = read_config(given)
    handed = child_environment(config, given, metrics=tmp_path / "metrics")
    monkeypatch.chdir("/")
    assert read_config(handed) == config
    assert handed["HOME"] == "/h"


def test_no_secret_is_handed_on_or_shown() -> None:
    given = {"AOS_DATABASE_URL": "postgresql://login:hidden@host/aos", "AOS_TOKEN": "aosp_hidden"}
    config = read_config(given)
    assert "hidden" not in repr(config)
    assert "hidden" not in repr(child_environment(config, given, metrics=Path("/m")))


@pytest.mark.parametrize(
    ("given", "opened"),
    [
        ({}, LOOPBACK),
        ({"AOS_HOST": "::1", "AOS_PUBLIC_URL": "http://localhost:8470"}, LOOPBACK),
        ({"AOS_DATABASE_URL": "postgresql://aos:pw@127.0.0.1:5433/aos"}, LOOPBACK),
        ({"AOS_DATABASE_URL": "postgresql:///aos?host=/run/postgresql"}, LOOPBACK),
        ({"AOS_HOST": "0.0.0.0"}, ()),
        ({"AOS_HOST": "10.0.0.7"}, ()),
        ({"AOS_PUBLIC_URL": "https://aos.larkspur.example"}, ()),
        ({"AOS_DATABASE_URL": "postgresql://aos:pw@db.larkspur.example/aos"}, ()),
        ({"AOS_DATABASE_URL": "host=127.0.0.1,db.larkspur.example dbname=aos"}, ()),
        ({"AOS_PRIVATE_HOSTS": "none"}, ("none",)),
        ({"AOS_HOST": "0.0.0.0", "AOS_PRIVATE_HOSTS": "10.2.0.0/16, db.internal:5432"}, ("10.2.0.0/16", "db.internal:5432")),
    ],
)  # fmt: skip
def test_private_hosts_are_this_machine_at_most_unless_the_operator_says_more(
    given: dict[str, str], opened: tuple[str, ...]
) -> None:
    config = read_config(given)
    assert private_hosts_of(config) == opened
    handed = read_config(child_environment(config, given, metrics=Path("/m")))
    assert handed.private_hosts == config.private_hosts


def test_every_field_of_the_value_is_a_setting_with_a_meaning() -> None:
    table = settings_table()
    assert [setting.name for setting in table] == [f"AOS_{name.upper()}" for name in Config.__slots__]
    assert all(setting.meaning.endswith(".") and setting.shown_default for setting in table)


@pytest.mark.parametrize("path", [*pages()])
def test_the_reference_is_current(path: str) -> None:
    assert (ROOT / path).read_text("utf-8") == pages()[path], "run `python -m aos.boot.reference`"

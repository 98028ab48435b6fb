"""What an operator's list of private hosts opens, and what it does not."""

from __future__ import annotations

import pytest

from aos.kernel.private_hosts import LOOPBACK, PrivateHosts, read_private_hosts


@pytest.mark.parametrize(
    ("entries", "host", "port", "address", "opens"),
    [
        ((), "db.internal", 5432, "10.0.0.5", False),
        (LOOPBACK, "localhost", 80, "127.0.0.1", True),
        (LOOPBACK, "localhost", 80, "127.9.9.9", True),
        (LOOPBACK, "localhost", 80, "::1", True),
        (LOOPBACK, "localhost", 80, "::ffff:127.0.0.1", True),
        (LOOPBACK, "zero", 80, "0.0.0.0", False),
        (LOOPBACK, "metadata", 80, "169.254.169.254", False),
        (("10.2.0.0/16",), "db.internal", 5432, "10.2.9.9", True),
        (("10.2.0.0/16",), "db.internal", 5432, "10.3.9.9", False),
        (("10.2.0.5:5432",), "db.internal", 5432, "10.2.0.5", True),
        (("10.2.0.5:5432",), "db.internal", 22, "10.2.0.5", False),
        (("10.2.0.0/16:5432",), "db.internal", 22, "10.2.0.5", False),
        (("[fd00::1]:443",), "db.internal", 443, "fd00::1", True),
        (("[fd00::1]:443",), "db.internal", 80, "fd00::1", False),
        (("fd00::/8",), "db.internal", 80, "fd00::1%eth0", True),
        (("db.internal",), "DB.internal", 1, "10.0.0.5", True),
        (("DB.internal:5432",), "db.internal", 5432, "10.0.0.5", True),
        (("db.internal:5432",), "db.internal", 5433, "10.0.0.5", False),
        (("db.internal",), "evil.db.internal", 5432, "10.0.0.5", False),
        (("internal",), "db.internal", 5432, "10.0.0.5", False),
    ],
)
def test_an_entry_opens_what_it_names_and_nothing_beside_it(
    entries: tuple[str, ...], host: str, port: int, address: str, opens: bool
) -> None:
    assert read_private_hosts(entries).opens(host, port, address=address) is opens


def test_one_word_opens_nothing() -> None:
    assert read_private_hosts(("none",)) == PrivateHosts()


@pytest.mark.parametrize(
    "entry",
    ["10.2.0.1/16", "10.2.0.0/33", "*", "*.internal", "db internal", "http://db/", "db:0", "db:99999", "999.1.1.1", "", "fd00::zz", "none"],
)  # fmt: skip
def test_an_entry_that_means_nothing_is_refused(entry: str) -> None:
    with pytest.raises(ValueError, match="opens no host|names a port"):
        read_private_hosts((entry, "db.internal"))

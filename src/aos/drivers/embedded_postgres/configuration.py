"""The server's settings and who may connect, as text; both are written anew at each start.

Rules: loopback and the private socket only, a password always (scram-sha-256), and no row, parameter or statement of a
user in the server's log: content is stored encrypted and must be erasable in one place.
"""

from __future__ import annotations

from collections.abc import Mapping

from aos.drivers.embedded_postgres.layout import Layout
from aos.drivers.embedded_postgres.ports import LOOPBACK

CONNECTIONS_MAX = 100
"""What boot's sum of all processes' connections must stay below."""

ACCESS = f"""\
# written by AOS at each start
local all all                 scram-sha-256
host  all all {LOOPBACK}/32   scram-sha-256
"""


def server_settings(layout: Layout, port: int) -> dict[str, str]:
    """Return every setting that differs from Postgres's own, the layout's overrides included."""
    settings = {
        "listen_addresses": LOOPBACK,
        "port": str(port),
        "unix_socket_directories": _list_entry(str(layout.sockets)),
        "unix_socket_permissions": "0700",
        "hba_file": str(layout.access_file),
        "password_encryption": "scram-sha-256",
        "max_connections": str(CONNECTIONS_MAX),
        "shared_buffers": "128MB",
        "max_wal_size": "1GB",
        "fsync": "on",
        "jit": "off",
        "timezone": "UTC",
        "lc_messages": "C",
        "logging_collector": "on",
        "log_directory": str(layout.log),
        "log_filename": "postgresql-%a.log",
        "log_file_mode": "0600",
        "log_rotation_age": "1d",
        "log_rotation_size": "0",
        "log_truncate_on_rotation": "on",
        "log_timezone": "UTC",
        "log_line_prefix": "%m [%p] ",
        "log_error_verbosity": "terse",
        "log_min_error_statement": "panic",
        "log_parameter_max_length_on_error": "0",
    }
    return settings | dict(layout.overrides)


def configuration_text(settings: Mapping[str, str]) -> str:
    """Return the settings in the syntax of postgresql.conf."""
    lines = [f"{name} = '{_quoted(value)}'" for name, value in settings.items()]
    return "\n".join(["# written by AOS at each start", *lines, ""])


def _list_entry(folder: str) -> str:
    """Return a folder as one entry of a list, in which a comma would otherwise begin the next."""
    return '"' + folder.replace('"', '""') + '"'


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "''")

"""Embedded Postgres under AOS's own supervisor: the server of a machine that has none.

    layout = locate(Settings(checkout=..., data_home=...))
    postgres = start(layout)            # ready; this process supervises it
    postgres.superuser_dsn()            # ...
    postgres.stop()

Rules: the environment is read by the caller, never here. Parents' permissions are never changed. Nothing is trusted
that another user could have put there. What cannot be mended says what to do, AOS_DATABASE_URL included.
"""

from aos.drivers.embedded_postgres.binaries import Binaries, installed_binaries
from aos.drivers.embedded_postgres.configuration import CONNECTIONS_MAX
from aos.drivers.embedded_postgres.endpoint import Endpoint
from aos.drivers.embedded_postgres.initialise import SUPERUSER
from aos.drivers.embedded_postgres.layout import Layout, Settings, locate, user_data_home
from aos.drivers.embedded_postgres.processes import StopMode
from aos.drivers.embedded_postgres.server import RunningPostgres, find_running, start, stop_left_over
from aos.drivers.embedded_postgres.throwaway import throwaway_cluster

__all__ = [
    "CONNECTIONS_MAX",
    "SUPERUSER",
    "Binaries",
    "Endpoint",
    "Layout",
    "RunningPostgres",
    "Settings",
    "StopMode",
    "find_running",
    "installed_binaries",
    "locate",
    "start",
    "stop_left_over",
    "throwaway_cluster",
    "user_data_home",
]

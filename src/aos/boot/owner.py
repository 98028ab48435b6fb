"""The owner's login for boot's own short commands; no running process is given it."""

from __future__ import annotations

from aos.boot.config import Config
from aos.boot.passwords import load_passwords
from aos.boot.paths import Paths
from aos.drivers.embedded_postgres.server import find_running
from aos.kernel.errors import Unavailable
from aos.store.server import DATABASE, OWNER


def owner_login(config: Config, paths: Paths) -> str:
    """Return the DSN of the owner. Raises Unavailable where the embedded Postgres does not run."""
    if config.database_url:
        return config.database_url
    endpoint = find_running(paths.postgres)
    if endpoint is None:
        raise Unavailable("the embedded Postgres is not running: `aos up` starts it")
    return endpoint.dsn(DATABASE, user=OWNER, password=load_passwords(paths.password_file).owner)

"""`aos worker`: one more worker, in the foreground, on a database that AOS serves already; here or on another machine.

It is asked to end by SIGTERM or Ctrl-C: it claims nothing more, lets what runs end and gives back the rest. A second
signal ends it on the spot; its claims are then taken back when their leases run out. Where it works on the Postgres that
`aos up` brings, it ends when that ends.

Another machine needs AOS_DATABASE_URL and the two files that AOS_KEK_FILE and AOS_PASSWORD_FILE name.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

import msgspec

from aos.boot.addresses import private_hosts_of
from aos.boot.broker import broker_of
from aos.boot.by_hand import announced
from aos.boot.config import Config
from aos.boot.connections import Kind
from aos.boot.environment import child_environment
from aos.boot.files import make_home, make_private_folder
from aos.boot.local_address import read_local_model
from aos.boot.own_process import close_to_others
from aos.boot.owner import owner_login
from aos.boot.passwords import load_passwords
from aos.boot.paths import Paths
from aos.boot.plan import Plan, ReadySignal
from aos.boot.postgres import start_preparing
from aos.boot.prepare import Orders, read_answer
from aos.boot.spare_folders import SpareFolders
from aos.boot.worker import Manner, serve
from aos.telemetry.logs import configure_logging


def run_worker(config: Config, paths: Paths, environment: Mapping[str, str], *, keeps_house: bool = True) -> None:
    """Work until asked to end, logging to standard error.

    Raises Unavailable where the database does not answer, Misconfigured where its login, the roles or a key do not fit.
    """
    broker = broker_of(config)
    close_to_others()
    make_home(paths.postgres.folder)
    make_home(paths.aos)
    for folder in (paths.sockets, paths.metrics):
        make_private_folder(folder)
    orders = Orders(
        owner_dsn=owner_login(config, paths),
        superuser_dsn="",
        passwords=load_passwords(paths.password_file),
        processes={Kind.WORKER: 1},
    )
    preparing = start_preparing(os.getpid(), child_environment(config, environment, metrics=paths.metrics))
    prepared = read_answer(preparing.communicate(msgspec.json.encode(orders))[0])
    name = f"worker-{os.getpid()}"
    configure_logging(level=config.log_level, form=config.log_format, process=name)
    logins = prepared.app_dsn, prepared.machine_dsn
    local_model = read_local_model(paths)
    plan = Plan(
        Kind.WORKER, name, 0, config.host, config.port, *logins,
        broker=broker, local_model=local_model, private_hosts=private_hosts_of(config),
    )  # fmt: skip
    spare = SpareFolders(paths)
    spare.hold()
    try:
        with announced(paths, name, embedded=not config.database_url):
            serve(plan, config, ReadySignal(-1), manner=Manner(keeps_house=keeps_house, insist=True))
    finally:
        spare.release()

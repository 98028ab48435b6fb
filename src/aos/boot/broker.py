"""Where the messages of the engine that the settings name go; asked before anything is started."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Final

from aos.boot.config import Config
from aos.kernel.errors import Misconfigured

CELERY: Final = "celery"


def broker_of(config: Config) -> str:
    """Return the broker's URL, empty where the engine needs none.

    Raises Misconfigured where Celery is asked for and is not installed, or has no broker.
    """
    if config.engine != CELERY:
        return ""
    if find_spec("celery") is None:
        raise Misconfigured("the engine `celery` is not installed: `pip install 'aos[celery]'`")
    broker = config.celery_broker or config.redis_url
    if not broker:
        raise Misconfigured("the engine `celery` needs a broker: set AOS_CELERY_BROKER or AOS_REDIS_URL")
    return broker

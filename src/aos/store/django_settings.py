"""Django's settings, derived from one frozen value: the store is the only app, and nothing is read from outside.

Django is set up once in a process. The database is not part of the value: `cold.connection` binds it, since its
login is known only after the migrations have run; until then Django has none, and every statement is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import django
from django.conf import settings
from psycopg.conninfo import conninfo_to_dict

from aos.kernel.errors import Misconfigured

_APP = "aos.store"
_PLACES = {"dbname": "NAME", "user": "USER", "password": "PASSWORD", "host": "HOST", "port": "PORT"}


@dataclass(frozen=True, slots=True)
class DjangoConfig:
    """What the process that serves pages and REST adds to the store's own settings; all of it optional.

    `web` holds settings that belong to the faces alone, by Django's names (templates, middleware, REST_FRAMEWORK).
    """

    secret_key: str = field(default="unused: nothing is signed by Django", repr=False)
    root_urlconf: str = ""
    allowed_hosts: tuple[str, ...] = ()
    web: Mapping[str, Any] = field(default_factory=dict)


_set_up_with: list[DjangoConfig] = []


def set_up_django(config: DjangoConfig | None = None) -> None:
    """Set Django up with `config`, or with the store's own settings where nothing did so before.

    Raises Misconfigured where Django was set up with another value: settings do not change while a process runs.
    """
    if _set_up_with:
        if config is not None and config != _set_up_with[0]:
            raise Misconfigured("Django is already set up with other settings: set it up once, before the migrations")
        return
    chosen = config or DjangoConfig()
    settings.configure(**django_settings(chosen))
    django.setup(set_prefix=False)
    _set_up_with.append(chosen)


def django_settings(config: DjangoConfig) -> dict[str, Any]:
    """Return every setting that differs from Django's own."""
    return {
        **config.web,
        "INSTALLED_APPS": [_APP],
        "AUTH_USER_MODEL": "store.Person",
        "SECRET_KEY": config.secret_key,
        "ROOT_URLCONF": config.root_urlconf,
        "ALLOWED_HOSTS": list(config.allowed_hosts),
        "USE_TZ": True,
        "TIME_ZONE": "UTC",
        "USE_I18N": False,
        "LOGGING_CONFIG": None,
        "DEBUG": False,
    }


def database_settings(dsn: str, *, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return one entry of DATABASES, complete, for a connection string of libpq (URI or key and value)."""
    given = {name: value for name, value in conninfo_to_dict(dsn).items() if value is not None}
    places = {place: str(given.pop(name, "")) for name, place in _PLACES.items()}
    return {
        "ENGINE": "django.db.backends.postgresql",
        **places,
        "OPTIONS": {"application_name": "aos", **given, **options},
        "ATOMIC_REQUESTS": False,
        "AUTOCOMMIT": True,
        "CONN_MAX_AGE": 0,
        "CONN_HEALTH_CHECKS": True,
        "TIME_ZONE": None,
        "TEST": {"CHARSET": None, "COLLATION": None, "MIGRATE": True, "MIRROR": None, "NAME": None},
    }

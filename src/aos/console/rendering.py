"""Templates: one engine of the console's own, so that nothing of it stands in Django's global settings."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from django.template import Context, Engine


@functools.cache
def engine() -> Engine:
    """Return the engine: templates are parsed once, everything is escaped, the console's filters are there in each."""
    folder = str(files("aos.console").joinpath("templates"))
    return Engine(dirs=[folder], builtins=["aos.console.filters"], autoescape=True)


def render(template: str, context: Mapping[str, Any]) -> str:
    """Return a template filled in."""
    return engine().get_template(template).render(Context(dict(context), use_tz=False))

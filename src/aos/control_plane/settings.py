"""Django's settings that belong to the control plane: handed to the store's `set_up_django` by whoever starts it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

ROOT_URLCONF: Final = "aos.control_plane.urls"

WEB: Final[Mapping[str, Any]] = {
    "MIDDLEWARE": [],
    "APPEND_SLASH": False,
    # The views read bodies themselves and refuse what is over the limit before they read it.
    "DATA_UPLOAD_MAX_MEMORY_SIZE": None,
    "REST_FRAMEWORK": {
        "DEFAULT_AUTHENTICATION_CLASSES": ["aos.control_plane.authentication.PersonAuthentication"],
        "DEFAULT_PERMISSION_CLASSES": [],
        "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
        "DEFAULT_PARSER_CLASSES": [],
        "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
        "EXCEPTION_HANDLER": "aos.control_plane.problems.answer_exception",
        "UNAUTHENTICATED_USER": None,
        "UNAUTHENTICATED_TOKEN": None,
    },
    "SPECTACULAR_SETTINGS": {
        "TITLE": "AOS control plane",
        "DESCRIPTION": "What should be true: agents, tools, people, policies, budgets, workflows, and the audit log.",
        "VERSION": "1",
        "OAS_VERSION": "3.1.0",
        "SERVE_INCLUDE_SCHEMA": False,
        "SORT_OPERATION_PARAMETERS": False,
        "POSTPROCESSING_HOOKS": ["aos.control_plane.openapi.add_components"],
        "PREPROCESSING_HOOKS": [],
    },
}

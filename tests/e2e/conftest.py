"""Fixtures that every test of this folder may ask for."""

from __future__ import annotations

from tests.e2e.console_pages import browser, console

__all__ = ["browser", "console"]

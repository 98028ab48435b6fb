"""What stands in the way of tasks of agents elsewhere: warned of when they are applied, refused when they are sent."""

from __future__ import annotations

from collections.abc import Set
from urllib.parse import urlsplit

from aos.kernel.manifest.values import Manifest
from aos.kernel.permitted_hosts import is_permitted


def remote_warnings(after: Manifest, agents: Set[str], *, secrets: Set[str]) -> list[str]:
    """Return a sentence for whatever keeps the agents elsewhere of these names, as they stand in `after`, from their tasks."""
    found: list[str] = []
    for agent in after.agents:
        options = agent.runtime.options if agent.runtime is not None else {}
        url, secret = options.get("url"), options.get("secret")
        if agent.name not in agents or not isinstance(url, str):
            continue
        if not is_permitted(url, after.organization.hosts or ()):
            where = urlsplit(url).netloc
            found.append(
                f"agent `{agent.name}` is at `{where}`: nothing is sent there until `organization.hosts` names it"
            )
        if secret and secret not in secrets:
            told = f"is sent the secret `{secret}`, which is not set: `aos secrets set {secret}`"
            found.append(f"agent `{agent.name}` {told}")
    return found

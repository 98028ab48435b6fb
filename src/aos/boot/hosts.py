"""The host processes of one process of AOS: agents' code and `python:` tools run in them, with a clean environment."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from aos.boot.addresses import url_of
from aos.boot.config import Config
from aos.drivers.hosts.pool import HostPool
from aos.drivers.hosts.values import HostsConfig

_MEGABYTE = 1024 * 1024


@asynccontextmanager
async def open_hosts(
    config: Config, socket_path: Path, environment: Mapping[str, str], *, agent_hosts: int
) -> AsyncIterator[HostPool]:
    """Keep the hosts until the end. They are given the variables that AOS_AGENT_ENV names and no other.

    Raises Misconfigured where one cannot be started.
    """
    pool = HostPool(_settings(config, socket_path, environment, agent_hosts=agent_hosts))
    await pool.start()
    try:
        yield pool
    finally:
        await pool.close()


def _settings(config: Config, socket_path: Path, environment: Mapping[str, str], *, agent_hosts: int) -> HostsConfig:
    socket_path.unlink(missing_ok=True)  # what a killed process left
    return HostsConfig(
        socket_path=socket_path,
        agent_hosts=agent_hosts,
        tool_hosts=config.tool_hosts,
        pass_seconds=config.pass_seconds,
        cpu_seconds_max=config.pass_cpu_seconds,
        memory_bytes_max=config.host_memory_mb * _MEGABYTE,
        recycle_tasks=config.host_tasks,
        recycle_bytes=config.host_keep_mb * _MEGABYTE,
        recycle_seconds=config.host_age_seconds,
        python_path=tuple(str(folder) for folder in config.agent_path),
        variables={
            "AOS_URL": url_of(config),
            **{name: environment[name] for name in config.agent_env if name in environment},
        },
        folder=config.agent_path[0] if config.agent_path and config.agent_path[0].is_dir() else None,
    )

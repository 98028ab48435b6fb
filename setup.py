"""Builds the modules of the gRPC messages from `aos.proto`, which is all that the repository holds of them.

Everything else about the package stands in `pyproject.toml`.
"""

from __future__ import annotations

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

FOLDER = Path("src/aos/data_plane/grpc")


class BuildWithMessages(build_py):
    """Writes `aos_pb2.py` and `aos_pb2.pyi` beside their proto, then builds as usual: wheels and editable installs alike."""

    def run(self) -> None:
        """Build."""
        # grpcio-tools stands in `build-system.requires`: it is there while something is built, and need not be before.
        from grpc_tools import protoc  # noqa: PLC0415

        arguments = ["protoc", f"-I{FOLDER}", f"--python_out={FOLDER}", f"--pyi_out={FOLDER}", "aos.proto"]
        if protoc.main(arguments) != 0:
            raise SystemExit("aos.proto cannot be compiled (see above)")
        super().run()


setup(cmdclass={"build_py": BuildWithMessages})

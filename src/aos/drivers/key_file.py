"""The key-encryption key in a private file outside the database, 0600, made on first use.

The file holds one key a line as `id base64`; the last one wraps, all unwrap, so that a rotation keeps old data keys
readable. Losing the file loses every secret and all content: back it up apart from the database.
"""

from __future__ import annotations

import base64
import hashlib
import os
from pathlib import Path

from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from aos.kernel.errors import Misconfigured

KEY_BYTES = 32


class KeyFile:
    """The `KeyEncryption` port."""

    def __init__(self, path: Path) -> None:
        self._path = path
        if not path.exists():
            _create(path)
        self._keys = _read(path)

    def wrap(self, data_key: bytes) -> tuple[str, bytes]:
        """Wrap under the newest key (RFC 3394)."""
        key_id = next(reversed(self._keys))
        return key_id, aes_key_wrap(self._keys[key_id], data_key)

    def unwrap(self, key_id: str, wrapped: bytes) -> bytes:
        """Unwrap under the key named."""
        if key_id not in self._keys:
            raise Misconfigured(f"key-encryption key `{key_id}` is not in {self._path}: restore that file")
        try:
            return aes_key_unwrap(self._keys[key_id], wrapped)
        except InvalidUnwrap as error:
            raise Misconfigured(f"key-encryption key `{key_id}` does not open this data key") from error


def _create(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = os.urandom(KEY_BYTES)
    line = f"{hashlib.sha256(key).hexdigest()[:12]} {base64.b64encode(key).decode('ascii')}\n"
    partial = path.with_suffix(f".{os.getpid()}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(descriptor, line.encode("ascii"))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    try:
        os.link(partial, path)
    except FileExistsError:
        pass  # another process made it first: that one counts
    finally:
        partial.unlink()


def _read(path: Path) -> dict[str, bytes]:
    if path.stat().st_mode & 0o077:
        raise Misconfigured(f"{path} can be read by others: run `chmod 600 {path}`")
    keys = {}
    for line in path.read_text("ascii").splitlines():
        key_id, _, encoded = line.partition(" ")
        keys[key_id] = base64.b64decode(encoded)
    if not keys:
        raise Misconfigured(f"{path} holds no key: restore it from a backup")
    return keys

"""The Merkle tree of RFC 6962 / RFC 9162: hashes, growth by compact ranges, and both proofs.

What the store keeps, and no more: at level 0 the leaf hashes; at level k the root of each complete subtree of
256**k leaves, numbered from the left. `append_leaves` names the new ones. Every proof is made in two pure steps:
`needed_for_*` lists the stored hashes as ranges (one query), `*_path` computes from what was loaded.
A verifier here returns a plain yes or no and never raises: what it is given comes from outside.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from aos.kernel.errors import AuditBroken, InvalidRequest

HASH_BYTES: Final = 32
LEVEL_HEIGHT: Final = 8
"""Heights between stored levels: each stored hash above level 0 stands for 256 of the level below."""

EMPTY_ROOT: Final = sha256(b"").digest()
"""The root of the tree without leaves (RFC 9162, 2.1.1)."""

StoredHashes = Mapping[tuple[int, int], bytes]
"""Loaded hashes by (level, index)."""


@dataclass(frozen=True, slots=True)
class CompactRange:
    """What a tree needs in order to grow: its size and the roots of its complete subtrees, largest first."""

    size: int = 0
    peaks: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class StoredHash:
    """One hash to store: the root of the `index`-th complete subtree of 256**`level` leaves."""

    level: int
    index: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class HashRange:
    """`count` stored hashes of one level from `start` on: a row range for the store to load."""

    level: int
    start: int
    count: int


def leaf_hash(data: bytes) -> bytes:
    """Return the hash of a leaf's bytes (RFC 9162, 2.1.1)."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node (RFC 9162, 2.1.1)."""
    return sha256(b"\x01" + left + right).digest()


def append_leaves(tree: CompactRange, leaves: Iterable[bytes]) -> tuple[CompactRange, tuple[StoredHash, ...]]:
    """Return the tree with the leaf hashes added, and the subtree roots above level 0 that this completed.

    The leaf hashes themselves (level 0) are not repeated. Needs nothing but the peaks. Raises `AuditBroken` when the
    peaks do not fit the size.
    """
    _check_range(tree)
    size, peaks, completed = tree.size, list(tree.peaks), list[StoredHash]()
    for current in leaves:
        height, position = 0, size
        while position & 1:
            current = sha256(b"\x01" + peaks.pop() + current).digest()
            position >>= 1
            height += 1
            if height % LEVEL_HEIGHT == 0:
                completed.append(StoredHash(height // LEVEL_HEIGHT, position, current))
        peaks.append(current)
        size += 1
    return CompactRange(size, tuple(peaks)), tuple(completed)


def tree_root(tree: CompactRange) -> bytes:
    """Return the root hash of the whole tree; raises `AuditBroken` when the peaks do not fit the size."""
    _check_range(tree)
    return _fold(tree.peaks) if tree.peaks else EMPTY_ROOT


def peaks_bytes(tree: CompactRange) -> bytes:
    """Write the peaks one after the other, the form in which the head is stored beside its size."""
    return b"".join(tree.peaks)


def parse_peaks(size: int, data: bytes) -> CompactRange:
    """Read what `peaks_bytes` wrote; raises `AuditBroken` when the bytes do not fit the size."""
    peaks = tuple(data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES))
    tree = CompactRange(size, peaks)
    _check_range(tree)
    return tree


def needed_for_range(size: int) -> tuple[HashRange, ...]:
    """List the stored hashes from which `range_at` rebuilds the tree of the first `size` leaves."""
    return tuple(_stored(height, index) for height, index in _subtrees(0, size))


def range_at(size: int, loaded: StoredHashes) -> CompactRange:
    """Rebuild the compact range of the first `size` leaves, for an earlier root or after loss of the head."""
    return CompactRange(size, tuple(_subtree_hash(height, index, loaded) for height, index in _subtrees(0, size)))


def needed_for_inclusion(index: int, size: int) -> tuple[HashRange, ...]:
    """List the stored hashes that `inclusion_path` needs; raises `InvalidRequest` for a leaf outside the tree."""
    return _needed(_inclusion_spans(index, size))


def inclusion_path(index: int, size: int, loaded: StoredHashes) -> tuple[bytes, ...]:
    """Return the audit path of leaf `index` in the tree of `size` leaves, from the leaf up (RFC 9162, 2.1.3.1).

    Raises `AuditBroken` naming a stored hash that is not among `loaded`.
    """
    return tuple(_span_hash(low, high, loaded) for low, high in _inclusion_spans(index, size))


def needed_for_consistency(old_size: int, new_size: int) -> tuple[HashRange, ...]:
    """List the stored hashes that `consistency_path` needs; raises `InvalidRequest` when the sizes are not in order."""
    return _needed(_consistency_spans(old_size, new_size))


def consistency_path(old_size: int, new_size: int, loaded: StoredHashes) -> tuple[bytes, ...]:
    """Return the proof that the tree of `new_size` extends that of `old_size` (RFC 9162, 2.1.4.1).

    Empty when the sizes are equal or the old tree is empty. Raises `AuditBroken` naming a stored hash not loaded.
    """
    return tuple(_span_hash(low, high, loaded) for low, high in _consistency_spans(old_size, new_size))


def verify_inclusion(leaf: bytes, index: int, size: int, *, path: Sequence[bytes], root: bytes) -> bool:
    """Say whether the leaf hash stands at `index` under `root` (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size or not _are_hashes(leaf, root, *path):
        return False
    position, last, current = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            return False
        if position & 1 or position == last:
            current = node_hash(sibling, current)
            while position and not position & 1:
                position >>= 1
                last >>= 1
        else:
            current = node_hash(current, sibling)
        position >>= 1
        last >>= 1
    return last == 0 and current == root


def verify_consistency(
    old_size: int, new_size: int, *, old_root: bytes, new_root: bytes, path: Sequence[bytes]
) -> bool:
    """Say whether the newer tree holds the older one unchanged as its beginning (RFC 9162, 2.1.4.2)."""
    if not 0 <= old_size <= new_size or not _are_hashes(old_root, new_root, *path):
        return False
    if old_size == new_size:
        return not path and old_root == new_root
    if old_size == 0:
        return not path and old_root == EMPTY_ROOT
    # A complete old tree is itself the first node, which the proof then leaves out.
    nodes = (old_root, *path) if old_size & (old_size - 1) == 0 else tuple(path)
    if not nodes:
        return False
    position, last = old_size - 1, new_size - 1
    while position & 1:
        position >>= 1
        last >>= 1
    old = new = nodes[0]
    for node in nodes[1:]:
        if last == 0:
            return False
        if position & 1 or position == last:
            old, new = node_hash(node, old), node_hash(node, new)
            while position and not position & 1:
                position >>= 1
                last >>= 1
        else:
            new = node_hash(new, node)
        position >>= 1
        last >>= 1
    return last == 0 and old == old_root and new == new_root


def _inclusion_spans(index: int, size: int) -> list[tuple[int, int]]:
    """List the sibling subtrees of a leaf as half-open leaf intervals, lowest first."""
    if not 0 <= index < size:
        raise InvalidRequest(f"leaf `{index}` is not in a tree of {size} leaves")
    spans, low, high = list[tuple[int, int]](), 0, size
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            spans.append((middle, high))
            high = middle
        else:
            spans.append((low, middle))
            low = middle
    return spans[::-1]


def _consistency_spans(old_size: int, new_size: int) -> list[tuple[int, int]]:
    """List the subtrees of a consistency proof as half-open leaf intervals, lowest first."""
    if not 0 <= old_size <= new_size:
        raise InvalidRequest(f"a tree of {new_size} leaves cannot extend one of `{old_size}`")
    if old_size in (0, new_size):
        return []
    spans, low, high = list[tuple[int, int]](), 0, new_size
    while old_size != high:
        middle = low + _split(high - low)
        if old_size <= middle:
            spans.append((middle, high))
            high = middle
        else:
            spans.append((low, middle))
            low = middle
    if low:
        spans.append((low, high))
    return spans[::-1]


def _split(width: int) -> int:
    """Return the largest power of two below `width`, where the RFC parts a tree."""
    return 1 << ((width - 1).bit_length() - 1)


def _subtrees(low: int, high: int) -> list[tuple[int, int]]:
    """Part an interval that begins at a split into complete subtrees, as (height, index), left to right."""
    found = list[tuple[int, int]]()
    while low < high:
        height = (high - low).bit_length() - 1
        found.append((height, low >> height))
        low += 1 << height
    return found


def _stored(height: int, index: int) -> HashRange:
    """Say which stored hashes make up a complete subtree."""
    level, above = divmod(height, LEVEL_HEIGHT)
    return HashRange(level, index << above, 1 << above)


def _needed(spans: Iterable[tuple[int, int]]) -> tuple[HashRange, ...]:
    """List what to load for the spans, sorted, with neighbouring ranges joined."""
    ranges = sorted(
        (_stored(height, index) for low, high in spans for height, index in _subtrees(low, high)),
        key=lambda part: (part.level, part.start),
    )
    joined = list[HashRange]()
    for part in ranges:
        last = joined[-1] if joined else None
        if last is not None and last.level == part.level and last.start + last.count == part.start:
            joined[-1] = HashRange(last.level, last.start, last.count + part.count)
        else:
            joined.append(part)
    return tuple(joined)


def _span_hash(low: int, high: int, loaded: StoredHashes) -> bytes:
    return _fold([_subtree_hash(height, index, loaded) for height, index in _subtrees(low, high)])


def _subtree_hash(height: int, index: int, loaded: StoredHashes) -> bytes:
    part = _stored(height, index)
    hashes = [_loaded(part.level, at, loaded) for at in range(part.start, part.start + part.count)]
    while len(hashes) > 1:
        hashes = [node_hash(left, right) for left, right in zip(hashes[::2], hashes[1::2], strict=True)]
    return hashes[0]


def _loaded(level: int, index: int, loaded: StoredHashes) -> bytes:
    found = loaded.get((level, index))
    if found is None:
        raise AuditBroken(f"the stored hash {index} of level {level} is missing from the log")
    return found


def _fold(peaks: Sequence[bytes]) -> bytes:
    """Join complete subtrees, largest first, into the hash of what they cover."""
    current = peaks[-1]
    for peak in reversed(peaks[:-1]):
        current = node_hash(peak, current)
    return current


def _check_range(tree: CompactRange) -> None:
    if tree.size < 0 or len(tree.peaks) != tree.size.bit_count() or not _are_hashes(*tree.peaks):
        raise AuditBroken(f"the {len(tree.peaks)} peaks kept of a tree do not fit its size of {tree.size} leaves")


def _are_hashes(*values: bytes) -> bool:
    return all(len(value) == HASH_BYTES for value in values)

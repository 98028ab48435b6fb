"""The tree is that of RFC 6962: known roots, and proofs that agree with a naive recursion over all leaves."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aos.kernel.errors import AuditBroken, InvalidRequest
from aos.kernel.ledger.tree import (
    EMPTY_ROOT,
    CompactRange,
    HashRange,
    append_leaves,
    consistency_path,
    inclusion_path,
    leaf_hash,
    needed_for_consistency,
    needed_for_inclusion,
    needed_for_range,
    parse_peaks,
    peaks_bytes,
    range_at,
    tree_root,
    verify_consistency,
    verify_inclusion,
)

# The leaves and roots that implementations of Certificate Transparency share as a test vector.
LEAVES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def naive_root(leaves: Sequence[bytes]) -> bytes:
    """RFC 6962, 2.1, word for word."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = naive_split(len(leaves))
    return sha256(b"\x01" + naive_root(leaves[:k]) + naive_root(leaves[k:])).digest()


def naive_path(m: int, leaves: Sequence[bytes]) -> list[bytes]:
    """RFC 6962, 2.1.1."""
    if len(leaves) == 1:
        return []
    k = naive_split(len(leaves))
    if m < k:
        return [*naive_path(m, leaves[:k]), naive_root(leaves[k:])]
    return [*naive_path(m - k, leaves[k:]), naive_root(leaves[:k])]


def naive_subproof(m: int, leaves: Sequence[bytes], whole: bool) -> list[bytes]:
    """RFC 6962, 2.1.2."""
    if m == len(leaves):
        return [] if whole else [naive_root(leaves)]
    k = naive_split(len(leaves))
    if m <= k:
        return [*naive_subproof(m, leaves[:k], whole), naive_root(leaves[k:])]
    return [*naive_subproof(m - k, leaves[k:], False), naive_root(leaves[:k])]


def naive_split(n: int) -> int:
    k = 1
    while k * 2 < n:
        k *= 2
    return k


def some_leaves(count: int) -> list[bytes]:
    return [leaf_hash(b"%d" % number) for number in range(count)]


SIZE = 1_300
ALL = some_leaves(SIZE)
STORED = {(0, index): found for index, found in enumerate(ALL)}
STORED |= {(part.level, part.index): part.hash for part in append_leaves(CompactRange(), ALL)[1]}
sizes = st.integers(0, SIZE) | st.sampled_from([255, 256, 257, 511, 512, 513, 1024, 1280])


def loaded(ranges: Sequence[HashRange]) -> dict[tuple[int, int], bytes]:
    """Load exactly what was asked for, so that a proof which needs more fails."""
    return {
        (part.level, at): STORED[part.level, at] for part in ranges for at in range(part.start, part.start + part.count)
    }


@pytest.mark.parametrize("size", range(9))
def test_roots_are_the_known_ones(size: int) -> None:
    leaves = [leaf_hash(bytes.fromhex(leaf)) for leaf in LEAVES[:size]]
    assert tree_root(append_leaves(CompactRange(), leaves)[0]).hex() == ROOTS[size]


@given(st.lists(st.integers(0, 300), max_size=6))
def test_appending_in_any_portions_gives_the_root_of_the_whole(portions: list[int]) -> None:
    tree, leaves = CompactRange(), some_leaves(sum(portions))
    for portion in portions:
        tree, _ = append_leaves(tree, leaves[tree.size : tree.size + portion])
    assert tree.size == len(leaves)
    assert tree_root(tree) == naive_root(leaves)


@given(sizes, sizes)
def test_every_subtree_of_256_is_named_once_when_its_last_leaf_arrives(first: int, second: int) -> None:
    old, _ = append_leaves(CompactRange(), ALL[: min(first, second)])
    new, completed = append_leaves(old, ALL[old.size : max(first, second)])
    assert [(part.level, part.index) for part in completed] == [(1, i) for i in range(old.size // 256, new.size // 256)]
    for part in completed:
        assert part.hash == naive_root(ALL[part.index * 256 : part.index * 256 + 256])


def test_a_subtree_of_65536_leaves_is_named_at_level_2() -> None:
    leaves = some_leaves(65_537)
    old, _ = append_leaves(CompactRange(), leaves[:65_535])
    _, completed = append_leaves(old, leaves[65_535:])
    assert [(part.level, part.index) for part in completed] == [(1, 255), (2, 0)]
    assert completed[1].hash == naive_root(leaves[:65_536])


@given(sizes)
def test_an_earlier_range_is_rebuilt_from_stored_hashes(size: int) -> None:
    tree = range_at(size, loaded(needed_for_range(size)))
    assert tree == append_leaves(CompactRange(), ALL[:size])[0]
    assert tree_root(tree) == naive_root(ALL[:size])


@given(sizes.filter(bool), st.data())
def test_an_inclusion_path_is_that_of_the_rfc_and_verifies(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    path = inclusion_path(index, size, loaded(needed_for_inclusion(index, size)))
    assert list(path) == naive_path(index, ALL[:size])
    assert verify_inclusion(ALL[index], index, size, path=path, root=naive_root(ALL[:size]))


@given(sizes, sizes)
def test_a_consistency_path_is_that_of_the_rfc_and_verifies(first: int, second: int) -> None:
    old, new = sorted((first, second))
    path = consistency_path(old, new, loaded(needed_for_consistency(old, new)))
    assert list(path) == (naive_subproof(old, ALL[:new], True) if old else [])
    old_root, new_root = naive_root(ALL[:old]), naive_root(ALL[:new])
    assert verify_consistency(old, new, old_root=old_root, new_root=new_root, path=path)


@pytest.mark.parametrize("size", range(1, 20))
def test_every_leaf_of_every_small_tree_is_proved_at_its_own_index_only(size: int) -> None:
    root = naive_root(ALL[:size])
    for index in range(size):
        path = naive_path(index, ALL[:size])
        for claimed in range(size + 2):
            found = verify_inclusion(ALL[index], claimed, size, path=path, root=root)
            assert found == (claimed == index)


def flip(value: bytes, bit: int) -> bytes:
    return (int.from_bytes(value, "big") ^ 1 << bit).to_bytes(len(value), "big")


@given(st.integers(1, SIZE), st.data())
def test_one_bit_changed_anywhere_breaks_an_inclusion_proof(size: int, data: st.DataObject) -> None:
    index, bit = data.draw(st.integers(0, size - 1)), data.draw(st.integers(0, 255))
    root, leaf = naive_root(ALL[:size]), ALL[index]
    path = naive_path(index, ALL[:size])
    assert not verify_inclusion(flip(leaf, bit), index, size, path=path, root=root)
    assert not verify_inclusion(leaf, index, size, path=path, root=flip(root, bit))
    for at, step in enumerate(path):
        altered = [*path[:at], flip(step, bit), *path[at + 1 :]]
        assert not verify_inclusion(leaf, index, size, path=altered, root=root)


@given(sizes, sizes, st.integers(0, 255))
def test_one_bit_changed_anywhere_breaks_a_consistency_proof(first: int, second: int, bit: int) -> None:
    old, new = sorted((first, second))
    old_root, new_root = naive_root(ALL[:old]), naive_root(ALL[:new])
    path = naive_subproof(old, ALL[:new], True) if old else []
    assert not verify_consistency(old, new, old_root=flip(old_root, bit), new_root=new_root, path=path)
    if old:
        assert not verify_consistency(old, new, old_root=old_root, new_root=flip(new_root, bit), path=path)
    for at, step in enumerate(path):
        altered = [*path[:at], flip(step, bit), *path[at + 1 :]]
        assert not verify_consistency(old, new, old_root=old_root, new_root=new_root, path=altered)


@given(st.integers(1, SIZE), st.data())
def test_a_path_too_long_or_too_short_proves_nothing(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    root, path = naive_root(ALL[:size]), naive_path(index, ALL[:size])
    assert not verify_inclusion(ALL[index], index, size, path=[*path, root], root=root)
    assert not path or not verify_inclusion(ALL[index], index, size, path=path[:-1], root=root)
    assert not verify_inclusion(ALL[index], index, size, path=[*path[:-1], b"short"], root=root)


def test_a_range_to_load_is_asked_for_once_and_joined_with_its_neighbour() -> None:
    ranges = needed_for_inclusion(300, SIZE)
    wanted = [at for part in ranges for at in ((part.level, i) for i in range(part.start, part.start + part.count))]
    assert len(wanted) == len(set(wanted))
    assert len(needed_for_inclusion(123_456, 1_000_000)) <= 8
    assert sum(part.count for part in needed_for_inclusion(123_456, 1_000_000)) < 3 * 256


def test_a_stored_hash_that_is_gone_is_named() -> None:
    missing = loaded(needed_for_inclusion(300, SIZE))
    missing.pop((0, 301))
    with pytest.raises(AuditBroken, match="stored hash 301 of level 0"):
        inclusion_path(300, SIZE, missing)


@pytest.mark.parametrize(("index", "size"), [(0, 0), (-1, 5), (5, 5)])
def test_a_leaf_outside_the_tree_has_no_proof(index: int, size: int) -> None:
    with pytest.raises(InvalidRequest):
        needed_for_inclusion(index, size)
    assert not verify_inclusion(ALL[0], index, size, path=[], root=ALL[0])


@pytest.mark.parametrize(("old", "new"), [(-1, 5), (6, 5)])
def test_a_tree_cannot_shrink(old: int, new: int) -> None:
    with pytest.raises(InvalidRequest):
        needed_for_consistency(old, new)
    assert not verify_consistency(old, new, old_root=EMPTY_ROOT, new_root=EMPTY_ROOT, path=[])


def test_peaks_that_do_not_fit_the_size_are_refused() -> None:
    with pytest.raises(AuditBroken):
        append_leaves(CompactRange(3, (ALL[0],)), ALL[:1])


@given(sizes)
def test_a_head_reads_back_from_its_stored_bytes(size: int) -> None:
    tree, _ = append_leaves(CompactRange(), ALL[:size])
    assert parse_peaks(size, peaks_bytes(tree)) == tree
    with pytest.raises(AuditBroken):
        parse_peaks(size, peaks_bytes(tree) + b"x")

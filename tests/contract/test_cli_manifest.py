"""A manifest that cannot be applied is refused with file, line and column, and nothing is changed; a good one is applied."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from aos.boot.config import Config
from aos.boot.entries import find_entry_problems
from aos.cli.config import LocalEntries
from aos.cli.failures import CliError
from aos.cli.manifest_files import BYTES_MAX, read_manifest_files, read_manifest_text
from tests.contract.cli_peer import Cli, Peer

GOOD = """\
aos: 1
# who acts
agents:
  finance:
    type: functional
    tools: ["erp.*"]
policies:
  - id: none
    outcome: deny
"""
CHANGES = [
    {"mark": "+", "kind": "agent", "name": "finance", "detail": "functional"},
    {"mark": "!", "kind": "policy", "name": "none", "detail": "a new rule that allows"},
]


@pytest.fixture
def manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "aos.yaml"
    path.write_text(GOOD)
    return path


def bomb() -> str:
    levels = ["a: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    levels += [f"b{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    return "\n".join(levels)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("aos: 1\nagents:\n\tfinance: {}\n", "aos.yaml:3:1: a tab cannot indent"),
        ("aos: 1\nagents:\n  a:\n    type: x\n   owner: y\n", "aos.yaml:5:4: not YAML: the indentation does not fit"),
        ("aos: 1\nagents: {a: [1, 2}\n", "aos.yaml:2:18: not YAML: expected ',' or ']'"),
        ("aos: 1\nagents: 'a\n", "not YAML: the text ends too soon"),
        ("aos: 1\ngoal: a: b\n", "aos.yaml:2:8: not YAML: a `:` is not allowed here"),
        (b"aos: 1\nagents: \xff\n", "aos.yaml:2:9: byte 0xff is not UTF-8"),
        (b"aos: 1\nagents: a\x00b\n", "aos.yaml:2:10: a character that YAML does not allow"),
        ("aos: 1\nagents: !!python/object:os.system x\n", "aos.yaml:2:9: the tag"),
        ("aos: 1\nagents: *x\n", "aos.yaml:2:9: the alias `*x` names no anchor"),
        ("aos: 1\nagents: &x {a: *x}\n", "aos.yaml:2:16: the alias `*x` names no anchor"),
        ("aos: 1\naos: 1\n", "aos.yaml:2:1: `aos` stands here twice: first at aos.yaml:1:1"),
        ("aos: 1\n---\naos: 1\n", "aos.yaml:2:1: a manifest is one document"),
        ("- aos: 1\n", "aos.yaml:2:1: a manifest is an object"),
        ("aos: 1\n? [a]\n: b\n", "aos.yaml:2:3: a key must be a text"),
        ("aos: 1\nx: {<<: {a: 1}}\n", "aos.yaml:2:5: `<<` is not read"),
        ("aos: 1\nx: 1e999\n", "aos.yaml:2:4: the number `1e999` is too large"),
        (bomb(), "values, its aliases written out"),
        ("x: &a 1\ny: [" + ", ".join(["*a"] * 1_001) + "]", "at most 1000 aliases"),
        ("[" * 50_000, "aos.yaml:1:65: a manifest nests at most 64 deep"),
        ("", "aos.yaml:1:1: /: `aos` is missing"),
        ("aos: 1\nagnts: {}\n", "aos.yaml:2:1: /agnts: unknown field `agnts`; did you mean `agents`?"),
        ("aos: 1\nagents:\n  finance:\n    type: boss\n", "aos.yaml:4:11: /agents/finance/type: must be one of"),
        ("aos: 1\nagents:\n  finance:\n    goal: x\n", "aos.yaml:3:3: /agents/finance: `type` is missing"),
        ("aos: 1\npolicies:\n- id: a\n  outcome: no\n", "aos.yaml:4:12: /policies/0/outcome: must be one of"),
        ("aos: '1'\n", "aos.yaml:1:6: /aos: must be `1`"),
    ],
)  # fmt: skip
def test_a_malformed_manifest_names_file_line_and_column(
    text: str | bytes, said: str, aos: Cli, peer: Peer, manifest: Path
) -> None:
    manifest.write_bytes(text if isinstance(text, bytes) else text.encode())
    done = aos("apply")
    assert done.status == 2
    assert done.err.startswith("Invalid manifest: ")
    assert said in done.err
    assert peer.asked == []


def test_a_file_of_10_megabytes_is_refused_unread(aos: Cli, peer: Peer, manifest: Path) -> None:
    manifest.write_bytes(b"#" * 10_000_000)
    assert f"{BYTES_MAX:,} bytes" in aos("apply").err
    assert peer.asked == []


def test_what_the_server_finds_wrong_is_given_its_line(aos: Cli, peer: Peer, manifest: Path) -> None:
    wrong = [{"pointer": "/manifest/agents/finance/tools/0", "detail": "`erp.*` takes in no tool"}]
    wrong.append({"pointer": "/manifest/policies/0/when", "detail": "does not compile"})
    peer.refuse("POST /manifest", 422, "Invalid manifest", errors=wrong)
    lines = aos("apply").err.splitlines()
    assert lines[0].startswith("Invalid manifest: aos.yaml:6:13: /agents/finance/tools/0: `erp.*` takes in no tool")
    assert lines[2].strip() == "aos.yaml:8:5: /policies/0/when: does not compile"


def test_several_files_make_one_manifest_and_keep_their_places(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "a.yaml").write_text("aos: 1\nagents: {x: {type: functional}}\npolicies: [{id: p, outcome: deny}]\n")
    (tmp_path / "b" / "b.yml").write_text(
        "aos: 1\nagents:\n  y: {type: observer}\npolicies:\n  - id: q\n    outcome: deny\n"
    )
    (tmp_path / ".hidden.yaml").write_text("aos: 2\n")
    files = read_manifest_files(tmp_path)
    assert set(files.document["agents"]) == {"x", "y"}  # type: ignore[arg-type]
    assert [str(files.place(at)) for at in ("/agents/y", "/policies/1/outcome")] == [
        f"{tmp_path}/b/b.yml:3:3",
        f"{tmp_path}/b/b.yml:6:14",
    ]


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ("agents: {x: {type: observer}}", "agents: {x: {type: observer}}", "`x` under `agents` stands at"),
        ("policies: [{id: p}]", "policies: [{id: p}]", "`p` under `policies` stands at"),
        ("people: [{email: a@b.example}]", "people: [{email: a@b.example}]", "`a@b.example` under `people`"),
        ("organization: {name: x}", "organization: {name: y}", "`name` under `organization`"),
        ("aos: 1", "aos: 2", "`aos` stands at"),
    ],
)
def test_what_stands_in_two_files_is_refused_with_both_places(
    first: str, second: str, said: str, tmp_path: Path
) -> None:
    (tmp_path / "a.yaml").write_text(first)
    (tmp_path / "b.yaml").write_text(second)
    with pytest.raises(CliError) as refused:
        read_manifest_files(tmp_path)
    assert said in refused.value.detail
    assert "a.yaml:1:" in refused.value.detail
    assert "b.yaml:1:" in refused.value.detail


def test_plain_values_are_those_of_yaml_1_2() -> None:
    text = b"a: yes\nb: 2026-01-01\nc: 0.92\nd: ~\ne: 0x1F\nf: '1'\ng: -7\nh: .5\ni: True\nj: 1_000\n1: x\n"
    assert read_manifest_text(text, "x").document == {
        "a": "yes", "b": "2026-01-01", "c": 0.92, "d": None, "e": "0x1F", "f": "1", "g": -7, "h": 0.5, "i": True,
        "j": "1_000", "1": "x",
    }  # fmt: skip


def test_an_alias_is_written_out() -> None:
    assert read_manifest_text(b"x: &a {k: [1]}\ny: *a\n", "x").document["y"] == {"k": [1]}


@pytest.mark.parametrize("arguments", [[], ["-f", "none.yaml"], ["-f", "."]])
def test_a_manifest_that_is_not_there_exits_with_3(
    arguments: list[str], aos: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert aos("apply", *arguments).status == 3


def sent(peer: Peer) -> list[tuple[bool, bool]]:
    return [(body["dry_run"], body["prune"]) for body in peer.bodies("POST /manifest")]


def test_a_dry_run_shows_the_changes_and_makes_none(aos: Cli, peer: Peer, manifest: Path) -> None:
    peer.give("POST /manifest", {"changes": CHANGES, "applied": False})
    done = aos("apply", "--dry-run", "--prune")
    assert done.status == 0
    assert [line.split()[:3] for line in done.out.splitlines()[:2]] == [
        ["+", "agent", "finance"],
        ["!", "policy", "none"],
    ]
    assert sent(peer) == [(True, True)]
    assert aos("apply", "--dry-run", "--exit-code").status == 1
    assert aos("apply", "--dry-run", "--json").json == {"changes": CHANGES, "applied": False}


def test_the_organization_is_named_before_anything_is_changed(aos: Cli, peer: Peer, manifest: Path) -> None:
    peer.give("GET /whoami", {"organization": {"name": "larkspur"}})
    peer.give("POST /manifest", {"changes": CHANGES, "applied": False})
    assert aos("apply").err.splitlines()[0] == "organization larkspur"
    assert aos("apply", "--yes", "--json").err == ""


def test_where_nobody_can_be_asked_a_wider_permission_waits(aos: Cli, peer: Peer, manifest: Path) -> None:
    peer.give("POST /manifest", {"changes": CHANGES, "applied": False})
    done = aos("apply")
    assert (done.status, sent(peer)) == (5, [(True, False)])
    assert "--yes" in done.err
    assert aos("apply", "--yes").status == 0
    assert sent(peer) == [(True, False), (True, False), (False, False)]


def test_what_waits_needs_no_yes_and_is_named_with_whom_it_waits_for(aos: Cli, peer: Peer, manifest: Path) -> None:
    waits = {"mark": "!", "kind": "tool", "name": "erp.pay", "detail": "a new tool", "waits": True}
    peer.give("POST /manifest", {"changes": [waits], "waits_for": ["maria@larkspur.example"], "warnings": ["beware"]})
    planned = aos("apply", "--dry-run")
    assert "warning: beware" in planned.err
    assert "waits: a new tool" in planned.out
    assert "would wait as a draft" in planned.err
    done = aos("apply")
    assert (done.status, sent(peer)) == (0, [(True, False), (True, False), (False, False)])
    assert "maria@larkspur.example" in done.err
    assert "aos tool publish erp.pay" in done.err


def test_what_waits_is_published_by_name(aos: Cli, peer: Peer) -> None:
    for kind in ("agent", "tool"):
        peer.give(f"GET /{kind}s/pay", {"id": "1", "name": "pay"})
        peer.give(f"POST /{kind}s/pay/publish", {"name": "pay", "version": 2})
        done = aos(kind, "publish", "pay", "--version", "2")
        assert (done.status, done.out) == (0, f"version 2 of {kind} pay is in force\n")
        assert peer.bodies(f"POST /{kind}s/pay/publish") == [{"version": 2}]


def test_what_changes_nothing_is_not_sent_again(aos: Cli, peer: Peer, manifest: Path) -> None:
    peer.give("POST /manifest", {"changes": [], "applied": False})
    done = aos("apply", "--exit-code")
    assert (done.status, done.out, sent(peer)) == (0, "nothing to change\n", [(True, False)])


def test_a_policy_is_checked_without_changing_anything(aos: Cli, peer: Peer, manifest: Path) -> None:
    peer.give("POST /manifest", {"changes": CHANGES, "applied": False})
    checked: Any = aos("policy", "check", "-f", str(manifest), "--json").json
    assert (checked["ok"], checked["policies"], sent(peer)) == (True, 1, [(True, False)])


ENTRIES = """\
aos: 1
tools:
  good.tool: {python: "mine.tools:pay", effect: pay}
  bad.tool:
    python: "mine.tools:send"
    effect: send
agents:
  finance: {type: functional, runtime: {python: "mine.nowhere:run"}}
  broken: {type: functional, runtime: {python: "mine.broken:run"}}
"""


@pytest.fixture
def code(tmp_path: Path, manifest: Path) -> Path:
    manifest.write_text(ENTRIES)
    folder = tmp_path / "code"
    (folder / "mine").mkdir(parents=True)
    (folder / "mine/__init__.py").touch()
    (folder / "mine/tools.py").write_text("print('written at import')\ndef pay(): ...\n")
    (folder / "mine/broken.py").write_text("raise SystemExit(3)\n")
    return folder


def looks_at(folder: Path, url: str) -> LocalEntries:
    def problems(entries: Sequence[str]) -> dict[str, str]:
        return find_entry_problems(entries, [str(folder)], config=Config(), environment={})

    return LocalEntries(url, problems)


def test_a_function_that_cannot_be_imported_is_named_where_the_manifest_names_it(
    aos: Cli, peer: Peer, code: Path
) -> None:
    aos.entries = looks_at(code, peer.url)
    done = aos("apply")
    assert (done.status, peer.asked) == (2, [])
    assert "aos.yaml:5:13: /tools/bad.tool/python: entry `mine.tools:send` cannot be loaded" in done.err
    assert "aos.yaml:8:49: /agents/finance/runtime/python: entry `mine.nowhere:run`" in done.err
    assert "no module named `mine.nowhere`" in done.err
    assert "aos.yaml:9:48: /agents/broken/runtime/python" in done.err
    assert "importing it raised SystemExit: 3" in done.err
    assert "good.tool" not in done.err
    assert "--no-imports" in done.err


def test_functions_are_not_looked_for_where_aos_runs_elsewhere_or_nobody_wants_it(
    aos: Cli, peer: Peer, code: Path
) -> None:
    peer.give("POST /manifest", {"changes": [], "applied": False})
    assert aos("apply").status == 0
    aos.entries = looks_at(code, "http://127.0.0.1:1")
    assert aos("apply").status == 0
    aos.entries = looks_at(code, peer.url)
    assert aos("apply", "--no-imports").status == 0
    for name in ("nowhere", "broken"):
        (code / f"mine/{name}.py").write_text("def run(): ...\n")
    (code / "mine/tools.py").write_text("def pay(): ...\ndef send(): ...\n")
    assert aos("apply").status == 0


def test_a_module_that_ends_the_process_is_no_end_of_the_check(code: Path) -> None:
    (code / "mine/killer.py").write_text("import os\nprint('here', flush=True)\nos._exit(0)\n")
    found = looks_at(code, "").problems(["mine.killer:run"])
    assert found == {"mine.killer:run": "importing what the manifest names ended the process: here"}


def test_a_draft_is_shown_and_not_published_where_its_version_is_not_named(aos: Cli, peer: Peer) -> None:
    drafts: dict[str, dict[str, Any]] = {
        "tool": {"version": 1, "draft_version": 2},
        "workflow": {"version": 1, "draft_version": 2},
        "policy": {"version": 2, "state": "draft"},
    }
    for kind, item in drafts.items():
        path = "/policies/pay" if kind == "policy" else f"/{kind}s/pay"
        peer.give(f"GET {path}", {"id": "1", "name": "pay", **item})
        peer.give(f"GET {path}/versions", {"items": [{"version": 2, "effect": "read"}], "next": None})
        done = aos(kind, "publish", "pay")
        assert done.status == 2
        assert "effect" in done.out
        assert f"aos {path.split('/')[1]} publish pay --version 2" in " ".join(done.err.split())
        assert not peer.bodies(f"POST {path}/publish")
    peer.give("GET /tools/paid", {"id": "2", "name": "paid", "version": 2, "draft_version": None})
    assert aos("tool", "publish", "paid").status == 6

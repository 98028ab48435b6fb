"""The repository keeps its own form, and each rule is seen to refuse a bad sample."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.kernel import tidy_rules as rules
from tests.kernel.tidy_rules import Source

ROOT = Path(__file__).resolve().parents[2]
RATCHET = Path(__file__).with_name("tidy_ratchet.txt")
RATCHET_ENTRIES_MAX = 0  # lowered with each entry that goes, never raised

Rule = Callable[[Source], Iterator[str]]


@pytest.fixture(scope="module")
def sources() -> list[Source]:
    found = rules.read_sources(ROOT)
    paths = {source.path for source in found}
    assert {"Makefile", "aos", ".ci/run", "pyproject.toml", "src/aos/kernel/errors.py"} <= paths
    return found


@pytest.mark.parametrize("rule", rules.RULES, ids=lambda rule: rule.__name__)
def test_the_repository_keeps_each_rule(rule: Rule, sources: list[Source]) -> None:
    assert [complaint for source in sources for complaint in rule(source)] == []


def test_no_function_or_file_is_too_long(sources: list[Source]) -> None:
    allowed = rules.read_ratchet(RATCHET.read_text(encoding="utf-8"))
    assert rules.check_lengths(sources, allowed) == []
    assert len(allowed) <= RATCHET_ENTRIES_MAX


def function_of(lines: int) -> str:
    return "def long():\n" + "    pass\n" * (lines - 1)


@pytest.mark.parametrize(
    ("text", "allowed", "complaint"),
    [
        (function_of(70), {}, None),
        (function_of(71), {}, "::long: 71 lines"),
        ("async " + function_of(71), {}, "::long: 71 lines"),
        ("x = 1\n" * 500, {}, None),
        ("x = 1\n" * 501, {}, "a.py: 501 lines"),
        (function_of(71), {"src/a.py::long": 71}, None),
        (function_of(72), {"src/a.py::long": 71}, "::long: 72 lines"),
        (function_of(71), {"src/a.py::long": 72}, "the ratchet only shrinks"),
        (function_of(9), {"src/a.py::long": 71}, "the ratchet only shrinks"),
        ("x = 1\n", {"src/gone.py": 501}, "the ratchet only shrinks"),
    ],
)
def test_what_is_too_long_is_refused_and_the_ratchet_only_shrinks(
    text: str, allowed: dict[str, int], complaint: str | None
) -> None:
    complaints = rules.check_lengths([Source("src/a.py", text)], allowed)
    assert len(complaints) == (complaint is not None)
    assert (complaint or "") in "".join(complaints)


def test_a_ratchet_line_is_a_key_and_its_lines() -> None:
    assert rules.read_ratchet("# why\n\nsrc/a.py 501\nsrc/a.py::f 80\n") == {"src/a.py": 501, "src/a.py::f": 80}


BAD: list[tuple[Rule, str, str]] = [
    (rules.check_names, "src/aos/utils.py", ""),
    (rules.check_names, "src/aos/managers/agents.py", ""),
    (rules.check_names, "tests/kernel/helper.py", ""),
    (rules.check_module_docstring, "src/aos/a.py", "x = 1\n"),
    (rules.check_module_docstring, "src/aos/a.py", "# a comment is no docstring\nx = 1\n"),
    (rules.check_sql_file, "src/aos/kernel/a.sql", "select 1"),
    (rules.check_sql_file, "src/aos/store/sql/a.sql", "select 1; select 2;"),
    (rules.check_sql_file, "src/aos/store/sql/a.sql", "-- nothing; but a comment\n"),
    (rules.check_sql_strings, "src/aos/a.py", 'x = "select id from agent where name = %s"'),
    (rules.check_sql_strings, "src/aos/a.py", 'x = f"""\n  INSERT INTO {table} values (1)"""'),
    (rules.check_sql_strings, "src/aos/a.py", 'x = b"update agent set name = 1"'),
    (rules.check_own_machine, "docs/a.md", "see /ro" + "ot/.cache"),
    (rules.check_own_machine, ".ci/run", "cd '/ho" + "me/maria/aos'"),
    (rules.check_unfinished, "src/aos/a.py", "# TO" + "DO later"),
    (rules.check_unfinished, "src/aos/static/a.css", "/* FIX" + "ME */"),
    (rules.check_unfinished, "src/aos/a.py", "raise NotImplemented" + "Error"),
    (rules.check_vendored, "src/aos/console/static/htmx.min.js", ""),
    (rules.check_vendored, "docs/vendor/a.py", ""),
    (rules.check_test_folder, "tests/unit/test_a.py", ""),
    (rules.check_test_folder, "tests/test_a.py", ""),
    (rules.check_skips, "tests/kernel/test_a.py", "@pytest.mark.skip\ndef test_a(): ..."),
    (rules.check_skips, "tests/kernel/test_a.py", "@pytest.mark.skip()\ndef test_a(): ..."),
    (rules.check_skips, "tests/kernel/test_a.py", "@pytest.mark.skipif(x)\ndef test_a(): ..."),
    (rules.check_skips, "tests/kernel/test_a.py", "@pytest.mark.xfail\ndef test_a(): ..."),
    (rules.check_skips, "tests/kernel/test_a.py", "def test_a():\n    pytest.skip('')"),
    (rules.check_skips, "tests/kernel/test_a.py", "pytest.importorskip('x')"),
]


@pytest.mark.parametrize(("rule", "path", "text"), BAD)
def test_each_rule_refuses_a_bad_sample(rule: Rule, path: str, text: str) -> None:
    (complaint,) = rule(Source(path, text))
    assert complaint.startswith(path)


GOOD: list[tuple[Rule, str, str]] = [
    (rules.check_names, "src/aos/kernel/basement.py", ""),
    (rules.check_module_docstring, "src/aos/__init__.py", ""),
    (rules.check_module_docstring, "src/aos/a.py", '"""What it holds."""\nx = 1\n'),
    (rules.check_sql_file, "src/aos/store/sql/a.sql", "-- one; two\nselect ';', $$a;b$$, \"c;d\";\n"),
    (rules.check_sql_file, "examples/shop/erp.sql", "create table a (b int); create table c (d int);"),
    (rules.check_sql_file, "src/aos/store/migrations/sql/a.sql", "select 1; select 2;"),
    (rules.check_sql_strings, "src/aos/a.py", 'x = "select an organization, or name one"'),
    (rules.check_sql_strings, "src/aos/a.py", 'x = "update the manifest and apply it again"'),
    (rules.check_sql_strings, "src/aos/store/migrations/a.py", 'x = "insert into a values (1)"'),
    (rules.check_own_machine, "docs/a.md", "/var/lib/aos/ and https://host.example/wo" + "rk/1 and {root}/wo" + "rk/a"),
    (rules.check_unfinished, "src/aos/a.py", "todo = []  # lower case is a name"),
    (rules.check_test_folder, "tests/conftest.py", ""),
    (rules.check_test_folder, "tests/store/conftest.py", ""),
    (rules.check_skips, "tests/kernel/test_a.py", "@pytest.mark.skipif(x, reason='needs a server')\ndef test_a(): ..."),
    (rules.check_skips, "tests/kernel/test_a.py", "pytest.skip('needs a server')"),
]


@pytest.mark.parametrize(("rule", "path", "text"), GOOD)
def test_no_rule_refuses_a_good_sample(rule: Rule, path: str, text: str) -> None:
    assert list(rule(Source(path, text))) == []


def test_every_rule_has_a_bad_sample() -> None:
    assert {rule for rule, _, _ in BAD} == set(rules.RULES)


def test_environments_and_caches_are_not_read(tmp_path: Path) -> None:
    for path in ("a.py", "env/pyvenv.cfg", "env/b.py", "x/__pycache__/c.py", ".aos/d.py", ".ci/e.sh", "build/f.py"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("")
    assert [source.path for source in rules.read_sources(tmp_path)] == [".ci/e.sh", "a.py"]

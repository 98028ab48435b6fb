"""A line loads and builds what its command needs, and nothing that only others need."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from typer.main import get_command

from aos.cli.app import build, first_word
from tests.contract.cli_peer import Cli, start


def test_a_command_is_built_alone_as_it_is_among_all(aos: Cli) -> None:
    def shape(command: Any) -> Any:
        below = getattr(command, "commands", {})
        return [each.name for each in command.params], {name: shape(each) for name, each in below.items()}

    every = get_command(build(aos.config(), {"up": start})).commands  # type: ignore[attr-defined]
    assert {"up", "whoami", "agents", "agent", "policies", "policy", "run", "runs", "audit"} <= set(every)
    for word, command in every.items():
        alone = get_command(build(aos.config(), {"up": start}, only=word)).commands  # type: ignore[attr-defined]
        assert shape(alone[word]) == shape(command), word
        assert len(alone) <= 2, word


@pytest.mark.parametrize(
    ("line", "word"),
    [(["--json", "whoami"], "whoami"), (["--url", "runs", "--org", "agents", "trace"], "trace"), (["--help"], ""),
     (["--url=x", "up", "down"], "up"), ([], ""), (["--org"], "")],
)  # fmt: skip
def test_the_first_word_of_a_line_is_its_command(line: list[str], word: str) -> None:
    assert first_word(line) == word


def test_what_one_command_needs_is_not_loaded_for_another() -> None:
    code = (
        "import sys; sys.argv = ['aos', 'whoami', '--url', 'http://127.0.0.1:1']; from aos.boot.main import main; main();"
        "print([name for name in ('psycopg', 'ruamel.yaml', 'django', 'cryptography', 'aos.cli.apply', 'aos.cli.runs')"
        " if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n", done.stderr

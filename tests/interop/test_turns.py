"""One turn with a tool, streamed, through each client that people use, in its newest version, against the scripted server and the bridge.

Those that the development environment does not have are installed into environments of their own, side by side.
"""

from __future__ import annotations

import concurrent.futures
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import attrs
import pytest
from tests.environments import NotInstalledError, node_with, python_with
from tests.interop.scripted_server import CLEAN, both_servers, bridged
from tests.support import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping

PROGRAMS: Final = Path(__file__).parent / "programs"


@attrs.frozen
class Peer:
    """A client of others, and how it is run: a program in ``programs``, or a program of the package."""

    program: str
    packages: tuple[str, ...]

    def install(self, config: pytest.Config) -> list[str]:
        """Return the beginning of the command that runs the client."""
        if self.program.endswith(".py"):
            return [python_with(config, *self.packages), "-W", "ignore", str(PROGRAMS / self.program)]
        folder = node_with(config, *self.packages)
        if self.program.endswith(".mjs"):
            # Node looks for modules where the program is.
            return ["node", str(shutil.copy(PROGRAMS / self.program, folder))]
        return [str(folder / "node_modules" / ".bin" / self.program)]


PEERS: Final[Mapping[str, Peer]] = {
    "LangChain": Peer("turn_langchain.py", ("langchain-openai",)),
    "LlamaIndex": Peer("turn_llama_index.py", ("llama-index-llms-openai",)),
    "LiteLLM": Peer("turn_litellm.py", ("litellm",)),
    "openai (node)": Peer("turn_openai.mjs", ("openai",)),
    "openai-agents (js)": Peer("turn_agents.mjs", ("@openai/agents", "openai", "zod")),
    "AI SDK": Peer("turn_ai_sdk.mjs", ("ai", "@ai-sdk/openai", "zod")),
    "Codex CLI": Peer("codex", ("@openai/codex",)),
}


@both_servers
def url(request: pytest.FixtureRequest) -> Generator[str]:
    options = ["--drop-tool", "web_search"] if request.param is bridged else []  # which Codex offers always
    with request.param(*options) as address:
        yield address


@pytest.fixture(scope="session")
def installing(request: pytest.FixtureRequest) -> Generator[dict[str, concurrent.futures.Future[list[str]]]]:
    """Install the clients of the tests that were chosen, several at a time."""
    chosen = {name for item in request.session.items if (name := _peer_of(item))}
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        yield {name: pool.submit(peer.install, request.config) for name, peer in PEERS.items() if name in chosen}
        pool.shutdown(wait=False, cancel_futures=True)


def _peer_of(item: pytest.Item) -> str | None:
    callspec = getattr(item, "callspec", None)
    return getattr(callspec, "params", {}).get("peer")


@pytest.fixture
def command(installing: dict[str, concurrent.futures.Future[list[str]]], peer: str) -> list[str]:
    """Return the beginning of the command that runs a client. Skip if it cannot be installed."""
    try:
        return installing[peer].result()
    except NotInstalledError as error:
        pytest.skip(str(error))


def output_of(command: Iterable[str], **environment: str) -> str:
    """Run a client, and return what it prints."""
    known = {"PATH": os.environ["PATH"], "NO_COLOR": "1", "LITELLM_LOCAL_MODEL_COST_MAP": "True", **environment}
    done = subprocess.run(  # noqa: S603 - clients that the test has installed
        [*command],
        capture_output=True,
        text=True,
        env={**CLEAN, **known},
        stdin=subprocess.DEVNULL,
        timeout=2 * PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def assert_streamed(printed: str, text: str = "The tool says: Sunny in Paris.") -> None:
    pieces = json.loads(printed.splitlines()[-1])
    assert "".join(pieces) == text
    assert len(pieces) > 1


@pytest.mark.parametrize("peer", [name for name in PEERS if name != "Codex CLI"])
def test_a_client_calls_its_tool_and_streams_the_answer(url: str, command: list[str]) -> None:
    assert_streamed(output_of([*command, url, 'Is it nice? get_weather({"city": "Paris"})']))


@pytest.mark.parametrize("peer", ["Codex CLI"])
@pytest.mark.parametrize("websockets", [False, True])
def test_codex_runs_a_command(url: str, command: list[str], tmp_path: Path, *, websockets: bool) -> None:
    provider = f'{{name="own", base_url="{url}", wire_api="responses", env_key="ANY_KEY"'
    provider += ", supports_websockets=true}" if websockets else "}"
    options = ["-c", "model_provider=own", "-c", f"model_providers.own={provider}", "-m", "scripted"]
    how = ["exec", "--json", "--skip-git-repo-check", "--sandbox", "danger-full-access", "-C", str(tmp_path)]
    asked = 'exec_command({"cmd": "echo $((40 + 2)) words"})'
    printed = output_of([*command, *how, *options, asked], CODEX_HOME=str(tmp_path), ANY_KEY="any")
    events = [json.loads(line) for line in printed.splitlines()]
    items: dict[str, Any] = {
        event["item"]["type"]: event["item"] for event in events if event["type"] == "item.completed"
    }
    # What the login shell of this machine says first is not the command's.
    assert items["command_execution"]["aggregated_output"].endswith("42 words\n")
    assert items["agent_message"]["text"].startswith("The tool says: ")
    assert items["agent_message"]["text"].endswith("42 words\n")
    assert events[-1]["type"] == "turn.completed"

"""The settings of ``serve``: what the file may say, what is refused, and which takes precedence."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.support import PATIENCE

from responses_proto.cli._config import (
    SETTINGS,
    UPSTREAM_SETTINGS,
    ServeSettings,
    make_bridge,
    read_settings,
    settings_of,
)
from responses_proto.exceptions import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

DOCS = Path(__file__).parents[2] / "docs" / "chat-bridge.md"
ALL = """
host = "0.0.0.0"
port = 9000
store = "responses.db"
shared = true
api_key = ["one", "two"]
allow_host = ["api.example"]
allow_origin = ["https://app.example"]
allow_mcp = ["mcp.example", "10.0.0.0/8"]
drop_tool = ["web_search"]
log_format = "json"
drain = 5
max_turns = 3
unknown_parameters = "pass"

[models]
small = "local/qwen3"

[tools]
max_calls = 5
timeout = 2.5
max_output_bytes = 1000

[upstreams.local]
url = "http://127.0.0.1:8080/v1"
profile = "llamacpp"
models = ["qwen3"]
max_requests = 4
timeouts = { total = 60, between_events = 5 }

[upstreams.hf]
profile = "huggingface"
key_env = "MY_TOKEN"

[upstreams.theirs]
url = "https://api.example/v1"
key = "forward"
"""


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str], str]:
    def write(text: str) -> str:
        path = tmp_path / "serve.toml"
        path.write_text(text)
        return str(path)

    return write


def test_everything_can_be_said(written: Callable[[str], str], monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read_settings(written(ALL))
    assert settings.port == 9000
    assert settings.upstreams
    assert [*settings.upstreams] == ["local", "hf", "theirs"]
    assert "api_key" not in repr(settings)
    with pytest.raises(UsageError, match="MY_TOKEN"):
        make_bridge(settings)
    monkeypatch.setenv("MY_TOKEN", "hf_token")
    assert make_bridge(settings).max_turns == 3


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("prot = 1", "there is no key prot: did you mean port?"),
        ("zzz = 1", "the keys are host, port"),
        ('port = "80"', "port must be an integer, got '80'"),
        ("port = true", "port must be an integer"),
        ('allow_mcp = "mcp.example"', "allow_mcp must be a list of strings"),
        ("allow_mcp = [1]", "allow_mcp must be a list of strings"),
        ("upstreams = 5", "upstreams must be a table"),
        ("[upstreams]\na = 5", r"upstreams.a must be a table: \[upstreams.a\]"),
        ("[upstreams.a]", "upstreams.a needs a url"),
        (
            '[upstreams.a]\nurl = "http://x/v1"\nprofil = "vllm"',
            "upstreams.a.profil: did you mean upstreams.a.profile?",
        ),
        ('[upstreams.a]\nurl = "http://x/v1"\ntimeouts = { totl = 5 }', "did you mean upstreams.a.timeouts.total?"),
        ("[models]\nsmall = 5", "models.small must be a string"),
        ("[tools]\nmax_call = 5", "did you mean tools.max_calls?"),
        ("port = ", "is not TOML"),
    ],
)
def test_what_is_wrong_is_named_with_what_is_right(written: Callable[[str], str], text: str, words: str) -> None:
    path = written(text)
    with pytest.raises(UsageError, match=words) as caught:
        read_settings(path)
    assert str(caught.value).startswith(path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[upstreams.a]\nurl = "ftp://x"', "https://host/v1"),
        ('[upstreams.a]\nurl = "http://x/v1/chat/completions"', "the part before /chat/completions"),
        ('[upstreams.a]\nurl = "http://x/v1"\nprofile = "gpt"', "unknown profile 'gpt'"),
        ('[upstreams.a]\nurl = "http://x/v1"\nkey = "mine"', "key must be 'own' or 'forward'"),
        ('[upstreams.a]\nurl = "http://x/v1"\nmax_requests = 0', "max_width=0"),
        ('[upstreams.a]\nurl = "http://x/v1"\ntimeouts = { total = -1 }', "Timeouts.total"),
        ('unknown_parameters = "drop"\n[upstreams.a]\nurl = "http://x/v1"', "unknown_parameters"),
        ('allow_mcp = ["https://x"]\n[upstreams.a]\nurl = "http://x/v1"', "allow_mcp"),
        ('[upstreams.a]\nprofile = "huggingface"', "huggingface needs an API key: .* HF_TOKEN"),
    ],
)
def test_what_cannot_be_is_refused(
    written: Callable[[str], str], text: str, words: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH", "HF_HOME", "XDG_CACHE_HOME", "USERPROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(UsageError, match=words):
        make_bridge(read_settings(written(text)))


def test_the_command_line_takes_precedence(written: Callable[[str], str]) -> None:
    path = written('port = 1\nhost = "a"\n[upstreams.a]\nurl = "http://a/v1"')
    settings = settings_of(ServeSettings(port=2), path, (), forward_key=False)
    assert (settings.port, settings.host) == (2, "a")
    assert settings.upstreams == {"a": {"url": "http://a/v1"}}
    settings = settings_of(ServeSettings(), path, ["http://b/v1?a=b"], forward_key=True)
    assert settings.upstreams == {"": {"url": "http://b/v1?a=b", "key": "forward"}}
    settings = settings_of(ServeSettings(), None, ["b=http://b/v1", "c=http://c/v1"], forward_key=False)
    assert settings.upstreams == {"b": {"url": "http://b/v1"}, "c": {"url": "http://c/v1"}}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["http://a/v1", "http://b/v1"], "different names"),
        (["http://a/v1", "b=http://b/v1"], "needs a name"),
        (["b=http://a/v1", "b=http://b/v1"], "different names"),
    ],
)
def test_several_upstreams_need_names(given: list[str], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        settings_of(ServeSettings(), None, given, forward_key=False)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--allow-mcp", "x"], "--allow-mcp needs an upstream"),
        (["--drop-tool", "web_search"], "--drop-tool needs an upstream"),
        (["--upstream", "http://a/v1", "--drop-tool", "function"], "'function' cannot be left out"),
        (["--shared"], "--shared needs a store that others can open, too: --store FILE"),
        (["--store", "redis://127.0.0.1:port"], "not a URL of Redis"),
        (["--forward-key"], "--forward-key needs an upstream"),
        (["--config", "nowhere.toml"], "cannot read nowhere.toml: No such file"),
        (["--upstream", "http://a/v1", "--delay", "1"], "--delay are for the scripted model"),
        (["--upstream", "nonsense"], "--upstream: the URL must look like https://host/v1"),
        (
            ["--upstream", "https://openrouter.ai/api/v1"],
            "--upstream: openrouter needs an API key: set OPENROUTER_API_KEY",
        ),
    ],
)
def test_wrong_usage_is_one_line(arguments: list[str], words: str) -> None:
    command = [sys.executable, "-m", "responses_proto", "serve", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)  # noqa: S603 - this very program
    assert done.returncode == 2
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_the_page_documents_every_key() -> None:
    page = DOCS.read_text()
    keys = {*SETTINGS, *UPSTREAM_SETTINGS} - {"script", "delay"}
    assert {key for key in keys if not re.search(rf"^\| `{key}` \|", page, re.MULTILINE)} == set()

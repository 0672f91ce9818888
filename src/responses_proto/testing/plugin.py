"""Pytest fixtures: a fake server for tests of any client, and real traffic that is recorded once and replayed.

The plugin is installed with the package::

    def test_my_agent(responses_server):
        responses_server.script = Script(Answer.items(FunctionCall(name="f", call_id="c", arguments="{}")), "Done.")
        run_my_agent(base_url=responses_server.url)                       # sync or async, with any client
        assert responses_server.requests[1].json["previous_response_id"] == "resp_1"

    @pytest.mark.responses_cassette(base_url="https://api.openai.com/v1")
    def test_my_agent_for_real(responses_cassette):
        run_my_agent(base_url=responses_cassette.url)                     # replayed; `pytest --responses-record=missing` records

Both fixtures yield a :class:`~.server.FakeServer` that listens on a local socket. It runs in a thread with its own event loop, so
the test may be synchronous, or run by anyio, pytest-asyncio or pytest-trio. An error in a script fails the test at its end.
"""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

    from .fake.server import FakeServer

__all__ = ["responses_cassette", "responses_server"]

_MARKER: Final = "responses_cassette"
_OPTION: Final = "--responses-record"
_MARKER_HELP: Final = (
    f'{_MARKER}(path="...", base_url="..."): configure the fixture of the same name. path: the file of the cassette, relative to the '
    f"folder of the test (default: cassettes/<module>/<test>.json). base_url: the server to record from (default: RESPONSES_BASE_URL, "
    f"or else OpenAI's address)."
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option ``--responses-record``."""
    parser.getgroup("responses_proto").addoption(
        _OPTION,
        choices=("never", "missing", "all"),
        default="never",
        help="which cassettes of the fixture responses_cassette to record over the network: never (replay only), missing "
        "(those that do not exist), or all",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker ``responses_cassette``."""
    config.addinivalue_line("markers", _MARKER_HELP)


@pytest.fixture
def responses_server() -> Generator[FakeServer]:
    """Yield a running fake server. Assign ``responses_server.script`` to set its answers (default: ``"Hello, world."``)."""
    from .fake.server import FakeServer  # noqa: PLC0415 - only loaded for tests that use the fixture

    with _running(FakeServer()) as server:
        yield server


@pytest.fixture
def responses_cassette(request: pytest.FixtureRequest) -> Generator[FakeServer]:
    """Yield a server that replays a cassette, or, with ``--responses-record``, one that forwards requests and records them.

    The test fails if there is no cassette and none is recorded, or if it sends more requests than were recorded.
    """
    from .cassettes import replay  # noqa: PLC0415 - only loaded for tests that use the fixture
    from .fake.server import FakeServer  # noqa: PLC0415 - as above
    from .recording import RecordingServer  # noqa: PLC0415 - as above

    path, base_url = _cassette_of(request)
    mode = request.config.getoption(_OPTION)
    if mode == "all" or (mode == "missing" and not path.exists()):
        server: FakeServer = RecordingServer(path, base_url)
    elif path.exists():
        server = FakeServer(replay(path))
    else:
        pytest.fail(f"there is no cassette {path}: record one with {_OPTION}=missing", pytrace=False)
    with _running(server):
        yield server


def _cassette_of(request: pytest.FixtureRequest) -> tuple[Path, str | None]:
    """Return the path of a test's cassette, and the base URL to record from."""
    marker: pytest.Mark | None = request.node.get_closest_marker(_MARKER)
    path, base_url = _marker_arguments(*marker.args, **marker.kwargs) if marker is not None else (None, None)
    name = re.sub(r"[^\w.-]+", "_", str(request.node.name))
    return request.path.parent / (path or Path("cassettes", request.path.stem, f"{name}.json")), base_url


def _marker_arguments(path: str | None = None, *, base_url: str | None = None) -> tuple[str | None, str | None]:
    """Bind the arguments of the marker, so that a wrong one is a ``TypeError``."""
    return path, base_url


@contextlib.contextmanager
def _running(server: FakeServer) -> Generator[FakeServer]:
    """Run a server in a thread with its own event loop."""
    from anyio.from_thread import start_blocking_portal  # noqa: PLC0415 - only loaded for tests that use a fixture

    with start_blocking_portal() as portal, portal.wrap_async_context_manager(server):
        yield server

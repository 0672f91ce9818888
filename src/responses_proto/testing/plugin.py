"""The pytest plugin: a fake server for tests of any kind, and real traffic recorded once. Installed with the package.

::

    def test_my_agent(responses_server):
        responses_server.script = Script(Answer.items(FunctionCall(name="f", call_id="c", arguments="{}")), "Done.")
        run_my_agent(base_url=responses_server.url)                       # sync or async, with any client
        assert responses_server.requests[1].json["previous_response_id"] == "resp_1"

    @pytest.mark.responses_cassette(base_url="https://api.openai.com/v1")
    def test_my_agent_for_real(responses_cassette):
        run_my_agent(base_url=responses_cassette.url)                     # replayed; `pytest --responses-record=missing` records

Both fixtures are a :class:`~.server.FakeServer` on a socket of this machine, which runs in a thread of its own, so that the test may be
plain, or be run by anyio, pytest-asyncio or pytest-trio. What goes wrong in a script fails the test at its end.
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
_MARKER_SAYS: Final = (
    f'{_MARKER}(path="...", base_url="..."): where the fixture of this name has its cassette, from the folder of the test, and '
    f"what to record from; by default cassettes/<module>/<test>.json, and what RESPONSES_BASE_URL or else OpenAI's address is."
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    parser.getgroup("responses_proto").addoption(
        _OPTION,
        choices=("never", "missing", "all"),
        default="never",
        help="for which tests with the fixture responses_cassette to record over the network: never (only replay), missing "
        "(where there is no cassette), all",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Add the marker."""
    config.addinivalue_line("markers", _MARKER_SAYS)


@pytest.fixture
def responses_server() -> Generator[FakeServer]:
    """Give a fake server that runs; ``responses_server.script`` is what it says, ``"Hello, world."`` at first."""
    from .fake.server import FakeServer  # noqa: PLC0415 - only who asks for it pays for it

    with _running(FakeServer()) as server:
        yield server


@pytest.fixture
def responses_cassette(request: pytest.FixtureRequest) -> Generator[FakeServer]:
    """Give a server that answers from a cassette, or, if that is to be recorded, hands requests on and notes the answers.

    The test fails if the cassette is not there and not to be recorded, and if more is asked than it has.
    """
    from .cassettes import replay  # noqa: PLC0415 - only who asks for it pays for it
    from .fake.server import FakeServer  # noqa: PLC0415 - as above
    from .recording import RecordingServer  # noqa: PLC0415 - as above

    path, base_url = _cassette_of(request)
    mode = request.config.getoption(_OPTION)
    if mode == "all" or (mode == "missing" and not path.exists()):
        server: FakeServer = RecordingServer(path, base_url)
    elif path.exists():
        server = FakeServer(replay(path))
    else:
        pytest.fail(f"there is no cassette {path}: record one, with {_OPTION}=missing", pytrace=False)
    with _running(server):
        yield server


def _cassette_of(request: pytest.FixtureRequest) -> tuple[Path, str | None]:
    """Find out where the cassette of a test is, and from where it is recorded."""
    marker: pytest.Mark | None = request.node.get_closest_marker(_MARKER)
    said = _said(*marker.args, **marker.kwargs) if marker is not None else _said()
    name = re.sub(r"[^\w.-]+", "_", str(request.node.name))
    path = said[0] or Path("cassettes", request.path.stem, f"{name}.json")
    return request.path.parent / path, said[1]


def _said(path: str | None = None, *, base_url: str | None = None) -> tuple[str | None, str | None]:
    return path, base_url


@contextlib.contextmanager
def _running(server: FakeServer) -> Generator[FakeServer]:
    """Run a server in a thread, with an event loop of its own."""
    from anyio.from_thread import start_blocking_portal  # noqa: PLC0415 - only who asks for a fixture pays for it

    with start_blocking_portal() as portal, portal.wrap_async_context_manager(server):
        yield server

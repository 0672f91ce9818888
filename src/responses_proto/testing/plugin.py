"""Pytest fixtures and markers for tests of any client: a fake server, its faults and dialects, and recorded traffic.

The plugin is installed with the package::

    def test_my_agent(responses_server):
        responses_server.script = Script(Answer.items(FunctionCall(name="f", call_id="c", arguments="{}")), "Done.")
        run_my_agent(base_url=responses_server.url)                       # sync or async, with any client
        assert responses_server.requests[1].json["previous_response_id"] == "resp_1"

    @pytest.mark.responses_faults                                         # once for each fault that loses no data
    @pytest.mark.responses_dialects("huggingface", "vllm")                # and each of these dialects
    def test_my_reader(responses_server): ...

    @pytest.mark.responses_cassette(base_url="https://api.openai.com/v1")
    def test_my_agent_for_real(responses_cassette):
        run_my_agent(base_url=responses_cassette.url)                     # replayed; `pytest --responses-record=missing` records

The servers listen on a local socket. They run in a thread with its own event loop, so a test may be synchronous or run by anyio,
pytest-asyncio or pytest-trio. An error in a script fails the test at its end. If two lists of events differ, the report shows a diff
with one event per line.
"""

from __future__ import annotations

import contextlib
import difflib
import json
import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from ..client.client import ResponsesClient
    from .fake.chat import FakeChat
    from .fake.faults import Fault
    from .fake.server import FakeServer

__all__ = [
    "responses_cassette",
    "responses_chat",
    "responses_client",
    "responses_dialect",
    "responses_fault",
    "responses_server",
]

_S = TypeVar("_S", bound="FakeServer")

_OPTION: Final = "--responses-record"
_CASSETTE: Final = "responses_cassette"
_MARKERS: Final = {
    _CASSETTE: '(path="...", base_url="...", match=...): configure the fixture of the same name. path: the file of the cassette, '
    "relative to the folder of the test (default: cassettes/<module>/<test>.json). base_url: the server to record from (default: "
    "RESPONSES_BASE_URL, or else OpenAI's address). match: as for testing.replay.",
    "responses_faults": "(*faults, fatal=False): run the test once for each fault that the fixture responses_server then adds to every "
    "streamed answer: instances of testing.Fault or names in testing.FAULTS; by default all that leave the response readable, and with "
    "fatal=True the others. The fixture responses_fault returns the fault.",
    "responses_dialects": "(*names): run the test once for each dialect of the fixture responses_server, by default all of "
    "testing.DIALECTS. The fixture responses_dialect returns the name.",
}


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
    """Register the markers."""
    for name, text in _MARKERS.items():
        config.addinivalue_line("markers", name + text)


# ---- the server


@pytest.fixture
def responses_fault() -> Fault | None:
    """Return the fault that the marker ``responses_faults`` runs the test with; ``None`` without the marker."""
    return None


@pytest.fixture
def responses_dialect() -> str | None:
    """Return the dialect that the marker ``responses_dialects`` runs the test with; ``None`` without the marker."""
    return None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Multiply tests by their markers. A marker of a test overrides the marker of its class or module."""
    if marker := metafunc.definition.get_closest_marker("responses_faults"):
        faults = _faults(*marker.args, **marker.kwargs)
        _multiply(metafunc, "responses_fault", faults, [fault.name for fault in faults])
    if marker := metafunc.definition.get_closest_marker("responses_dialects"):
        from .fake.dialects import DIALECTS, find_dialect  # noqa: PLC0415 - only loaded for tests with the marker

        names = list(marker.args or DIALECTS)
        for name in names:
            find_dialect(name)
        _multiply(metafunc, "responses_dialect", names, names)


def _multiply(metafunc: pytest.Metafunc, fixture: str, values: Sequence[object], ids: Sequence[str]) -> None:
    if "responses_server" not in metafunc.fixturenames:
        pytest.fail(f"{metafunc.definition.nodeid} must use the fixture responses_server", pytrace=False)
    metafunc.parametrize(fixture, values, ids=ids)


def _faults(*faults: Fault | str, fatal: bool = False) -> list[Fault]:
    from .fake.faults import FAULTS, find_fault  # noqa: PLC0415 - only loaded for tests with the marker

    return [find_fault(fault) for fault in faults] or [fault for fault in FAULTS.values() if fault.fatal == fatal]


@pytest.fixture
def responses_server(responses_fault: Fault | None, responses_dialect: Any) -> Generator[FakeServer]:
    """Yield a running fake server. Assign ``responses_server.script`` to set its answers (default: ``"Hello, world."``)."""
    from .fake.server import FakeServer  # noqa: PLC0415 - only loaded for tests that use the fixture

    faults = [responses_fault] if responses_fault is not None else []
    with _running(FakeServer(faults=faults, dialect=responses_dialect)) as server:
        yield server


@pytest.fixture
def responses_chat() -> Generator[FakeChat]:
    """Yield a running fake provider of Chat Completions, to test translations. Assign ``responses_chat.turns`` to set its answers."""
    from .fake.chat import FakeChat  # noqa: PLC0415 - only loaded for tests that use the fixture

    with _running(FakeChat()) as server:
        yield server


@pytest.fixture
def responses_client(responses_server: FakeServer) -> ResponsesClient:
    """Return a client of ``responses_server``. Enter it in the test: ``async with responses_client as client``."""
    from ..client.client import ResponsesClient  # noqa: PLC0415 - only loaded for tests that use the fixture

    return ResponsesClient(responses_server.url, "test-key")


# ---- cassettes


@pytest.fixture
def responses_cassette(request: pytest.FixtureRequest) -> Generator[FakeServer]:
    """Yield a server that replays a cassette. With ``--responses-record``, yield a server that forwards requests and records them.

    The test fails if there is no cassette and none is recorded, or if it sends a request that was not recorded. It gives a warning if
    it does not send all recorded requests.
    """
    from .cassettes import replay  # noqa: PLC0415 - only loaded for tests that use the fixture
    from .fake.server import FakeServer  # noqa: PLC0415 - as above
    from .recording import RecordingServer  # noqa: PLC0415 - as above

    path, base_url, match = _cassette_of(request)
    mode = request.config.getoption(_OPTION)
    if mode == "all" or (mode == "missing" and not path.exists()):
        with _running(RecordingServer(path, base_url)) as recording:
            yield recording
        return
    if not path.exists():
        pytest.fail(f"there is no cassette {path}: record one with {_OPTION}=missing", pytrace=False)
    script = replay(path, match=match)
    with _running(FakeServer(script)) as replaying:
        yield replaying
    if script.unused:
        warnings.warn(f"{path.name} has answers that were not used: {'; '.join(script.unused)}", stacklevel=1)


def _cassette_of(request: pytest.FixtureRequest) -> tuple[Path, str | None, Any]:
    """Return the path of a test's cassette, the base URL to record from, and the ``match`` argument of ``replay``."""
    marker: pytest.Mark = request.node.get_closest_marker(_CASSETTE) or pytest.mark.responses_cassette.mark
    path, base_url, match = _marker_arguments(*marker.args, **marker.kwargs)
    name = re.sub(r"[^\w.-]+", "_", str(request.node.name))
    return request.path.parent / (path or Path("cassettes", request.path.stem, f"{name}.json")), base_url, match


def _marker_arguments(
    path: str | None = None, *, base_url: str | None = None, match: Any = None
) -> tuple[str | None, str | None, Any]:
    """Return the arguments of the marker. Wrong arguments raise ``TypeError``."""
    return path, base_url, match


@contextlib.contextmanager
def _running(server: _S) -> Generator[_S]:
    """Run a server in a thread with its own event loop."""
    from anyio.from_thread import start_blocking_portal  # noqa: PLC0415 - only loaded for tests that use a fixture

    with start_blocking_portal() as portal, portal.wrap_async_context_manager(server):
        yield server


# ---- reports


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """Return a diff of two lists of events, with one event per line; ``None`` for anything else."""
    if op != "==":
        return None
    one, other = _event_lines(left), _event_lines(right)
    if one is None or other is None or not (one or other):
        return None
    summary = f"{len(one)} events == {len(other)} events"
    return [summary, *(line.rstrip("\n") for line in difflib.ndiff(other, one) if not line.startswith("?"))]


def _event_lines(value: object) -> list[str] | None:
    """Return a line for each event of a list; ``None`` if it is not a list of events."""
    if not isinstance(value, list | tuple):
        return None
    lines: list[str] = []
    for each in cast("Sequence[Any]", value):
        # Models are recognized by the name of their module, without importing it.
        if type(each).__module__.startswith("responses_proto.models."):
            from ..codec import dump  # noqa: PLC0415 - only loaded if there are models

            fields: object = dump(each)
        else:
            fields = each
        if not isinstance(fields, dict) or not isinstance(cast("dict[str, Any]", fields).get("type"), str):
            return None
        rest = {name: field for name, field in cast("dict[str, Any]", fields).items() if name != "type"}
        lines.append(f"{fields['type']} {json.dumps(rest, ensure_ascii=False, default=repr)}")
    return lines

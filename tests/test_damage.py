"""Real streams, shuffled, thinned, doubled and damaged: the engine survives them all, and always says how they ended.

``make test`` tries some of them, ``make fuzz`` a hundred thousand.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from tests.streams import clean, wire
from tests.support import shared

from responses_proto import Limits, codec
from responses_proto.protocol import ResponseStream

if TYPE_CHECKING:
    from collections.abc import Callable

_LONGEST: Final = 64 * 1024  # bytes of a recording that is worth damaging: longer ones only repeat themselves
_RECORDED: Final = [
    path for path in sorted(shared("corpus", "streams").glob("*.sse")) if path.stat().st_size <= _LONGEST
]
_CAPTURED: Final = sorted(shared("dialects").glob("*/*-stream.http"))


def _streams() -> list[list[bytes]]:
    """Give streams as lists of frames: our own, and the recorded ones where they are there."""
    raw = [wire(clean()), *(path.read_bytes() for path in _RECORDED)]
    raw += [path.read_bytes().partition(b"\r\n\r\n")[2] for path in _CAPTURED]
    return [[frame + b"\n\n" for frame in stream.replace(b"\r\n", b"\n").split(b"\n\n") if frame] for stream in raw]


_STREAMS: Final = _streams()
_SPLICES: Final = [
    b"",
    b"\n",
    b"\n\n",
    b"\r",
    b": ping\n\n",
    b"data: [DONE]\n\n",
    b"data: {}\n\n",
    b"data: null\n\n",
    b"\xff",
    b"\x00",
    b"\xef\xbb\xbf",
    b'"',
    b"}",
    b"retry: 1\n",
    b"id: x\n",
]


class DamagedStream(RuleBasedStateMachine):
    """Damages one stream step by step; in the end it is read."""

    @initialize(which=st.integers(0, len(_STREAMS) - 1), seed=st.integers(0, 2**32))
    def begin(self, which: int, seed: int) -> None:
        self.frames = list(_STREAMS[which])
        self.chance = random.Random(seed)

    def _some(self) -> int:
        return self.chance.randrange(len(self.frames))

    @precondition(lambda self: self.frames)
    @rule()
    def drop(self) -> None:
        del self.frames[self._some()]

    @precondition(lambda self: self.frames)
    @rule()
    def double(self) -> None:
        index = self._some()
        self.frames.insert(self._some(), self.frames[index])

    @precondition(lambda self: self.frames)
    @rule()
    def swap(self) -> None:
        one, other = self._some(), self._some()
        self.frames[one], self.frames[other] = self.frames[other], self.frames[one]

    @rule()
    def shuffle(self) -> None:
        self.chance.shuffle(self.frames)

    @precondition(lambda self: self.frames)
    @rule(splice=st.sampled_from(_SPLICES), length=st.integers(0, 40))
    def damage(self, splice: bytes, length: int) -> None:
        index = self._some()
        frame = self.frames[index]
        place = self.chance.randrange(len(frame) + 1)
        self.frames[index] = frame[:place] + splice + frame[place + length :]

    @precondition(lambda self: self.frames)
    @rule()
    def end_early(self) -> None:
        del self.frames[self._some() :]

    @rule(which=st.integers(0, len(_STREAMS) - 1))
    def mix(self, which: int) -> None:
        other = _STREAMS[which]
        self.frames.insert(self.chance.randrange(len(self.frames) + 1), self.chance.choice(other))

    def teardown(self) -> None:
        if not hasattr(self, "frames"):
            return
        damaged = b"".join(self.frames)
        whole = _read(damaged, lambda: 1 << 20)
        pieces = _read(damaged, lambda: self.chance.choice((1, 2, 7, 100, 3000)))
        assert whole == pieces, "what is read must not depend on how it is cut"


def _read(data: bytes, size: Callable[[], int]) -> tuple[object, ...]:
    engine = ResponseStream(limits=Limits(max_event_bytes=1 << 20))
    position, events = 0, list[object]()
    while position < len(data):
        step = size()
        engine.receive_data(data[position : position + step])
        events += engine.events_received()
        position += step
    engine.receive_eof()
    events += engine.events_received()
    outcome = engine.outcome
    assert outcome is not None
    return outcome.status, codec.dumps(outcome.response), codec.dumps(events), engine.cursor, engine.anomalies


TestDamagedStream = DamagedStream.TestCase
TestDamagedStream.settings = settings(stateful_step_count=8)

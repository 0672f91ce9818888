"""Real streams, shuffled, thinned, doubled and damaged: the engine survives them all, and always says how they ended.

``make test`` tries some of them, ``make fuzz`` a hundred thousand.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from tests.streams import clean, wire
from tests.support import shared

from responses_proto import Limits, codec
from responses_proto.protocol import ResponseStream
from responses_proto.testing.strategies import DAMAGES, damaged

if TYPE_CHECKING:
    from collections.abc import Callable

_LONGEST: Final = 64 * 1024  # bytes of a recording that is worth damaging: longer ones only repeat themselves
_RECORDED: Final = [
    path for path in sorted(shared("corpus", "streams").glob("*.sse")) if path.stat().st_size <= _LONGEST
]
_CAPTURED: Final = sorted(shared("dialects").glob("*/*-stream.http"))


def _streams() -> list[list[bytes]]:
    """Return streams as lists of frames: our own, and the recorded ones if they are present."""
    raw = [wire(clean()), *(path.read_bytes() for path in _RECORDED)]
    raw += [path.read_bytes().partition(b"\r\n\r\n")[2] for path in _CAPTURED]
    return [[frame + b"\n\n" for frame in stream.replace(b"\r\n", b"\n").split(b"\n\n") if frame] for stream in raw]


_STREAMS: Final = _streams()


class DamagedStream(RuleBasedStateMachine):
    """Damages one stream step by step; in the end it is read."""

    @initialize(which=st.integers(0, len(_STREAMS) - 1), seed=st.integers(0, 2**32))
    def begin(self, which: int, seed: int) -> None:
        self.frames = list(_STREAMS[which])
        self.chance = random.Random(seed)

    @precondition(lambda self: self.frames)
    @rule(name=st.sampled_from(sorted(DAMAGES)))
    def damage(self, name: str) -> None:
        DAMAGES[name](self.frames, self.chance)

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


@given(damaged(), st.randoms(use_true_random=False))
def test_what_was_made_by_the_tables_survives_damage_as_well(body: bytes, chance: random.Random) -> None:
    whole = _read(body, lambda: 1 << 20)
    assert whole == _read(body, lambda: chance.choice((1, 2, 7, 100, 3000)))


TestDamagedStream = DamagedStream.TestCase
TestDamagedStream.settings = settings(stateful_step_count=8)

"""Strategies for faulty streams, with frames that are dropped, duplicated, reordered or corrupted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hypothesis import strategies as st

from ._streams import streams

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from random import Random

    from hypothesis.strategies import DrawFn, SearchStrategy

_SPLICES: Final = (
    b"", b"\n", b"\n\n", b"\r", b": ping\n\n", b"data: [DONE]\n\n", b"data: {}\n\n", b"data: null\n\n", b"\xff", b"\x00", b"\xef\xbb\xbf",
    b'"', b"}", b"retry: 1\n", b"id: x\n",
)  # fmt: skip
_MAX_CUT: Final = 40  # bytes that a splice removes


def _drop(frames: list[bytes], random: Random) -> None:
    del frames[random.randrange(len(frames))]


def _double(frames: list[bytes], random: Random) -> None:
    frames.insert(random.randrange(len(frames)), random.choice(frames))


def _swap(frames: list[bytes], random: Random) -> None:
    one, other = random.randrange(len(frames)), random.randrange(len(frames))
    frames[one], frames[other] = frames[other], frames[one]


def _shuffle(frames: list[bytes], random: Random) -> None:
    random.shuffle(frames)


def _splice(frames: list[bytes], random: Random) -> None:
    index = random.randrange(len(frames))
    frame = frames[index]
    place = random.randrange(len(frame) + 1)
    frames[index] = frame[:place] + random.choice(_SPLICES) + frame[place + random.randint(0, _MAX_CUT) :]


def _end(frames: list[bytes], random: Random) -> None:
    del frames[random.randrange(len(frames)) :]


DAMAGES: Final[Mapping[str, Callable[[list[bytes], Random], None]]] = {
    "drop": _drop,
    "double": _double,
    "swap": _swap,
    "shuffle": _shuffle,
    "splice": _splice,
    "end": _end,
}
"""Name -> a function that damages a list of frames in place. The list must not be empty."""


def damaged(frames: SearchStrategy[list[bytes]] | None = None, *, max_damages: int = 8) -> SearchStrategy[bytes]:
    """Return a strategy for the bytes of streams with up to ``max_damages`` faults from :data:`DAMAGES`.

    ``frames``: a strategy for the streams to damage, each as a list of SSE frames; by default :func:`~.streams`.
    """
    return _with_damages(_frames if frames is None else frames, max_damages)


_frames: Final = streams(beyond=True).map(lambda stream: [frame + b"\n\n" for frame in stream.body.split(b"\n\n")[:-1]])


@st.composite
def _with_damages(draw: DrawFn, base: SearchStrategy[list[bytes]], max_damages: int) -> bytes:
    frames = list(draw(base))
    random = draw(st.randoms(use_true_random=False))
    for name in draw(st.lists(st.sampled_from(sorted(DAMAGES)), max_size=max_damages)):
        if frames:
            DAMAGES[name](frames, random)
    return b"".join(frames)

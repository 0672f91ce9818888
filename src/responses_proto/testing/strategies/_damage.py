"""Streams that no server should send: shuffled, thinned, doubled and damaged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hypothesis import strategies as st

from ._streams import streams

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from random import Random

    from hypothesis.strategies import DrawFn, SearchStrategy

__all__ = ["DAMAGES", "damaged_streams"]

_SPLICES: Final = (
    b"", b"\n", b"\n\n", b"\r", b": ping\n\n", b"data: [DONE]\n\n", b"data: {}\n\n", b"data: null\n\n", b"\xff", b"\x00", b"\xef\xbb\xbf",
    b'"', b"}", b"retry: 1\n", b"id: x\n",
)  # fmt: skip
_CUT: Final = 40  # bytes that are taken out at most where something is spliced in


def _drop(frames: list[bytes], chance: Random) -> None:
    del frames[chance.randrange(len(frames))]


def _double(frames: list[bytes], chance: Random) -> None:
    frames.insert(chance.randrange(len(frames)), chance.choice(frames))


def _swap(frames: list[bytes], chance: Random) -> None:
    one, other = chance.randrange(len(frames)), chance.randrange(len(frames))
    frames[one], frames[other] = frames[other], frames[one]


def _shuffle(frames: list[bytes], chance: Random) -> None:
    chance.shuffle(frames)


def _splice(frames: list[bytes], chance: Random) -> None:
    index = chance.randrange(len(frames))
    frame = frames[index]
    place = chance.randrange(len(frame) + 1)
    frames[index] = frame[:place] + chance.choice(_SPLICES) + frame[place + chance.randint(0, _CUT) :]


def _end(frames: list[bytes], chance: Random) -> None:
    del frames[chance.randrange(len(frames)) :]


DAMAGES: Final[Mapping[str, Callable[[list[bytes], Random], None]]] = {
    "drop": _drop,
    "double": _double,
    "swap": _swap,
    "shuffle": _shuffle,
    "splice": _splice,
    "end": _end,
}
"""Name -> what does it to the frames of a stream, of which there has to be one at least."""


def damaged_streams(
    frames: SearchStrategy[list[bytes]] | None = None, *, max_damages: int = 8
) -> SearchStrategy[bytes]:
    """Make the bytes of streams in which up to ``max_damages`` things went wrong, see :data:`DAMAGES`.

    ``frames`` are the streams to damage, each as the list of its frames; those of :func:`~.streams` if not given.
    """
    return _damaged(_frames if frames is None else frames, max_damages)


_frames: Final = streams(beyond=True).map(lambda stream: [frame + b"\n\n" for frame in stream.body.split(b"\n\n")[:-1]])


@st.composite
def _damaged(draw: DrawFn, base: SearchStrategy[list[bytes]], most: int) -> bytes:
    frames = list(draw(base))
    chance = draw(st.randoms(use_true_random=False))
    for name in draw(st.lists(st.sampled_from(sorted(DAMAGES)), max_size=most)):
        if frames:
            DAMAGES[name](frames, chance)
    return b"".join(frames)

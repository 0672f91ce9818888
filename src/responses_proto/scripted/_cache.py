"""Simulate the prompt cache of a model: the longest common prefix of a prompt and an earlier one is cached."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final, cast

from ..codec import dump, dumps
from ._request import count_tokens

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..models.items import Item
    from ..models.request import CreateResponse

_MAX_PREFIXES: Final = 4096  # the oldest are forgotten
_NOT_READ: Final = frozenset({"id", "status", "created_by", "annotations", "logprobs"})  # by the model


class PromptCache:
    """Remembers the beginnings of prompts, item by item."""

    def __init__(self) -> None:
        self._prefixes: OrderedDict[bytes, None] = OrderedDict()

    def tokens_read(self, request: CreateResponse, context: Sequence[Item]) -> int:
        """Return how many tokens of a prompt are cached, and cache the rest of it."""
        prefix = hashlib.blake2b(
            dumps([request.model or "", request.instructions or "", request.tools or []]), digest_size=16
        )
        cached = 0
        counted = count_tokens([], request.instructions or "")
        for item in context:
            prefix.update(dumps(_read(dump(item))))
            counted += count_tokens([item])
            key = prefix.digest()
            if key in self._prefixes:
                cached = counted
            self._prefixes[key] = None
            self._prefixes.move_to_end(key)
        while len(self._prefixes) > _MAX_PREFIXES:
            self._prefixes.popitem(last=False)
        return cached


def _read(value: Any) -> Any:
    """Return the parts of a JSON value that the model reads. A client may send an item back without the other parts."""
    if isinstance(value, dict):
        fields = cast("dict[str, Any]", value)
        return {
            name: _read(inner) for name, inner in sorted(fields.items()) if name not in _NOT_READ and inner is not None
        }
    return [_read(inner) for inner in cast("Any", value)] if isinstance(value, list) else value

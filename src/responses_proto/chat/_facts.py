"""Read the parts of Chat Completions chunks that differ by provider: usage, log probabilities, citations, content, errors.

The functions accept any JSON value, and ignore invalid data.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

from ..models.content import LogProb, TopLogProb, UrlCitation
from ..models.response import InputTokensDetails, OutputTokensDetails, Usage
from ..typing import UNSET

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_Wire: TypeAlias = "Mapping[str, Any]"


_NOTHING: Final[_Wire] = {}


def mapping(value: object) -> _Wire:
    """Return ``value`` if it is a JSON object, else an empty object."""
    return cast("_Wire", value) if isinstance(value, dict) else _NOTHING


def objects(value: object) -> list[_Wire]:
    """Return the JSON objects in a list; ``[]`` if ``value`` is not a list."""
    if not isinstance(value, list):
        return []
    return [cast("_Wire", one) for one in cast("list[object]", value) if isinstance(one, dict)]


def string(value: object) -> str:
    """Return ``value`` if it is a string, else an empty string."""
    return value if isinstance(value, str) else ""


def count(value: object) -> int:
    """Return a number of tokens, which may be given as a string; zero if it is invalid."""
    if isinstance(value, str) and value.isdecimal() and len(value) <= _MAX_DIGITS:
        return int(value)
    return max(0, int(_number(value)))


_MAX_DIGITS: Final = 18  # of a number of tokens


# ---- the choice


def choices_of(chunk: _Wire, index: object = None) -> list[_Wire]:
    """Return the choices with an index; by default that of the first choice. Some servers split one choice into several objects."""
    found = objects(chunk.get("choices"))
    if len(found) == 1 and index is not None:  # as in nearly every chunk
        return found if (found[0].get("index") or 0) == index else []
    indices = [one.get("index") or 0 for one in found]
    if index is None and indices:
        index = 0 if 0 in indices else indices[0]
    return [one for one, its_own in zip(found, indices, strict=True) if its_own == index]


# ---- content

REASONING_FIELDS: Final = ("reasoning_content", "reasoning", "reasoning_text", "thinking", "thinking_blocks")


def reasoning_text(delta: _Wire) -> str:
    """Return the reasoning text of a delta, from the first field that has it. Some servers repeat it in several fields."""
    return next((text for name in REASONING_FIELDS if (text := _said_in(delta.get(name)))), "")


def _said_in(value: object) -> str:
    return value if isinstance(value, str) else "".join(text for _, text in parts_of(value))


def parts_of(content: object) -> Iterator[tuple[str, str]]:
    """Yield the parts of content as pairs of kind and text. The kind is ``text``, ``reasoning``, ``refusal`` or ``image`` (a URL)."""
    if isinstance(content, int | float) and not isinstance(content, bool):  # JSON output that a server has decoded
        content = repr(content)
    values = cast("list[object]", content) if isinstance(content, list) else [content]
    for part in ({"text": one} if isinstance(one, str) else mapping(one) for one in values):
        match part.get("type"):
            case "thinking" | "reasoning":
                inner = next((part[key] for key in ("thinking", "reasoning", "text", "summary") if part.get(key)), "")
                for _, text in [("", inner)] if isinstance(inner, str) else parts_of(inner):
                    yield "reasoning", text
            case "refusal":
                yield "refusal", string(part.get("refusal"))
            case "image_url":
                yield "image", image_url(part)
            case _:
                said = part.get("text") or part.get("content")
                yield "text", string(said) or string(mapping(said).get("value"))


def image_url(part: _Wire) -> str:
    """Return the URL of an image part, which may be a string or an object; empty if it has none."""
    image = part.get("image_url")
    return image if isinstance(image, str) else string(mapping(image).get("url"))


def image_urls(delta: _Wire) -> list[str]:
    """Return the URLs of the images that a delta adds."""
    return [url for part in objects(delta.get("images")) if (url := image_url(part))]


def citations(delta: _Wire) -> list[UrlCitation]:
    """Return the citations of web pages in a delta or chunk."""
    found = [UrlCitation(url=url, title="", start_index=0, end_index=0) for url in _texts(delta.get("citations"))]
    for annotation in objects(delta.get("annotations")):
        cited = mapping(annotation.get("url_citation")) or annotation
        if annotation.get("type") == "url_citation" and string(cited.get("url")):
            found.append(
                UrlCitation(
                    url=string(cited.get("url")),
                    title=string(cited.get("title")),
                    start_index=count(cited.get("start_index")),
                    end_index=count(cited.get("end_index")),
                )
            )
    return found


def _texts(value: object) -> list[str]:
    values = cast("list[object]", value) if isinstance(value, list) else []
    return [one for one in values if isinstance(one, str)]


# ---- log probabilities


def logprobs(choice: _Wire) -> list[LogProb]:
    """Return the log probabilities of a choice, in the current format or in that of the legacy completions API."""
    value = mapping(choice.get("logprobs"))
    content = value.get("content")
    if isinstance(content, list):
        return [_logprob(one) for one in objects(cast("object", content))]
    return list(_legacy_logprobs(value))


def _logprob(value: _Wire) -> LogProb:
    return LogProb(
        token=string(value.get("token")),
        logprob=_number(value.get("logprob")),
        bytes=_bytes(value.get("bytes")),
        top_logprobs=[
            TopLogProb(
                token=string(top.get("token")), logprob=_number(top.get("logprob")), bytes=_bytes(top.get("bytes"))
            )
            for top in objects(value.get("top_logprobs"))
        ],
    )


def _legacy_logprobs(value: _Wire) -> Iterator[LogProb]:
    tokens, numbers, tops = value.get("tokens"), value.get("token_logprobs"), value.get("top_logprobs")
    if not isinstance(tokens, list) or not isinstance(numbers, list):
        return
    alternatives = cast("Sequence[object]", tops) if isinstance(tops, list) else ()
    for index, (token, number) in enumerate(
        zip(cast("list[object]", tokens), cast("list[object]", numbers), strict=False)
    ):
        top = mapping(alternatives[index] if index < len(alternatives) else None)
        yield LogProb(
            token=string(token),
            logprob=_number(number),
            top_logprobs=[TopLogProb(token=name, logprob=_number(one)) for name, one in top.items()],
        )


def _number(value: object) -> float:
    """Return ``value`` if it is a number; zero if it is anything else, or too large for a float."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0.0
    return value if abs(value) <= sys.float_info.max else 0.0


def _bytes(value: object) -> Any:
    values = cast("list[object]", value) if isinstance(value, list) else []
    return [one for one in values if isinstance(one, int) and not isinstance(one, bool)] if values else UNSET


# ---- usage


def usage_of(chunk: _Wire, choice: _Wire) -> _Wire:
    """Return the usage in a chunk or its choice, from any of its known places; empty if there is none."""
    found = chunk.get("usage") or choice.get("usage") or mapping(chunk.get("x_groq")).get("usage")
    if found:
        return mapping(found)
    timings = mapping(chunk.get("timings"))
    if "predicted_n" in timings:
        cached = count(timings.get("cache_n"))
        return {
            "prompt_tokens": count(timings.get("prompt_n")) + cached,
            "completion_tokens": count(timings.get("predicted_n")),
            "prompt_tokens_details": {"cached_tokens": cached},
        }
    return {}


_COUNTS: Final = (
    "prompt_tokens",
    "input_tokens",
    "completion_tokens",
    "output_tokens",
    "total_tokens",
    "reasoning_tokens",
    "cached_tokens",
    "prompt_cache_hit_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
)
_DETAILS: Final = {
    "prompt_tokens_details": ("cached_tokens", "cache_write_tokens", "cache_creation_tokens"),
    "completion_tokens_details": ("reasoning_tokens",),
}


def merged_usage(before: _Wire, after: _Wire) -> dict[str, Any]:
    """Merge two usages. The later one takes precedence, except where it has no value or zero."""
    merged = _merged(before, after, _COUNTS)
    for name, counts in _DETAILS.items():
        merged[name] = _merged(mapping(before.get(name)), mapping(after.get(name)), counts)
    return merged


def _merged(before: _Wire, after: _Wire, counts: Sequence[str]) -> dict[str, Any]:
    found = {name: after.get(name) or before.get(name, after.get(name)) for name in counts}
    return {name: value for name, value in found.items() if value is not None}


def as_usage(value: _Wire) -> Usage:
    """Return a usage in the format of the Responses API."""
    given, made = mapping(value.get("prompt_tokens_details")), mapping(value.get("completion_tokens_details"))
    input_tokens = count(value.get("prompt_tokens", value.get("input_tokens")))
    output_tokens = count(value.get("completion_tokens", value.get("output_tokens")))
    reasoning = count(made.get("reasoning_tokens", value.get("reasoning_tokens")))
    total = count(value.get("total_tokens"))
    if total > input_tokens + output_tokens:
        # If the completion tokens do not include the reasoning, the total does.
        reasoning = max(reasoning, total - input_tokens - output_tokens)
        output_tokens = total - input_tokens
    cached = _first(
        given.get("cached_tokens"),
        *(value.get(name) for name in ("cached_tokens", "prompt_cache_hit_tokens", "cache_read_input_tokens")),
    )
    written = _first(
        given.get("cache_write_tokens"), given.get("cache_creation_tokens"), value.get("cache_creation_input_tokens")
    )
    return Usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        total_tokens=input_tokens + output_tokens,
        input_tokens_details=InputTokensDetails(cached_tokens=cached, cache_write_tokens=written),
        output_tokens_details=OutputTokensDetails(reasoning_tokens=min(reasoning, output_tokens)),
    )


def _first(*numbers: object) -> int:
    """Return the first number of tokens that is not zero; zero if there is none."""
    return next((number for value in numbers if (number := count(value))), 0)


# ---- errors


_BARE_ERRORS: Final = ("message", "msg", "detail", "errors", "error_message")


def error_in(chunk: _Wire, choice: _Wire, event: str = "") -> Any:
    """Return the error in a chunk, for ``api_error_from``; ``None`` if there is none. The whole chunk may be the error."""
    # MiniMax sends `base_resp` in each chunk; code 0 means success.
    if chunk.get("error") or mapping(chunk.get("base_resp")).get("status_code"):
        return dict(chunk)
    said = choice.get("error") or mapping(chunk.get("x_groq")).get("error")
    if said:
        return {"error": said}
    if event == "error" or chunk.get("object") == "error" or chunk.get("type") == "error":
        return dict(chunk)
    is_bare = not chunk.get("choices") and any(chunk.get(key) for key in _BARE_ERRORS)
    return dict(chunk) if is_bare and not usage_of(chunk, choice) else None

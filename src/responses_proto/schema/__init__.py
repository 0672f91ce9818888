"""Python types, JSON Schema and values: structured output and partial JSON. Nothing here awaits.

:func:`text_format` turns a Python type into the request's ``text.format``; :func:`structure` reads the model's answer back
into that type. :func:`partial_json` reads JSON that is still being written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy import lazy_exports

if TYPE_CHECKING:
    __all__: list[str]

    from .partial import PartialJSON as PartialJSON
    from .partial import PartialSource as PartialSource
    from .partial import partial_json as partial_json
    from .structured import Incomplete as Incomplete
    from .structured import Invalid as Invalid
    from .structured import Parameter as Parameter
    from .structured import Parsed as Parsed
    from .structured import ParseResult as ParseResult
    from .structured import PartialOutput as PartialOutput
    from .structured import Refused as Refused
    from .structured import Structured as Structured
    from .structured import answer_text as answer_text
    from .structured import json_schema as json_schema
    from .structured import parse_response as parse_response
    from .structured import structure as structure
    from .structured import text_format as text_format
    from .structured import with_text_format as with_text_format
else:
    __all__, __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            ".partial": ("PartialJSON", "PartialSource", "partial_json"),
            ".structured": (
                "Incomplete",
                "Invalid",
                "Parameter",
                "ParseResult",
                "Parsed",
                "PartialOutput",
                "Refused",
                "Structured",
                "answer_text",
                "json_schema",
                "parse_response",
                "structure",
                "text_format",
                "with_text_format",
            ),
        },
    )

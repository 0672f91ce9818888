"""Convert Python types to JSON Schema, and JSON text to Python values: structured output and partial JSON.

:func:`text_format` converts a Python type to the ``text.format`` of a request; :func:`structure` parses the answer of the model
as that type. :func:`json_schema` also describes the models of the wire. :func:`partial_json` parses JSON that is not complete yet.
Nothing in this package awaits.
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
    from .structured import PartialElements as PartialElements
    from .structured import PartialOutput as PartialOutput
    from .structured import Refused as Refused
    from .structured import Structured as Structured
    from .structured import answer_text as answer_text
    from .structured import json_schema as json_schema
    from .structured import parse_response as parse_response
    from .structured import register_type as register_type
    from .structured import structure as structure
    from .structured import structured_for as structured_for
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
                "PartialElements",
                "PartialOutput",
                "Refused",
                "Structured",
                "answer_text",
                "json_schema",
                "parse_response",
                "register_type",
                "structure",
                "structured_for",
                "text_format",
                "with_text_format",
            ),
        },
    )

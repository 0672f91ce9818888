"""Anomalies: deviations of a peer from the protocol that decoding tolerates.

Lenient mode reports an anomaly and goes on; strict mode raises an error instead. The code of an anomaly is the id of the
rule that was broken; see :mod:`responses_proto.rules`.
"""

from __future__ import annotations

from typing import Final

import attrs

from .rules import RULES

__all__ = ["ANOMALY_CODES", "Anomaly"]


@attrs.frozen
class Anomaly:
    """One deviation from the protocol."""

    code: str
    """A key of :data:`ANOMALY_CODES`."""
    path: str = "$"
    """The JSONPath of the value (``$.item.content[0].text``); in a stream, the event's type comes before it."""
    detail: str = ""
    """A description for people. Its wording may change."""


ANOMALY_CODES: Final[dict[str, str]] = {
    rule.id: rule.broken for rule in RULES.values() if rule.found_by in ("decoder", "engine")
}
"""Code -> meaning, for the rules that the decoder and the engine check. In strict mode each of them raises."""

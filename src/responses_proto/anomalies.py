"""Findings: what a peer sent that the protocol does not provide for, and that was survived.

In lenient mode a finding is reported and the work goes on; in strict mode the same finding is an error.
Each kind of finding has a code: the id of the rule that was broken, see :mod:`responses_proto.rules`.
"""

from __future__ import annotations

from typing import Final

import attrs

from .rules import RULES

__all__ = ["ANOMALY_CODES", "Anomaly"]


@attrs.frozen
class Anomaly:
    """One finding.

    ``code`` is a key of :data:`ANOMALY_CODES`; ``path`` says where, in JSONPath (``$.item.content[0].text``),
    in a stream with the event's type before it; ``detail`` is for people, its wording is no contract.
    """

    code: str
    path: str = "$"
    detail: str = ""


ANOMALY_CODES: Final[dict[str, str]] = {
    rule.id: rule.broken for rule in RULES.values() if rule.found_by in ("decoder", "engine")
}
"""Code -> meaning, for the rules that a client minds. In strict mode each of these raises."""

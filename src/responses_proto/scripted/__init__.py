"""A scripted model for development and tests. It needs no key and no network, and always answers the same request in the same way.

:class:`Scripted` is a handler for :class:`~responses_proto.server.ResponsesApp`. :class:`ScriptRules` and the markers in
:data:`MARKERS` control its answers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy import lazy_exports

if TYPE_CHECKING:
    __all__: list[str]

    from .markers import MARKERS as MARKERS
    from .markers import Marker as Marker
    from .markers import read_markers as read_markers
    from .model import MODEL as MODEL
    from .model import Scripted as Scripted
    from .script import Condition as Condition
    from .script import RuleStep as RuleStep
    from .script import ScriptError as ScriptError
    from .script import ScriptFailure as ScriptFailure
    from .script import ScriptRule as ScriptRule
    from .script import ScriptRules as ScriptRules
else:
    __all__, __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            ".markers": ("MARKERS", "Marker", "read_markers"),
            ".model": ("MODEL", "Scripted"),
            ".script": ("Condition", "RuleStep", "ScriptError", "ScriptFailure", "ScriptRule", "ScriptRules"),
        },
    )

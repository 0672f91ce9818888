"""Chat Completions and the Responses API, each as the other: the Responses API in front of any provider of Chat Completions.

:func:`to_chat` translates a request, :class:`ChatDecoder` what the provider answers; both are pure. A :class:`ChatProfile` states what a
provider understands.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy import lazy_exports

if TYPE_CHECKING:
    __all__: list[str]

    from .decoder import ChatDecoder as ChatDecoder
    from ._calls import HostedCallMade as HostedCallMade
    from ._calls import McpCallMade as McpCallMade
    from .profiles import PROFILES as PROFILES
    from .profiles import ChatProfile as ChatProfile
    from .profiles import find_profile as find_profile
    from .profiles import profile_for as profile_for
    from .translation import to_chat as to_chat
else:
    __all__, __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            "._calls": ("HostedCallMade", "McpCallMade"),
            ".decoder": ("ChatDecoder",),
            ".profiles": ("PROFILES", "ChatProfile", "find_profile", "profile_for"),
            ".translation": ("to_chat",),
        },
    )

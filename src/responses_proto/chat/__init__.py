"""Translation between the Responses API and Chat Completions: use any provider of Chat Completions through the Responses API.

:func:`to_chat` translates a request, :class:`ChatDecoder` the provider's answer; both are free of I/O. A :class:`ChatProfile` describes
the capabilities of a provider. :class:`ChatBridge` is a server, :func:`chat_client` a client in this process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy import lazy_exports

if TYPE_CHECKING:
    __all__: list[str]

    from ._calls import HostedCallMade as HostedCallMade
    from ._calls import McpCallMade as McpCallMade
    from ._server_tools import ToolBounds as ToolBounds
    from .bridge import ChatBridge as ChatBridge
    from .decoder import ChatDecoder as ChatDecoder
    from .local import chat_client as chat_client
    from .profiles import PROFILES as PROFILES
    from .profiles import ChatProfile as ChatProfile
    from .profiles import find_profile as find_profile
    from .profiles import profile_for as profile_for
    from .translation import to_chat as to_chat
    from .upstream import ChatAnswer as ChatAnswer
    from .upstream import ChatUpstream as ChatUpstream
else:
    __all__, __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            "._calls": ("HostedCallMade", "McpCallMade"),
            "._server_tools": ("ToolBounds",),
            ".bridge": ("ChatBridge",),
            ".decoder": ("ChatDecoder",),
            ".local": ("chat_client",),
            ".profiles": ("PROFILES", "ChatProfile", "find_profile", "profile_for"),
            ".translation": ("to_chat",),
            ".upstream": ("ChatAnswer", "ChatUpstream"),
        },
    )

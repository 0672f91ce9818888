from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager

from mcp.client.session import ClientSession

class SubscriptionLost(RuntimeError): ...  # noqa: N818 - its own name

def listen(
    session: ClientSession, *, tools_list_changed: bool = False
) -> AbstractAsyncContextManager[AsyncIterator[object]]: ...

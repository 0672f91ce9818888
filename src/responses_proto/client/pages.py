"""Lists that come in pages, as one sequence of items."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Self

from ..exceptions import RemoteProtocolError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from ..models.items import Item

__all__ = ["ItemPages", "Page"]


class Page(Protocol):
    """What is used of a page: ``ResponseItemList`` and ``ConversationItemList`` fit."""

    @property
    def data(self) -> list[Item]:
        """The items."""
        ...

    @property
    def last_id(self) -> str | None:
        """Where the next page begins."""
        ...

    @property
    def has_more(self) -> bool:
        """Whether there is one."""
        ...


class ItemPages:
    """The items of a response's input, or of a conversation: ``async for item in client.input_items(id)``.

    Pages are fetched when they are needed, so each step may raise what a request raises. A step that raised can be repeated.
    :attr:`after` is where another iteration can go on. One task iterates at a time.
    """

    __slots__ = ("_after", "_fetch", "_has_more", "_items", "_last")

    def __init__(self, fetch: Callable[[str | None], Awaitable[Page]], *, after: str | None = None) -> None:
        # `fetch` gives the page that follows an id.
        self._fetch = fetch
        self._after = after
        self._last = after
        self._has_more = True
        self._items: Iterator[Item] = iter(())

    @property
    def after(self) -> str | None:
        """The id of the last item that was handed out; what ``after`` was at first if there was none yet."""
        return self._last

    @property
    def has_more(self) -> bool:
        """Whether the server has more pages than were fetched; true before the first one."""
        return self._has_more

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Item:
        while True:
            for item in self._items:
                self._last = getattr(item, "id", None) or self._last
                return item
            page = await self.next_page()
            if page is None:
                raise StopAsyncIteration
            self._items = iter(page.data)

    async def next_page(self) -> Page | None:
        """Fetch the next page, for who wants pages instead of items; ``None`` after the last one.

        Raises ``RemoteProtocolError`` for a server that gives the same page for ever.
        """
        if not self._has_more:
            return None
        page = await self._fetch(self._after)
        last = page.last_id or (getattr(page.data[-1], "id", None) if page.data else None) or None
        if page.has_more and page.data and (not last or last == self._after):
            raise RemoteProtocolError(f"the server says that there is more after {last!r}, but not how to get there")
        self._has_more = page.has_more and bool(page.data)
        self._after = last or self._after
        return page

"""Iterate over a list that the server returns in pages, as one sequence of items."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Self

from ..exceptions import RemoteProtocolError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from ..models.items import Item

__all__ = ["ItemPages", "Page"]


class Page(Protocol):
    """One page of a list: ``ResponseItemList`` or ``ConversationItemList``."""

    @property
    def data(self) -> list[Item]:
        """The items."""
        ...

    @property
    def last_id(self) -> str | None:
        """The id after which the next page begins."""
        ...

    @property
    def has_more(self) -> bool:
        """Whether there is another page."""
        ...


class ItemPages:
    """The input items of a response, or the items of a conversation: ``async for item in client.input_items(id)``.

    Pages are fetched when they are needed, so each step may raise what a request raises. A step that raised can be repeated.
    To continue later, pass :attr:`after` to the method that returned this object. Only one task may iterate at a time.
    """

    __slots__ = ("_fetch", "_has_more", "_items", "_last_item_id", "_page_after")

    def __init__(self, fetch: Callable[[str | None], Awaitable[Page]], *, after: str | None = None) -> None:
        # `fetch` returns the page that follows an id; `None` is the start of the list.
        self._fetch = fetch
        self._page_after = after
        self._last_item_id = after
        self._has_more = True
        self._items: Iterator[Item] = iter(())

    @property
    def after(self) -> str | None:
        """The id of the last item that was yielded; before the first one, the ``after`` that was passed."""
        return self._last_item_id

    @property
    def has_more(self) -> bool:
        """Whether the server has pages that were not fetched; true before the first fetch."""
        return self._has_more

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Item:
        while True:
            for item in self._items:
                self._last_item_id = getattr(item, "id", None) or self._last_item_id
                return item
            page = await self.next_page()
            if page is None:
                raise StopAsyncIteration
            self._items = iter(page.data)

    async def next_page(self) -> Page | None:
        """Fetch and return the next page; return ``None`` after the last one.

        Raises what a request raises, and ``RemoteProtocolError`` if the server announces more items but gives no id to continue
        after, or repeats the previous id, which would never end.
        """
        if not self._has_more:
            return None
        page = await self._fetch(self._page_after)
        last = page.last_id or (getattr(page.data[-1], "id", None) if page.data else None) or None
        if page.has_more and page.data and (not last or last == self._page_after):
            raise RemoteProtocolError(
                f"the server has more items, but no new id to continue after: the page after "
                f"{self._page_after!r} ends with {last!r}"
            )
        self._has_more = page.has_more and bool(page.data)
        self._page_after = last or self._page_after
        return page

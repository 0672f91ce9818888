from typing import Literal

from rich.text import Text

class Table:
    def __init__(self, *headers: str, box: None = ..., pad_edge: bool = True) -> None: ...
    def add_column(
        self,
        header: str = "",
        *,
        overflow: Literal["fold", "crop", "ellipsis", "ignore"] = "ellipsis",
        no_wrap: bool = False,
    ) -> None: ...
    def add_row(self, *renderables: Text | str | None) -> None: ...

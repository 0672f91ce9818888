"""Loading a package's public names when they are first used.

Importing ``responses_proto`` must not import httpx, anyio or the models. Each package therefore lists where its public names
live, and :func:`lazy_exports` makes the module-level hooks (PEP 562) that import a name's module on first access.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Hooks: TypeAlias = "tuple[list[str], Callable[[str], Any], Callable[[], list[str]]]"

__all__ = ["lazy_exports"]


def lazy_exports(package: str, homes: Mapping[str, Sequence[str]], *, extras: Sequence[str] = ()) -> Hooks:
    """Return ``__all__``, ``__getattr__`` and ``__dir__`` for a package.

    ``homes`` maps a module, relative to the package (``".client"``), to the names it provides. Under ``"."`` stand the
    submodules that are public themselves. ``extras`` are submodules that need an optional dependency: they are loaded on access
    like the others, but ``from package import *`` leaves them alone.
    """
    public = {name: home for home, names in homes.items() for name in names}
    home_of = {**public, **dict.fromkeys(extras, ".")}

    def __getattr__(name: str) -> Any:  # noqa: N807 - it becomes the package's own
        home = home_of.get(name)
        if home is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        if home == ".":
            return importlib.import_module(f".{name}", package)  # the import system sets the attribute
        value = getattr(importlib.import_module(home, package), name)
        setattr(sys.modules[package], name, value)  # the next look-up does not come here
        return value

    def __dir__() -> list[str]:  # noqa: N807 - it becomes the package's own
        return sorted({*vars(sys.modules[package]), *home_of})

    return sorted(public), __getattr__, __dir__

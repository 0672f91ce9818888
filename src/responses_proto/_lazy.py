"""Import a package's public names on first use.

Importing ``responses_proto`` must not import httpx, anyio or the models. Each package therefore lists the modules of its
public names, and :func:`lazy_exports` creates the module-level hooks (PEP 562) that import a module on first access.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    _ModuleHooks: TypeAlias = "tuple[list[str], Callable[[str], Any], Callable[[], list[str]]]"


def lazy_exports(package: str, modules: Mapping[str, Sequence[str]], *, extras: Sequence[str] = ()) -> _ModuleHooks:
    """Return ``__all__``, ``__getattr__`` and ``__dir__`` for a package.

    ``modules`` maps a module, relative to the package (``".client"``), to the names it provides; ``"."`` lists the public
    submodules. ``extras`` are submodules that need an optional dependency: they are loaded on access like the others, but
    ``from package import *`` does not load them.
    """
    public = {name: module for module, names in modules.items() for name in names}
    module_of = {**public, **dict.fromkeys(extras, ".")}

    def __getattr__(name: str) -> Any:  # noqa: N807 - it becomes the package's hook
        module = module_of.get(name)
        if module is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        if module == ".":
            return importlib.import_module(f".{name}", package)  # the import system sets the attribute
        value = getattr(importlib.import_module(module, package), name)
        setattr(sys.modules[package], name, value)  # later accesses skip this hook
        return value

    def __dir__() -> list[str]:  # noqa: N807 - it becomes the package's hook
        return sorted({*vars(sys.modules[package]), *module_of})

    return sorted(public), __getattr__, __dir__

"""Generate the tables of the documentation, and the listings of public names, from the code.

A page names a table or a listing in a comment, and :func:`expand` replaces the comment::

    <!-- table: limits -->
    <!-- api: responses_proto.client -->
    <!-- api: responses_proto.models events -->

``python docs/tables.py limits`` prints one table.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import attrs

from responses_proto import exceptions
from responses_proto.anomalies import ANOMALY_CODES
from responses_proto.client import RetryPolicy, Timeouts
from responses_proto.limits import Limits
from responses_proto.models import CONTENT_TYPES, EVENT_TYPES, ITEM_TYPES, TOOL_TYPES
from responses_proto.providers import PROVIDERS
from responses_proto.rules import RULES
from responses_proto.scripted import MARKERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

__all__ = ["FOLDERS", "TABLES", "api", "expand", "public_names"]

FOLDERS: Final = (
    "responses_proto.typing",
    "responses_proto.client",
    "responses_proto.client.transport",
    "responses_proto.client.otel",
    "responses_proto.tools",
    "responses_proto.tools.mcp",
    "responses_proto.schema",
    "responses_proto.models",
    "responses_proto.codec",
    "responses_proto.protocol",
    "responses_proto.protocol.websocket",
    "responses_proto.server",
    "responses_proto.server.stores",
    "responses_proto.chat",
    "responses_proto.scripted",
    "responses_proto.testing",
    "responses_proto.testing.strategies",
    "responses_proto.exceptions",
    "responses_proto.limits",
    "responses_proto.rules",
    "responses_proto.anomalies",
    "responses_proto.providers",
    "responses_proto",
)
"""All modules that users import from. A name that several of them export is described under the first."""

_COMMENT: Final = re.compile(r"^<!-- (table|api): (.+?) -->$", re.MULTILINE)
_ROLE: Final = re.compile(r":[a-z:]+:`~?\.*([^`<]+?)`")
_SHORT: Final = 300  # the longest value of a constant, in characters of source, that a listing shows


def expand(text: str) -> str:
    """Return a page with its tables and listings in place."""

    def part(match: re.Match[str]) -> str:
        if match[1] == "table":
            return "\n".join(TABLES[match[2]]())
        return "\n".join(("```{eval-rst}", *api(*match[2].split()), "```"))

    return _COMMENT.sub(part, text)


# ---- tables


def _table(head: str, rows: Iterable[Iterable[str]]) -> Iterator[str]:
    yield head
    yield "|" + "---|" * (head.count("|") - 1)
    for row in rows:
        yield "| " + " | ".join(cell.replace("\n", " ").replace("|", "\\|") for cell in row) + " |"


def _markdown(text: str) -> str:
    """Return a docstring, or a part of one, as Markdown."""
    text = _ROLE.sub(lambda match: f"`{match[1].rpartition('.')[2]}`", inspect.cleandoc(text))
    return text.replace("``", "`")


def _first_sentence(obj: object) -> str:
    text = _markdown(inspect.getdoc(obj) or "").split("\n\n")[0].replace("\n", " ")
    return re.split(r"(?<=[.!?])\s(?=[A-Z`])", text)[0]


def _settings(cls: Any) -> Iterator[str]:
    notes = _attribute_notes(cls)
    rows = ((f"`{one.name}`", _amount(one.name, one.default), _markdown(notes[one.name])) for one in attrs.fields(cls))
    return _table("| field | default | |", rows)


def _amount(name: str, value: object) -> str:
    if value is None:
        return "no bound"
    if not isinstance(value, int):
        return f"{value:g} s"
    if name.endswith("_bytes"):
        return f"{value // (1024 * 1024)} MiB"
    return f"{value:,}".replace(",", "\N{NO-BREAK SPACE}")


def _retry() -> Iterator[str]:
    notes = _attribute_notes(RetryPolicy)
    rows = ((f"`{one.name}`", f"{one.default:g}", _markdown(notes[one.name])) for one in attrs.fields(RetryPolicy))
    return _table("| field | default | |", rows)


def _types(registry: Mapping[str, type]) -> Iterator[str]:
    return _table(
        "| type | class | |", ((f"`{name}`", _link(cls), _first_sentence(cls)) for name, cls in registry.items())
    )


def _events() -> Iterator[str]:
    shared = {"extra", "sequence_number", "stream_id", "agent"}
    rows = (
        (
            f"`{name}`",
            _link(cls),
            ", ".join(f"`{field.name}`" for field in attrs.fields(cls) if field.name not in shared),
        )
        for name, cls in EVENT_TYPES.items()
    )
    return _table("| type | class | fields |", rows)


def _link(cls: type) -> str:
    return f"{{py:class}}`{cls.__name__} <responses_proto.models.{cls.__name__}>`"


def _exceptions() -> Iterator[str]:
    def lines(cls: type[Exception], level: int) -> Iterator[str]:
        indent = "  " * level
        yield f"{indent}- {{py:class}}`{cls.__name__} <responses_proto.exceptions.{cls.__name__}>`: {_first_sentence(cls)}"
        for derived in cls.__subclasses__():
            if derived.__module__ == exceptions.__name__:
                yield from lines(derived, level + 1)

    return lines(exceptions.ResponsesProtoError, 0)


def _environment() -> Iterator[str]:
    rows = [
        ("`RESPONSES_BASE_URL`", "any", "The base URL, if none is passed to the client."),
        ("`RESPONSES_API_KEY`", "any", "The API key, if none is passed to the client."),
        ("`MODEL`", "any", "The model of the command line and of the examples."),
    ]
    for provider in PROVIDERS.values():
        rows += [(f"`{name}`", provider.name, "The base URL.") for name in provider.base_url_env]
        rows += [(f"`{name}`", provider.name, "The API key.") for name in provider.key_env]
        rows += [(f"`{path}`", provider.name, "A file with the API key.") for path in provider.key_file]
        if provider.key_off_env:
            rows.append((f"`{provider.key_off_env}`", provider.name, "If true, only keys that are passed are used."))
    return _table("| variable | provider | what it sets |", rows)


def _providers() -> Iterator[str]:
    rows = (
        (
            f"`{provider.name}`",
            f"`{provider.base_url}`" if provider.base_url else "`base_url=`",
            ", ".join(f"`{name}`" for name in provider.key_env) + ("" if provider.key_needed else " (optional)"),
            "yes" if provider.stores else "no",
        )
        for provider in PROVIDERS.values()
    )
    yield from _table("| provider | base URL | key | stores |", rows)
    yield ""
    for provider in PROVIDERS.values():
        if provider.input_items:
            yield f"- As input, `{provider.name}` takes only {', '.join(f'`{name}`' for name in sorted(provider.input_items))}."


def _commands() -> Iterator[str]:
    import typer  # noqa: PLC0415 - an extra, which only this table needs

    from responses_proto.cli import app  # noqa: PLC0415 - as above

    main: Any = typer
    commands: dict[str, Any] = main.main.get_command(app).commands
    for name, command in commands.items():
        parameters: list[Any] = command.params
        arguments = " ".join(_argument(one) for one in parameters if one.param_type_name == "argument")
        yield f"### {name}"
        yield ""
        yield f"`responses-proto {f'{name} {arguments}'.strip()}`"
        yield ""
        yield from _markdown(command.help or "").splitlines()
        yield ""
        rows = [(_option(one), f"{one.help}{_default(one)}") for one in parameters if getattr(one, "help", None)]
        if rows:
            yield from _table("| option | |", rows)
            yield ""


def _measured() -> dict[str, Any]:
    """Return what ``make bench`` wrote for the newest release."""
    return cast("dict[str, Any]", json.loads((Path(__file__).parent / "performance.json").read_text(encoding="utf-8")))


def _ratios() -> Iterator[str]:
    rows = (
        (row["name"], f"{row['median']:.2f}", "{:.2f} to {:.2f}".format(*row["quartiles"]), row["bar"], ("yes" if row["met"] else "**no**") if row["bar"] else "")
        for row in _measured()["ratios"]
    )  # fmt: skip
    return _table("| ratio | median | quartiles | bar | holds |", rows)


def _profile() -> Iterator[str]:
    rows = (
        (f"`{row['event']}`" if "." in row["event"] else row["event"], f"{row['share']:.0%}", str(row["events"]), f"{row['microseconds']:.1f}")
        for row in _measured()["profile"]
    )  # fmt: skip
    return _table("| event | share | events | µs each |", rows)


def _argument(parameter: Any) -> str:
    name = str(parameter.name).upper()
    return name if parameter.required else f"[{name}]"


def _option(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"`{str(parameter.name).upper()}`"
    return ", ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))


def _default(parameter: Any) -> str:
    if parameter.default in (None, False, ()) or callable(parameter.default):
        return ""
    default = getattr(parameter.default, "value", parameter.default)
    return "" if parameter.required else f" Default: `{default}`."


TABLES: Final[Mapping[str, Callable[[], Iterator[str]]]] = {
    "limits": lambda: _settings(Limits),
    "timeouts": lambda: _settings(Timeouts),
    "retry": _retry,
    "events": _events,
    "items": lambda: _types(ITEM_TYPES),
    "tools": lambda: _types(TOOL_TYPES),
    "content": lambda: _types(CONTENT_TYPES),
    "exceptions": _exceptions,
    "environment": _environment,
    "providers": _providers,
    "commands": _commands,
    "markers": lambda: _table(
        "| marker | effect |",
        ((f"`[{f'{one.name} {one.arguments}'.strip()}]`", one.effect) for one in MARKERS),
    ),
    "rules": lambda: _table(
        "| rule | found by | what is wrong if it is broken | source |",
        ((f"`{one.id}`", one.found_by, one.broken, one.section) for one in RULES.values()),
    ),
    "ratios": _ratios,
    "profile": _profile,
    "anomalies": lambda: _table("| code | meaning |", ((f"`{code}`", text) for code, text in ANOMALY_CODES.items())),
}
"""Name -> the lines of a table, in Markdown."""


# ---- listings


def public_names(module: str) -> list[str]:
    """Return the names that a module exports, without its submodules."""
    loaded = importlib.import_module(module)
    names: list[str] = list(loaded.__all__)
    return [name for name in names if not inspect.ismodule(getattr(loaded, name))]


def api(module: str, part: str = "") -> Iterator[str]:
    """Yield the description of every public name of a module, in reStructuredText.

    If ``part`` names a file of the folder, only the names of that file are described.
    """
    names = public_names(f"{module}.{part}" if part else module)
    earlier = {name: one for one in reversed(FOLDERS[: FOLDERS.index(module)]) for name in public_names(one)}
    if part:
        text = importlib.import_module(f"{module}.{part}").__doc__ or ""
        yield from (inspect.cleandoc(text), "")
    else:
        yield from (f".. automodule:: {module}", "   :no-members:", "")
    yield from (f".. currentmodule:: {module}", "")
    elsewhere = [name for name in names if name in earlier]
    loaded = importlib.import_module(module)
    for name in names:
        if name in earlier or name == "__version__":
            continue
        obj = getattr(loaded, name)
        if inspect.isclass(obj):
            yield from (f".. autoclass:: {name}", "   :members:")
            if obj.__bases__ != (object,) and not any(base.__name__.startswith("_") for base in obj.__bases__):
                yield "   :show-inheritance:"
            if module.endswith(".models"):
                yield from ("   :undoc-members:", "   :exclude-members: wire_optional")
            yield ""
        elif inspect.isfunction(obj):
            yield from (f".. autofunction:: {name}", "")
        else:
            yield from _constant(module, name)
    if "__version__" in names:
        yield from (".. data:: __version__", "", "   The version of the package.", "")
    if elsewhere:
        yield from ("Also exported here:", "")
        yield from (f"- :py:obj:`{name} <{earlier[name]}.{name}>`" for name in elsewhere)
        yield ""


def _constant(module: str, name: str) -> Iterator[str]:
    """Yield the description of a constant or an alias, because autodoc does not find its assignment."""
    source, tree = _source(_home(module, name))
    value, note = "", ""
    # The first value and the first note that are not empty are used.
    for assignment, after in _pairs(tree):
        targets = assignment.targets if isinstance(assignment, ast.Assign) else [assignment.target]
        if any(isinstance(target, ast.Name) and target.id == name for target in targets) and assignment.value:
            value = value or ast.get_source_segment(source, assignment.value) or ""
            note = note or after
    yield f".. data:: {name}"
    value = value.strip().strip("\"'") if value[:1] in "\"'" else " ".join(value.split())
    if value and len(value) <= _SHORT:
        yield f"   :value: {value}"
    yield ""
    for line in inspect.cleandoc(note).splitlines():
        yield f"   {line}".rstrip()
    yield ""


def _pairs(tree: ast.AST) -> Iterator[tuple[ast.Assign | ast.AnnAssign, str]]:
    """Yield each assignment, and the string literal after it, if there is one."""
    for parent in ast.walk(tree):
        for body in (getattr(parent, "body", None), getattr(parent, "orelse", None)):
            if not isinstance(body, list):
                continue
            nodes = cast("list[ast.stmt]", body)
            for node, after in zip(nodes, [*nodes[1:], None], strict=False):
                if isinstance(node, ast.Assign | ast.AnnAssign):
                    text = after.value if isinstance(after, ast.Expr) else None
                    yield node, text.value if isinstance(text, ast.Constant) and isinstance(text.value, str) else ""


def _attribute_notes(cls: type) -> dict[str, str]:
    """Return the string literals after the fields of a class, by field."""
    _, tree = _source(cls.__module__)
    body = next(node for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and node.name == cls.__name__)
    return {
        node.target.id: text
        for node, text in _pairs(body)
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }


def _home(module: str, name: str) -> str:
    """Return the module that assigns a name which ``module`` exports."""
    _, tree = _source(module)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            package = module if _is_package(module) else module.rpartition(".")[0]
            source = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            names = [one.name for one in node.names]
            if name in names or (names == ["*"] and name in importlib.import_module(source).__all__):
                return _home(source, name)
    return module


def _is_package(module: str) -> bool:
    return hasattr(importlib.import_module(module), "__path__")


def _source(module: str) -> tuple[str, ast.Module]:
    file = importlib.import_module(module).__file__
    text = Path(file or "").read_text(encoding="utf-8")
    return text, ast.parse(text)


if __name__ == "__main__":
    print("\n".join(TABLES[sys.argv[1]]()))

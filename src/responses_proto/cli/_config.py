"""The settings of ``responses-proto serve``: from a TOML file, and from the command line, which takes precedence.

The file has the options of the command by their long names, with ``_`` for ``-``, and tables for what has no option; ``docs/chat-bridge.md``
documents each key. An unknown key is refused, and the error names the nearest known one.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

import attrs

from ..chat._server_tools import ToolBounds
from ..chat.bridge import ChatBridge
from ..chat.upstream import ChatUpstream
from ..client.gate import Gate
from ..client.timeouts import Timeouts
from ..exceptions import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_Check: TypeAlias = Callable[[object], bool]

_NAMED: Final = re.compile(r"([A-Za-z0-9][\w.-]*)=(?=\w+://)")


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_integer(value: object) -> bool:
    return type(value) is int


def _is_number(value: object) -> bool:
    return type(value) in (int, float)


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in cast("list[object]", value))


def _is_table(value: object) -> bool:
    return isinstance(value, dict)


_TEXT: Final = ("a string", _is_text)
_INTEGER: Final = ("an integer", _is_integer)
_NUMBER: Final = ("a number", _is_number)
_FLAG: Final = ("true or false", _is_flag)
_TEXTS: Final = ("a list of strings", _are_texts)
_TABLE: Final = ("a table", _is_table)

SETTINGS: Final[Mapping[str, tuple[str, _Check]]] = {
    "host": _TEXT,
    "port": _INTEGER,
    "store": _TEXT,
    "shared": _FLAG,
    "api_key": _TEXTS,
    "allow_host": _TEXTS,
    "allow_origin": _TEXTS,
    "log_format": _TEXT,
    "drain": _INTEGER,
    "script": _TEXT,
    "delay": _NUMBER,
    "allow_mcp": _TEXTS,
    "drop_tool": _TEXTS,
    "max_turns": _INTEGER,
    "unknown_parameters": _TEXT,
    "models": _TABLE,
    "tools": _TABLE,
    "upstreams": _TABLE,
}
"""Key of the file -> what its value must be."""

UPSTREAM_SETTINGS: Final[Mapping[str, tuple[str, _Check]]] = {
    "url": _TEXT,
    "profile": _TEXT,
    "key": _TEXT,
    "key_env": _TEXT,
    "models": _TEXTS,
    "max_requests": _INTEGER,
    "timeouts": _TABLE,
}
"""Key of a table ``[upstreams.NAME]`` -> what its value must be."""

_TOOL_SETTINGS: Final[Mapping[str, tuple[str, _Check]]] = {
    "max_calls": _INTEGER,
    "timeout": _NUMBER,
    "max_output_bytes": _INTEGER,
}
_TIMEOUT_SETTINGS: Final = {attribute.name: _NUMBER for attribute in attrs.fields(Timeouts)}


@attrs.frozen(kw_only=True)
class ServeSettings:
    """The settings from a file and from the command line. ``None`` means the default."""

    host: str | None = None
    port: int | None = None
    store: str | None = None
    shared: bool | None = None
    api_key: Sequence[str] | None = attrs.field(default=None, repr=False)
    allow_host: Sequence[str] | None = None
    allow_origin: Sequence[str] | None = None
    log_format: str | None = None
    drain: int | None = None
    script: str | None = None
    delay: float | None = None
    allow_mcp: Sequence[str] | None = None
    drop_tool: Sequence[str] | None = None
    max_turns: int | None = None
    unknown_parameters: str | None = None
    models: Mapping[str, str] | None = None
    tools: Mapping[str, Any] | None = None
    upstreams: Mapping[str, Mapping[str, Any]] | None = None

    def over(self, other: ServeSettings) -> ServeSettings:
        """Return these settings, with the values of ``other`` where these are ``None``."""
        changes = {
            attribute.name: getattr(other, attribute.name)
            for attribute in attrs.fields(ServeSettings)
            if getattr(self, attribute.name) is None
        }
        return attrs.evolve(self, **changes)


def read_settings(path: str) -> ServeSettings:
    """Read a file. Raises ``UsageError``, which names file and key, for an invalid file, and ``OSError``."""
    try:
        found = tomllib.loads(Path(path).read_bytes().decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not TOML: {error}") from error
    _check(found, SETTINGS, path, "")
    _check(found.get("tools", {}), _TOOL_SETTINGS, path, "tools.")
    for name, model in found.get("models", {}).items():
        if not isinstance(model, str):
            raise UsageError(f"{path}: models.{name} must be a string: the name of the model to use")
    for name, upstream in found.get("upstreams", {}).items():
        if not isinstance(upstream, dict):
            raise UsageError(f"{path}: upstreams.{name} must be a table: [upstreams.{name}]")
        table = cast("dict[str, Any]", upstream)
        _check(table, UPSTREAM_SETTINGS, path, f"upstreams.{name}.")
        _check(table.get("timeouts", {}), _TIMEOUT_SETTINGS, path, f"upstreams.{name}.timeouts.")
        if "url" not in table and "profile" not in table:
            raise UsageError(f"{path}: upstreams.{name} needs a url, or the profile of a provider with a known address")
    return ServeSettings(**found)


def _check(table: Mapping[str, Any], known: Mapping[str, tuple[str, _Check]], path: str, place: str) -> None:
    for name, value in table.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {place}{near[0]}?" if near else f"the keys are {', '.join(known)}"
            raise UsageError(f"{path}: there is no key {place}{name}: {hint}")
        expected, fits = known[name]
        if not fits(value):
            raise UsageError(f"{path}: {place}{name} must be {expected}, got {value!r:.60}")


def settings_of(
    given: ServeSettings, config: str | None, upstreams: Iterable[str], *, forward_key: bool
) -> ServeSettings:
    """Return the settings of a command line: ``given``, completed by the file ``config``, with ``upstreams``.

    Raises ``UsageError``, and ``OSError`` for the file.
    """
    settings = given if config is None else given.over(read_settings(config))
    settings = _with_upstreams(settings, upstreams, forward_key=forward_key)
    if settings.shared and not settings.store:
        raise UsageError("--shared needs a store that others can open, too: --store FILE")
    if settings.allow_mcp and not settings.upstreams:
        raise UsageError("--allow-mcp needs an upstream: the scripted model simulates MCP servers")
    if settings.drop_tool and not settings.upstreams:
        raise UsageError("--drop-tool needs an upstream: the scripted model simulates hosted tools")
    return settings


def _with_upstreams(settings: ServeSettings, given: Iterable[str], *, forward_key: bool) -> ServeSettings:
    """Return settings with the upstreams of the command line, ``URL`` or ``NAME=URL``, instead of those of a file.

    Raises ``UsageError`` if there are several upstreams and one has no name.
    """
    upstreams: dict[str, Mapping[str, Any]] = {}
    for text in given:
        named = _NAMED.match(text)
        name, url = (named[1], text[named.end() :]) if named is not None else ("", text)
        if name in upstreams:
            raise UsageError("several upstreams need different names: --upstream NAME=URL")
        upstreams[name] = {"url": url}
    if "" in upstreams and len(upstreams) > 1:
        raise UsageError("each of several upstreams needs a name: --upstream NAME=URL")
    found = upstreams or settings.upstreams
    if forward_key:
        if not found:
            raise UsageError("--forward-key needs an upstream, whose key it is: --upstream URL")
        found = {name: {**upstream, "key": "forward"} for name, upstream in found.items()}
    return attrs.evolve(settings, upstreams=found)


def make_bridge(settings: ServeSettings) -> ChatBridge:
    """Return the bridge to the configured upstreams. Raises ``UsageError`` for invalid settings."""
    upstreams = {name: _upstream(name, given) for name, given in (settings.upstreams or {}).items()}
    if settings.unknown_parameters not in (None, "refuse", "pass"):
        raise UsageError(f"unknown_parameters must be 'refuse' or 'pass', got {settings.unknown_parameters!r}")
    return ChatBridge(
        upstreams.get("", upstreams),
        models=settings.models,
        allow_mcp=settings.allow_mcp or (),
        tools=dict.fromkeys(settings.drop_tool or ()),
        bounds=ToolBounds(**(settings.tools or {})),
        unknown_parameters="pass" if settings.unknown_parameters == "pass" else "refuse",
        max_turns=16 if settings.max_turns is None else settings.max_turns,
    )


def _upstream(name: str, given: Mapping[str, Any]) -> ChatUpstream:
    key: str | None = None
    variable = given.get("key_env")
    if variable is not None:
        key = os.environ.get(variable, "").strip()
        if not key:
            raise UsageError(f"upstreams.{name}: the environment variable {variable}, which holds its key, is not set")
    width = given.get("max_requests")
    try:
        return ChatUpstream(
            given.get("url"),
            key,
            profile=given.get("profile"),
            key=given.get("key", "own"),
            models=given.get("models"),
            timeouts=Timeouts(**given.get("timeouts", {})),
            gate=None if width is None else Gate(min(8, width), max_width=width),
        )
    except UsageError as error:
        # The options of these names are for the clients of this server.
        reason = str(error).replace("pass api_key=..., or set", "set").replace("base_url", "the URL")
        raise UsageError(f"{f'upstreams.{name}' if name else '--upstream'}: {reason}") from error

"""The rules of the folders that the code itself shows: see CONTRIBUTING.md, The folders.

Folders are layers, in the order of :data:`LAYERS`; imports go down only. The rules are read from the syntax tree, so an import
inside a function, or for the type checker alone, counts like any other.
"""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from collections import defaultdict
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PACKAGE: Final = Path(__file__).parents[1] / "src" / "responses_proto"

# Lowest first. A folder stands for all files in it; names without a folder are files at the top.
LAYERS: Final = (
    ("_lazy", "_version", "typing"),
    ("models",),
    ("exceptions", "limits", "rules", "anomalies", "providers"),
    ("codec",),
    ("protocol",),
    ("schema",),
    ("client",),
    ("tools",),
    ("server",),
    ("scripted", "chat"),
    ("testing",),
    ("cli", "__main__"),
    ("__init__",),  # exports from everywhere, lazily
)
LAYER_OF: Final = {name: layer for layer, names in enumerate(LAYERS) for name in names}

# `client.run` and `session.run` make a run of a request; runs are a layer above.
ARROWS_UP: Final = {("client/client", "tools"), ("client/websocket/session", "tools")}

# Folders that never await; and the modules that do not in folders that do.
SANS_IO: Final = {
    "_lazy", "_version", "typing", "models", "exceptions", "limits", "rules", "anomalies", "providers", "codec", "protocol", "schema",
    "tools/_docstring", "tools/_signature", "tools/loop", "tools/output", "tools/turn",
    "scripted/__init__", "scripted/_fill", "scripted/_grammars", "scripted/_hosted", "scripted/_mcp", "scripted/_offers", "scripted/_plan",
    "scripted/_regex", "scripted/_steps", "scripted/_request", "scripted/_words", "scripted/markers", "scripted/script",
    "chat/__init__", "chat/_calls", "chat/_facts", "chat/_failures", "chat/_hosted", "chat/_hosts", "chat/_messages", "chat/_rows", "chat/_think", "chat/_tools", "chat/decoder", "chat/profiles",
    "chat/translation", "server/_context", "server/_openapi", "client/retry", "client/timeouts",
}  # fmt: skip
IO_PACKAGES: Final = {"anyio", "asyncio", "httpx", "httpx2", "httpx_sse", "socket", "ssl", "trio"}


def modules() -> Iterator[tuple[str, Path]]:
    """Yield every module as its path below the package, without suffix, and its file."""
    for path in sorted(PACKAGE.rglob("*.py")):
        yield path.relative_to(PACKAGE).with_suffix("").as_posix(), path


NAMES: Final = frozenset(name for name, _ in modules())


def folder_of(module: str) -> str:
    return module.split("/", maxsplit=1)[0]


def never_awaits(module: str) -> bool:
    return module in SANS_IO or folder_of(module) in SANS_IO


def module_at(parts: Iterable[str]) -> str | None:
    """Return the module at a path of names below the package; ``None`` if there is none."""
    path = "/".join(parts)
    package = f"{path}/__init__" if path else "__init__"
    return path if path in NAMES else package if package in NAMES else None


def imports(name: str, path: Path) -> Iterator[str]:
    """Yield what a module imports: a module of this package by its path, another package by ``package:`` and its name."""
    here = name.split("/")[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            sources = [(alias.name.split("."), "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = ["responses_proto", *here[: len(here) - node.level + 1]] if node.level else []
            module = [*base, *(node.module or "").split(".")] if node.module else base
            sources = [(module, alias.name) for alias in node.names]
        else:
            continue
        for (top, *rest), imported in sources:
            if top != "responses_proto":
                yield f"package:{top}"
                continue
            target = module_at([*rest, imported]) if imported else None
            target = target or module_at(rest)
            assert target is not None, f"{name} imports {'.'.join(rest)}, which does not exist"
            yield target


def test_every_module_has_a_layer() -> None:
    assert [name for name in sorted(NAMES) if folder_of(name) not in LAYER_OF] == []


def test_imports_go_down_only() -> None:
    up = {
        (name, folder_of(target))
        for name, path in modules()
        for target in imports(name, path)
        if not target.startswith("package:") and LAYER_OF[folder_of(target)] > LAYER_OF[folder_of(name)]
    }
    assert up == ARROWS_UP  # remove an arrow that is no longer needed from the table


def test_there_are_no_circles() -> None:
    graph: defaultdict[str, set[str]] = defaultdict(set)
    for name, path in modules():
        lazy = name.endswith("__init__")  # exports its own modules: these do not import it
        graph[name] |= {
            target
            for target in imports(name, path)
            if not target.startswith("package:") and not (lazy and target == name)
        }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


def test_what_never_awaits_imports_nothing_that_does() -> None:
    wrong = [
        f"{name} imports {target}"
        for name, path in modules()
        if never_awaits(name)
        for target in imports(name, path)
        if target.removeprefix("package:") in IO_PACKAGES
    ]
    assert wrong == []


def test_only_folders_that_may_await_do() -> None:
    asynchronous = (ast.AsyncFunctionDef, ast.Await, ast.AsyncFor, ast.AsyncWith)
    wrong = [
        name
        for name, path in modules()
        if never_awaits(name)
        if any(isinstance(node, asynchronous) for node in ast.walk(ast.parse(path.read_text())))
    ]
    assert wrong == []


def test_the_table_of_what_never_awaits_names_only_what_is_there() -> None:
    assert {name for name in SANS_IO if name not in NAMES and not (PACKAGE / name).is_dir()} == set()


def packages() -> list[str]:
    found = [
        name.removesuffix("__init__").rstrip("/").replace("/", ".")
        for name in sorted(NAMES)
        if name.endswith("__init__")
    ]
    return [f"responses_proto.{name}".rstrip(".") for name in found]


@pytest.mark.parametrize("package", packages())
def test_each_folder_says_what_it_is_for_and_exports_what_it_says(package: str) -> None:
    module = importlib.import_module(package)
    assert module.__doc__
    sentences = len(module.__doc__.strip().split("\n\n")[0].split())
    assert sentences < 60, "the first paragraph says what the folder is for, in two or three sentences"
    for name in getattr(module, "__all__", []):
        assert getattr(module, name) is not None


def typed_exports(path: Path) -> dict[str, str]:
    """Return what a lazy package imports for the type checker: name -> module, relative."""
    found: dict[str, str] = {}
    for block in ast.parse(path.read_text()).body:
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING":
            for node in block.body:
                if isinstance(node, ast.ImportFrom):
                    home = "." * node.level + (node.module or "")
                    found |= {alias.name: home for alias in node.names if alias.asname == alias.name}
    return found


def lazy_exports(path: Path) -> dict[str, str]:
    """Return what a lazy package loads at run time: name -> module, relative; nothing if it is not lazy."""
    found: dict[str, str] = {}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "lazy_exports":
            homes: dict[str, tuple[str, ...]] = ast.literal_eval(node.args[1])
            found |= {name: home for home, names in homes.items() for name in names}
            for keyword in node.keywords:
                found |= dict.fromkeys(ast.literal_eval(keyword.value), ".")
    return found


@pytest.mark.parametrize(
    "path", [path for _, path in modules() if lazy_exports(path)], ids=lambda path: path.parent.name
)
def test_a_lazy_folder_exports_the_same_to_programs_and_to_type_checkers(path: Path) -> None:
    assert lazy_exports(path) == typed_exports(path)
    # A function named like a module of its folder would be replaced by that module when the module is loaded.
    modules_beside = {other.stem for other in path.parent.glob("*.py")}
    assert {name for name, home in lazy_exports(path).items() if home != "." and name in modules_beside} == set()


def test_a_class_name_means_one_thing() -> None:
    defined: defaultdict[str, set[str]] = defaultdict(set)
    for name, path in modules():
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef):
                defined[node.name].add(name)
            elif isinstance(node, ast.AnnAssign) and ast.unparse(node.annotation).endswith("TypeAlias"):
                defined[ast.unparse(node.target)].add(name)
    assert {name: sorted(homes) for name, homes in defined.items() if len(homes) > 1 and not name.startswith("_")} == {}


def test_no_file_is_too_long() -> None:
    assert {name: n for name, path in modules() if (n := len(path.read_text().splitlines())) > 900} == {}


@pytest.mark.parametrize(
    "statement",
    [
        "from responses_proto.protocol import Accumulator, Emitter, ResponseStream, SSEDecoder, as_input",
        "import responses_proto.protocol.websocket",
        "import responses_proto.codec, responses_proto.models",
        "from responses_proto.schema import text_format, partial_json",
        "from responses_proto.tools import ToolLoop",
        "from responses_proto.chat import ChatDecoder, ChatProfile, to_chat",
    ],
)
def test_what_never_awaits_loads_no_io(statement: str) -> None:
    found = loaded_by(statement)
    assert found.isdisjoint(IO_PACKAGES), found & IO_PACKAGES


def test_the_package_loads_nothing_but_itself() -> None:
    found = loaded_by("import responses_proto")
    assert found.isdisjoint({*IO_PACKAGES, "attrs", "cattrs", "orjson"}), found


def test_optional_packages_are_not_loaded_by_the_client() -> None:
    found = loaded_by(
        "from responses_proto import ResponsesClient; ResponsesClient(base_url='http://localhost', api_key='k')"
    )
    assert found.isdisjoint(
        {"httpx_ws", "mcp", "openai", "opentelemetry", "pydantic", "starlette", "typer", "uvicorn", "httpx_sse"}
    )


def loaded_by(statement: str) -> set[str]:
    code = f"import sys; before = set(sys.modules); {statement}; print(*{{m.partition('.')[0] for m in set(sys.modules) - before}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)  # noqa: S603 - our own interpreter and code
    return set(done.stdout.split())

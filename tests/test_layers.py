"""The house rules that can be read off the imports (see CONTRIBUTING.md: Layers)."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE: Final = Path(__file__).parents[1] / "src" / "responses_proto"

# The first match says a module's layer: its path below the package, without suffix, or a folder of it.
LAYERS: Final = {
    "_version": 0,
    "typing": 0,
    "exceptions": 0,
    "limits": 0,
    "rules": 0,
    "anomalies": 0,
    "cursor": 0,
    "timeouts": 0,
    "headers": 0,
    "models": 1,
    "codec": 2,
    "apierrors": 3,
    "sse": 3,
    "state": 3,
    "_slots": 3,
    "accumulator": 3,
    "_repeats": 3,
    "protocol": 3,
    "retry": 3,
    "emitter": 3,
    "dialects": 3,
    "_requests": 3,
    "_context": 3,
    "filler": 3,
    "_patterns": 3,
    "embedded": 3,
    "partial": 3,
    "_annotations": 3,
    "_docstrings": 3,
    "_foreign": 3,
    "_shapes": 3,
    "_signatures": 3,
    "structured": 3,
    "history": 3,
    "toolloop": 3,
    "tooloutput": 3,
    "wsprotocol": 3,
    "aio": 4,
    "testing": 5,
    "cli": 5,
    "__main__": 5,
    "__init__": 5,  # the front door may name anything; it is lazy
}
SANS_IO: Final = 3
FORBIDDEN_BELOW_AIO: Final = {"anyio", "asyncio", "httpx", "httpx2", "httpx_sse", "socket", "ssl", "trio"}


def modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        yield path.relative_to(PACKAGE).with_suffix("").as_posix(), path


def layer_of(module: str) -> int | None:
    return LAYERS.get(module, LAYERS.get(module.split("/", maxsplit=1)[0]))


def imported(path: Path) -> Iterator[tuple[str, bool]]:
    """Give what a file imports (inside the package as `/`-separated path from it), and whether for types only."""
    tree = ast.parse(path.read_text())
    for_types = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in ast.walk(block)
    }
    here = ("responses_proto", *path.relative_to(PACKAGE).parts[:-1])
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name.replace(".", "/"), id(node) in for_types
        elif isinstance(node, ast.ImportFrom):
            base = "/".join(here[: len(here) - node.level + 1]) if node.level else ""
            source = "/".join(part for part in (base, (node.module or "").replace(".", "/")) if part)
            if source == "responses_proto":
                for alias in node.names:
                    yield f"{source}/{alias.name}", id(node) in for_types
            else:
                yield source, id(node) in for_types


def test_every_module_has_a_layer() -> None:
    assert [name for name, _ in modules() if layer_of(name) is None] == []


def test_imports_go_down_only() -> None:
    wrong: list[str] = []
    for name, path in modules():
        for source, types_only in imported(path):
            if not source.startswith("responses_proto/"):
                continue
            target = source.removeprefix("responses_proto/")
            layer, here = layer_of(target), layer_of(name)
            assert layer is not None, f"{name} imports {target}, which has no layer"
            assert here is not None
            # An import for types only loads nothing. One rule has need of it: errors carry the response.
            if layer > here and not (types_only and (name, target) == ("exceptions", "models/response")):
                wrong.append(f"{name} (L{here}) imports {target} (L{layer})")
    assert wrong == []


def test_what_does_not_await_imports_nothing_that_does() -> None:
    wrong = [
        f"{name} imports {source}"
        for name, path in modules()
        if (layer := layer_of(name)) is not None and layer <= SANS_IO
        for source, _ in imported(path)
        if source.split("/")[0] in FORBIDDEN_BELOW_AIO
    ]
    assert wrong == []


def test_only_aio_and_what_is_above_it_awaits() -> None:
    wrong = [
        name
        for name, path in modules()
        if (layer := layer_of(name)) is not None and layer <= SANS_IO
        if any(
            isinstance(node, (ast.AsyncFunctionDef, ast.Await, ast.AsyncFor, ast.AsyncWith))
            for node in ast.walk(ast.parse(path.read_text()))
        )
    ]
    assert wrong == []


def test_no_file_is_too_long() -> None:
    assert {name: n for name, path in modules() if (n := len(path.read_text().splitlines())) > 900} == {}


@pytest.mark.parametrize("module", ["protocol", "accumulator", "sse", "emitter", "codec", "models"])
def test_the_engine_loads_no_io(module: str) -> None:
    found = loaded_by(f"import responses_proto.{module}")
    assert found.isdisjoint(FORBIDDEN_BELOW_AIO), found & FORBIDDEN_BELOW_AIO


def test_the_package_loads_nothing_but_itself() -> None:
    found = loaded_by("import responses_proto")
    assert found.isdisjoint({*FORBIDDEN_BELOW_AIO, "attrs", "cattrs", "orjson"}), found


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

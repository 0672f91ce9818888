"""Every code block of the README and of the site runs, and prints what the page says.

- A ``python`` block that starts an event loop, or defines a test, is a program of its own. A ``text`` block right after a program is
  what it prints.
- The other ``python`` blocks of a page run one after the other in one namespace, which has ``client`` and ``model``.
- A ``json`` block is JSON, and the options in a ``console`` block exist.
- ``<!-- not run: reason -->`` before a block exempts it: it must only be valid.
"""

from __future__ import annotations

import ast
import base64
import builtins
import contextlib
import gc
import importlib.util
import inspect
import io
import json
import os
import re
import subprocess
import sys
import textwrap
import types
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import attrs
import pytest
from tests.support import PATIENCE

from responses_proto import ResponsesClient
from responses_proto.scripted import Scripted
from responses_proto.server import ResponsesApp, serving

if TYPE_CHECKING:
    from collections.abc import Generator

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([ROOT / "README.md", DOCS / "index.md", DOCS / "scripted-model.md", *DOCS.glob("*/**/*.md")])
PIXEL = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEAsTj2FAAAAABJRU5ErkJggg==")

# A page does not say what only a slow machine needs.
SLOW_MACHINES = """
from hypothesis import HealthCheck, settings
settings.register_profile("slow", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("slow")
"""

_BLOCK = re.compile(
    r"^(?:<!-- not run: (?P<reason>[^\n]+) -->\n)?^(?P<indent> *)```(?P<language>\w+)\n(?P<code>.*?)^ *```$",
    re.MULTILINE | re.DOTALL,
)
_STARTS_LOOP = re.compile(r"^(?:anyio|asyncio|trio)\.run\(", re.MULTILINE)
_TEST = re.compile(r"^(?:async )?def test_|^ +def test_", re.MULTILINE)


@attrs.frozen
class Block:
    """A code block of a page."""

    page: Path
    line: int
    language: str
    code: str
    reason: str
    """Why it is not run; empty if it is."""

    def compile(self) -> types.CodeType:
        # The line numbers of a traceback are those of the page.
        flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        code: types.CodeType = compile("\n" * self.line + self.code, str(self.page), "exec", flags, dont_inherit=True)
        return code

    def imports(self) -> set[str]:
        """Return the packages that a block to be run imports."""
        if self.language != "python" or self.reason:
            return set()
        nodes = [*ast.walk(ast.parse(self.code))]
        names = {name.name for node in nodes if isinstance(node, ast.Import) for name in node.names}
        names |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
        return {name.split(".")[0] for name in names}


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(
            page,
            text.count("\n", 0, match.start("code")),
            match["language"],
            textwrap.dedent(match["code"]),
            match["reason"] or "",
        )
        for match in _BLOCK.finditer(text)
    ]


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


WITH_PYTHON = [page for page in PAGES if any(block.language == "python" for block in blocks_of(page))]


@pytest.fixture(scope="module")
def url() -> Generator[str]:
    with serving(ResponsesApp(Scripted())) as address:
        yield address


@pytest.mark.parametrize("page", WITH_PYTHON, ids=name_of)
def test_the_programs_of_a_page_run(page: Path, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith(("HF_", "MODEL", "OPENAI_", "RESPONSES_")):
            monkeypatch.delenv(name)
    for provider in ("RESPONSES", "OPENAI"):
        monkeypatch.setenv(f"{provider}_BASE_URL", url)
        monkeypatch.setenv(f"{provider}_API_KEY", "any")
    monkeypatch.chdir(tmp_path)
    for name in ("cat.png", "report.pdf", "hello.wav"):
        (tmp_path / name).write_bytes(PIXEL)
    missing = {name for block in blocks_of(page) for name in block.imports() if importlib.util.find_spec(name) is None}
    if missing:
        pytest.skip(f"{', '.join(sorted(missing))} is not installed")
    try:
        anyio.run(run_page, page)
    finally:
        sys.modules.pop("__page__", None)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)  # of other libraries' clients, which no page closes
            gc.collect()


async def run_page(page: Path) -> None:
    blocks = blocks_of(page)
    module = types.ModuleType("__page__")
    sys.modules["__page__"] = module  # where what resolves annotations looks for names
    printed = io.StringIO()
    tests: list[Block] = []
    async with ResponsesClient() as client:
        # A function looks for the builtins in its globals, where Python 3.13 has come to expect them.
        vars(module).update(client=client, model="scripted", __builtins__=builtins)
        for block, after in zip(blocks, [*blocks[1:], None], strict=True):
            if block.language != "python":
                continue
            code = block.compile()
            if block.reason:
                continue
            if _TEST.search(block.code):
                tests.append(block)
            elif _STARTS_LOOP.search(block.code):
                output = await anyio.to_thread.run_sync(run_program, block)
                if after is not None and after.language == "text":
                    assert output == after.code, f"{page}:{block.line}"
            else:
                with contextlib.redirect_stdout(printed), anyio.fail_after(PATIENCE):
                    # With `await` at the top level, the code is that of a coroutine.
                    run: Any = types.FunctionType(code, vars(module))
                    returned = run()
                    if inspect.iscoroutine(returned):
                        await returned
    if tests:
        await anyio.to_thread.run_sync(run_tests, tests)
    sys.stdout.write(printed.getvalue())  # pytest shows it if something fails


def run_program(block: Block) -> str:
    module = types.ModuleType(f"program_{block.line}")
    sys.modules[module.__name__] = module  # where what resolves annotations looks for names
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(block.compile(), vars(module))  # noqa: S102 - our own documentation
    return printed.getvalue()


def run_tests(blocks: list[Block]) -> None:
    files = [Path(f"test_line_{block.line}.py") for block in blocks]
    for file, block in zip(files, blocks, strict=True):
        file.write_text(block.code, encoding="utf-8")
    Path("conftest.py").write_text(SLOW_MACHINES, encoding="utf-8")
    done = subprocess.run(  # noqa: S603 - our own interpreter and code
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", ".", *files],
        capture_output=True,
        text=True,
        timeout=5 * PATIENCE,
        check=False,
    )
    assert done.returncode == 0, f"{blocks[0].page}\n{done.stdout}{done.stderr}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_json_is_json_and_options_exist(page: Path) -> None:
    typer = pytest.importorskip("typer")
    from responses_proto.cli import app  # noqa: PLC0415 - needs the extra `cli`

    commands: Any = typer.main.get_command(app).commands
    for block in blocks_of(page):
        if block.language == "json" and not block.reason:
            json.loads(block.code)
        if block.language == "console":
            for line in re.findall(r"^\$ (?:.*\| )?responses-proto ([a-z].*)$", block.code, re.MULTILINE):
                name, _, rest = line.partition(" ")
                known = {option for one in commands[name].params for option in (*one.opts, *one.secondary_opts)}
                named = set(re.findall(r"(?<!\S)--?[a-z][a-z-]*", re.sub(r"'[^']*'|\"[^\"]*\"", "", rest)))
                assert named <= known | {"--help"}, f"{page}:{block.line}"


@pytest.mark.parametrize("page", WITH_PYTHON, ids=name_of)
def test_a_page_says_what_its_blocks_take_for_granted(page: Path) -> None:
    nodes = [
        node for block in blocks_of(page) if block.language == "python" for node in ast.walk(ast.parse(block.code))
    ]
    for name in ("client", "model"):
        uses = [node for node in nodes if isinstance(node, ast.Name) and node.id == name]
        defined = any(isinstance(node.ctx, ast.Store) for node in uses)
        defined = defined or any(isinstance(node, ast.arg) and node.arg == name for node in nodes)
        assert not uses or defined or f"`{name}` is" in page.read_text(), name


def test_few_blocks_are_not_run() -> None:
    exempt = [block for page in PAGES for block in blocks_of(page) if block.language == "python" and block.reason]
    every = [block for page in PAGES for block in blocks_of(page) if block.language == "python"]
    assert len(exempt) * 10 <= len(every)

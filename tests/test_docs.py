"""The generated parts of the documentation agree with the code."""

from __future__ import annotations

import importlib.util
import pkgutil
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import responses_proto
from responses_proto.scripted import MARKERS, Condition, RuleStep, ScriptError, ScriptRules

if TYPE_CHECKING:
    from types import ModuleType

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([ROOT / "README.md", ROOT / "SECURITY.md", ROOT / "CONTRIBUTING.md", *DOCS.rglob("*.md")])


@pytest.fixture(scope="module")
def tables() -> ModuleType:
    """Return the module that makes the generated parts of the site."""
    for needed in ("typer", "mcp", "hypothesis", "opentelemetry"):
        pytest.importorskip(needed)
    spec: Any = importlib.util.spec_from_file_location("docs_tables", DOCS / "tables.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


# ---- the site


def test_every_folder_with_public_names_is_in_the_reference(tables: ModuleType) -> None:
    private = {"responses_proto.cli", "responses_proto.client.websocket", "responses_proto.testing.conformance"}
    packages = {
        module.name
        for module in pkgutil.walk_packages(responses_proto.__path__, "responses_proto.")
        if module.ispkg and getattr(importlib.import_module(module.name), "__all__", [])
    }
    assert packages - private <= set(tables.FOLDERS)


def test_every_public_name_is_in_the_reference(tables: ModuleType) -> None:
    listed = "\n".join(tables.expand(page.read_text()) for page in (DOCS / "reference" / "api").glob("*.md"))
    described = set(re.findall(r"^\.\. auto(?:class|function):: (\w+)|^\.\. data:: (\w+)", listed, re.MULTILINE))
    names = {name for pair in described for name in pair if name}
    for folder in tables.FOLDERS:
        assert set(tables.public_names(folder)) - names == set(), folder


def test_every_table_is_on_a_page_and_has_rows(tables: ModuleType) -> None:
    pages = "\n".join(page.read_text() for page in PAGES)
    for name, table in tables.TABLES.items():
        assert f"<!-- table: {name} -->" in pages
        assert len(list(table())) > 2
    for comment in re.findall(r"<!-- table: (.+?) -->", pages):
        assert comment in tables.TABLES


def test_the_defaults_of_the_tables_are_those_of_the_code(tables: ModuleType) -> None:
    assert "| `max_event_bytes` | 64 MiB |" in "\n".join(tables.TABLES["limits"]())
    assert "| `connect` | 10 s |" in "\n".join(tables.TABLES["timeouts"]())
    assert "| `attempts` | 3 |" in "\n".join(tables.TABLES["retry"]())


def test_every_page_is_in_the_navigation() -> None:
    listed = re.findall(r"^([a-z][\w/-]*)$", (DOCS / "index.md").read_text(), re.MULTILINE)
    pages = {page.relative_to(DOCS).with_suffix("").as_posix() for page in DOCS.rglob("*.md")}
    assert {page for page in pages if not page.startswith("reference/api/")} - {*listed, "index"} == set()
    assert set(listed) <= pages


def test_every_extra_is_in_the_installation_matrix() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    page = (DOCS / "start" / "install.md").read_text()
    assert [extra for extra in extras if not re.search(rf"\[[\w,]*\b{extra}\b[\w,]*\]", page)] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    broken: list[str] = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, anchor = target.partition("#")
        if path.startswith(("http://", "https://")):
            continue
        file = page.parent / path if path else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)
    for target in re.findall(r"\{doc\}`(?:[^`<]*<)?([^`<>]+)>?`", text):
        base = DOCS / target[1:] if target.startswith("/") else page.parent / target
        if not base.with_name(f"{base.name}.md").exists():
            broken.append(target)
    assert broken == []


def anchors(page: Path) -> set[str]:
    heads = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}


# ---- parts of pages


def test_the_drawn_life_of_a_response_is_the_one_in_the_tables() -> None:
    drawn = subprocess.run(  # noqa: S603 - our own interpreter and code
        [sys.executable, DOCS / "diagram.py"], capture_output=True, text=True, check=True, timeout=60
    )
    assert (DOCS / "life.md").read_text() == drawn.stdout, "run: python docs/diagram.py > docs/life.md"


def test_the_tables_of_the_chat_bridge_are_those_of_the_code() -> None:
    drawn = subprocess.run(  # noqa: S603 - our own interpreter and code
        [sys.executable, DOCS / "translation.py"], capture_output=True, text=True, check=True, timeout=60
    )
    _, table, _ = re.split(r"<!-- drawn by docs/translation.py: .*-->\n", (DOCS / "chat-bridge.md").read_text())
    assert table.strip() == drawn.stdout.strip(), "run: python docs/translation.py docs/chat-bridge.md"


def test_the_page_of_the_scripted_model_documents_every_marker() -> None:
    page = (DOCS / "scripted-model.md").read_text()
    rows = [line for line in page.split("## Markers")[1].split("## Scripts")[0].splitlines() if line.startswith("| `[")]
    assert rows == [f"| `[{f'{marker.name} {marker.arguments}'.strip()}]` | {marker.effect} |" for marker in MARKERS]


def test_the_page_of_the_scripted_model_documents_every_condition_and_step() -> None:
    page = (DOCS / "scripted-model.md").read_text().split("## Scripts")[1]
    names = {field.name for cls in (Condition, RuleStep, ScriptError) for field in cls.__attrs_attrs__} - {"extra"}
    assert {name for name in names if f"`{name}`" not in page} == set()
    example = page.split("```json\n")[1].split("```")[0]
    assert len(ScriptRules.parse(example).rules) == 5


def test_the_tests_that_hold_the_promises_of_security_exist() -> None:
    named = re.findall(r"`(tests/[a-z_/]+(?:\.py)?)", (ROOT / "SECURITY.md").read_text())
    assert len(named) > 20
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_the_code_of_the_page_about_gateways_runs(tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / "gateways.md").read_text(), re.DOTALL)
    assert len(blocks) == 4
    code = "\n".join(blocks).replace("port=8080", "port=0")
    done = subprocess.run(  # noqa: S603 - our own interpreter and code
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=tmp_path,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "gateway.db").exists()


# ---- the repository


def test_the_version_to_cite_is_that_of_the_package() -> None:
    assert f"version: {responses_proto.__version__}\n" in (ROOT / "CITATION.cff").read_text()

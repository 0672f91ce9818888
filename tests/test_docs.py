"""The generated parts of the documentation agree with the code."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from responses_proto.scripted import MARKERS, Condition, RuleStep, ScriptError, ScriptRules

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


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

"""The page of ``serve --ui``, in a real browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest
from tests.browser import page_at
from tests.cli.test_cli import served
from tests.support import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

SEND = "document.querySelector('form').requestSubmit()"
EVENTS = "[...document.querySelectorAll('#events summary')].map((row) => row.children[2].textContent)"


@pytest.fixture(scope="module")
def url() -> Generator[str]:
    with served("--ui", "--delay", "0") as (_, address):
        yield address


def choose(sample: str) -> str:
    return f"document.querySelector('form').sample.value = {sample!r}; document.querySelector('form').sample.onchange(); {SEND}"


def test_the_page_is_there_only_if_asked_for(url: str) -> None:
    page = httpx.get(url.removesuffix("v1"), timeout=PATIENCE)
    assert page.status_code == 200
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "http://" not in page.text.replace("http://www.w3.org", "")
    assert "https://" not in page.text
    assert httpx.get(f"{url}/models", timeout=PATIENCE).status_code == 200
    with served() as (_, plain):
        assert httpx.get(plain.removesuffix("v1"), timeout=PATIENCE).status_code == 404


def test_a_stream_is_shown_event_by_event(url: str, tmp_path: Path) -> None:
    with page_at(url.removesuffix("v1"), tmp_path) as page:
        page.run(SEND)
        page.wait_for(f"{EVENTS}.at(-1) == '[DONE]'")
        shown = page.run(EVENTS)
        assert shown[0] == "response.created"
        assert shown[-2] == "response.completed"
        assert "fox" in page.run("document.querySelector('#text').textContent")
        sent = page.run("document.querySelector('#sent').textContent")
        assert '"input":"Tell me a story about a fox."' in sent
        assert "200 OK" in sent
        page.run("document.querySelector('#events details').open = true")
        page.wait_for("document.querySelector('#events details pre').textContent.includes('\"sequence_number\": 0')")

        page.run(choose("an HTTP error"))
        page.wait_for(f"{EVENTS}.length == 1 && document.querySelector('#sent').textContent.includes('429')")
        page.run(choose("not streamed"))
        page.wait_for("document.querySelector('#text').textContent == 'Say hello.'")
        page.run(choose("slow, to press Stop"))
        page.wait_for(f"{EVENTS}.length > 5")
        page.run("document.querySelector('#stop').click()")
        page.wait_for(f"{EVENTS}.at(-1) == 'stopped here'")

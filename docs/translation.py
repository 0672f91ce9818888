"""Generate the tables of the chat bridge from the code: ``python docs/translation.py docs/chat-bridge.md`` puts them into the page."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from responses_proto.chat import PROFILES
from responses_proto.chat._messages import CONTENT, ITEMS
from responses_proto.chat._tools import TOOLS
from responses_proto.chat.decoder import ENDINGS
from responses_proto.chat.translation import PARAMETERS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from responses_proto.chat import ChatProfile

BEGIN: Final = "<!-- drawn by docs/translation.py: from here -->\n"
END: Final = "<!-- drawn by docs/translation.py: to here -->\n"

_FATES: Final = {"translated": "", "dropped": "left out: ", "refused": "**400**: "}


def lines() -> Iterator[str]:
    """Yield the lines of the tables."""
    yield from table("Parameters", "parameter", PARAMETERS)
    yield from table("Items", "item", ITEMS)
    yield from table("Content parts", "part", CONTENT)
    yield from table("Tools", "tool", TOOLS)
    yield "### The end of a turn"
    yield ""
    yield "| `finish_reason` | response |"
    yield "|---|---|"
    for reason in dict.fromkeys(ENDINGS.values()):
        names = ", ".join(f"`{name}`" for name, means in ENDINGS.items() if means == reason)
        yield f"| {names} | {'`failed`' if reason == 'error' else f'`incomplete`, `{reason}`'} |"
    yield "| any other, or `[DONE]` without one | `completed` |"
    yield "| none, and no `[DONE]` | `failed`: the answer ended in the middle |"
    yield ""
    yield "### Profiles"
    yield ""
    yield "| profile | developer | system | parts besides text | reasoning goes back as | `tool_choice` besides `auto` | formats | other parameters |"
    yield "|---|---|---|---|---|---|---|---|"
    yield from map(profile_row, PROFILES.values())
    yield ""


def table(title: str, kind: str, rows: Mapping[str, Any]) -> Iterator[str]:
    """Yield one table: each name, and its translation."""
    yield f"### {title}"
    yield ""
    yield f"| {kind} | becomes |"
    yield "|---|---|"
    for row in rows.values():
        yield f"| `{row.name}` | {_FATES[row.fate]}{row.note} |"
    yield ""


def profile_row(profile: ChatProfile) -> str:
    """Return the row of one profile."""
    cells = [
        f"`{profile.name}`",
        f"`{profile.developer_role}`",
        "one, first" if profile.system_first else "anywhere",
        names(part.removeprefix("input_") for part in sorted(profile.parts)),
        "—" if profile.reasoning == "none" else f"`{profile.reasoning}`",
        names(sorted(profile.tool_choices)),
        names(sorted(profile.formats)),
        names(sorted(profile.parameters - {"temperature", "top_p"})),
    ]
    return f"| {' | '.join(cells)} |"


def names(found: Iterator[str] | list[str]) -> str:
    """Return the names as code, separated by commas; a dash if there are none."""
    return ", ".join(f"`{name}`" for name in found) or "—"


if __name__ == "__main__":
    drawn = "\n".join(lines())
    if sys.argv[1:]:
        page = Path(sys.argv[1])
        before, _, rest = page.read_text().partition(BEGIN)
        page.write_text(f"{before}{BEGIN}\n{drawn}\n{END}{rest.partition(END)[2]}")
    else:
        print(drawn)

"""Write ``faults.md`` from the tables of the fake server: ``python docs/faults.py > docs/faults.md``."""

from __future__ import annotations

import inspect
import re

from responses_proto.testing import DIALECTS, FAULTS, Fault

HEAD = """\
# Faults and dialects

Written by `python docs/faults.py`, from `responses_proto.testing.FAULTS` and `DIALECTS`. See [testing clients](testing.md).

## Faults

Create faults with the methods of `Fault`, add them to one answer (`Answer.with_faults`) or to all streamed answers of a server
(`FakeServer(faults=[...])`), and combine them with `+`. `Fault.random(seed)` combines some of them, always the same for the same seed.
They are applied in this order: faults in the events, in the frames and the connection, in the bytes, in the time, and in the head. After a
fatal fault, the client cannot know the complete response, so it must not report success.

| fault | what goes wrong | fatal |
|---|---|---|"""
DIALECTS_HEAD = """
The table `FAULTS` contains one fault of each kind, by name: {names}.

## Dialects

`FakeServer(script, dialect="huggingface")` deviates from the specification as that server does. The content of the response stays the same.

| dialect | deviates by |
|---|---|"""


def summary(text: str | None) -> str:
    """Return the first sentences of a docstring as a table cell."""
    paragraph = inspect.cleandoc(text or "").split("\n\n")[0]
    return re.sub(r":meth:`(\w+)`", r"`\1`", " ".join(paragraph.split())).replace("``", "`").replace("|", "\\|")


def main() -> None:
    """Print the page."""
    print(HEAD)
    # The class methods, in the order of the class. The faults in the table show whether a method makes fatal ones.
    for name, method in vars(Fault).items():
        if not isinstance(method, classmethod) or name.startswith("_") or name == "random":
            continue
        signature = inspect.signature(getattr(Fault, name))
        parameters = ", ".join(str(each.replace(annotation=each.empty)) for each in signature.parameters.values())
        examples = [f for f in FAULTS.values() if f.name.lower().replace(" ", "_").startswith(name)]
        fatal = "yes" if any(fault.fatal for fault in examples) else ""
        print(f"| `Fault.{name}({parameters})` | {summary(getattr(Fault, name).__doc__)} | {fatal} |")
    print(DIALECTS_HEAD.format(names=", ".join(f"`{name}`" for name in FAULTS)))
    for dialect in DIALECTS.values():
        print(f"| `{dialect.name}` | {dialect.deviation} |")


if __name__ == "__main__":
    main()

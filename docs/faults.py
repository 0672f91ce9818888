"""Write ``faults.md`` from the tables of the fake server: ``python docs/faults.py > docs/faults.md``."""

from __future__ import annotations

import inspect
import re

from responses_proto.testing import DIALECTS, FAULTS, Fault

HEAD = """\
# Faults and dialects

Written by `python docs/faults.py`, from `responses_proto.testing.FAULTS` and `DIALECTS`. See [testing clients](testing.md).

## Faults

Faults are created by the methods of `Fault`, added to an answer (`Answer.with_faults`) or to all streamed answers of a server
(`FakeServer(faults=[...])`), and combined with `+`. `Fault.random(seed)` combines some of them, always the same ones for a seed. They
are applied by what they change: the events, the frames and the connection, the bytes, the time, the head. After a fatal one the client
cannot know the whole response, so it must not report success.

| fault | what goes wrong | fatal |
|---|---|---|"""
DIALECTS_HEAD = """
In the table `FAULTS`, by name, to go through all of them: {names}.

## Dialects

`FakeServer(script, dialect="huggingface")` deviates from the specification as that server does. What a response says stays the same.

| dialect | deviates by |
|---|---|"""


def summary(text: str | None) -> str:
    """Return the first sentences of a docstring as a table cell."""
    paragraph = inspect.cleandoc(text or "").split("\n\n")[0]
    return re.sub(r":meth:`(\w+)`", r"`\1`", " ".join(paragraph.split())).replace("``", "`").replace("|", "\\|")


def main() -> None:
    """Print the page."""
    print(HEAD)
    # The methods in the order of the class; those that are in the table are kinds of faults.
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

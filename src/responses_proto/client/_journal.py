"""Keep the answers of a batch in a file, so that the batch can continue after its process was killed.

The file is JSON lines. The first line identifies the format and the batch::

    {"journal": "responses_proto", "version": 1, "id": "5b0c..."}

Each other line is one request that has ended: its ``key``, ``index``, ``status``, the ``response`` or the ``error``, ``attempts`` and
``seconds``. The key is the SHA-256 hash of the request and the number of equal requests before it, so that the order of the requests may change
between two starts.

A line is written at once and as a whole. If the process is killed during a write, the last line is incomplete; the next start drops it.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import uuid
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self, cast

from ..exceptions import UsageError

if TYPE_CHECKING:
    from types import TracebackType

    from ..typing import JSONObject

if sys.platform == "win32":  # the caller ensures that one process at a time uses the file
    _lock = None
else:
    from fcntl import LOCK_EX, LOCK_NB, flock

    def _lock(descriptor: int) -> None:
        flock(descriptor, LOCK_EX | LOCK_NB)


_VERSION: Final = 1


class Journal:
    """The journal of one batch. Use it in ``with``, which opens the file, creates it if necessary, and reads it.

    Entering raises ``UsageError`` for a file that is not a journal, is damaged or is used by another process, and ``OSError`` for one that
    cannot be read or written.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self._descriptor = -1
        self._seen: Counter[str] = Counter()
        self._entries: dict[str, JSONObject] = {}
        self._id = ""

    def __enter__(self) -> Self:
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            self._open()
        except BaseException:
            os.close(self._descriptor)
            raise
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        os.close(self._descriptor)

    def key(self, request: bytes) -> str:
        """Return the key of a request, given as JSON. Call it once for each request, in their order."""
        canonical = json.dumps(json.loads(request), sort_keys=True, separators=(",", ":"))
        digest = hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()
        self._seen[digest] += 1
        return f"{digest}-{self._seen[digest]}"

    def idempotency_key(self, key: str) -> str:
        """Return the ``Idempotency-Key`` of a request: the same after each start, but different in every other journal."""
        return str(uuid.uuid5(uuid.UUID(self._id), key))

    def find(self, key: str) -> JSONObject | None:
        """Return the last entry of a request; ``None`` if it has not ended."""
        return self._entries.get(key)

    def write(self, entry: JSONObject) -> None:
        """Append an entry. Raises ``OSError`` if it cannot be written, such as on a full disk."""
        line = memoryview(json.dumps(entry, separators=(",", ":")).encode() + b"\n")
        while line:
            line = line[os.write(self._descriptor, line) :]

    def _open(self) -> None:
        if _lock is not None:
            try:
                _lock(self._descriptor)
            except BlockingIOError:
                raise UsageError(f"the journal {self._path} is used by another batch") from None
        content = self._path.read_bytes()
        whole = content.rfind(b"\n") + 1
        lines = content[:whole].splitlines()
        if whole < len(content):
            if not lines and not b'{"journal":"responses_proto"'.startswith(content[:28]):
                raise self._foreign()
            os.ftruncate(self._descriptor, whole)
        if not lines:
            self._id = str(uuid.uuid4())
            self.write({"journal": "responses_proto", "version": _VERSION, "id": self._id})
            return
        head = _object(lines[0])
        if head is None or head.get("journal") != "responses_proto":
            raise self._foreign()
        if head.get("version") != _VERSION:
            raise UsageError(
                f"the journal {self._path} has version {head.get('version')!r}; this release reads version {_VERSION}"
            )
        self._id = str(head.get("id"))
        for number, line in enumerate(lines[1:], 2):
            entry = _object(line)
            if entry is None or "key" not in entry:
                raise UsageError(
                    f"line {number} of the journal {self._path} is damaged: remove it, and its request is sent again"
                )
            self._entries[entry["key"]] = entry

    def _foreign(self) -> UsageError:
        return UsageError(f"{self._path} is not a journal of a batch: choose another path")


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        value: object = json.loads(line)
    except ValueError:
        return None
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None

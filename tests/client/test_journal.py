"""The journal's file: what is in it, and what is made of one that is damaged, foreign or in use."""

from __future__ import annotations

import json
import stat
import sys
from typing import TYPE_CHECKING

import pytest

from responses_proto.client._journal import Journal
from responses_proto.exceptions import UsageError

if TYPE_CHECKING:
    from pathlib import Path


def test_a_line_that_was_cut_off_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with Journal(path) as journal:
        key = journal.key(b'{"input":"a"}')
        idempotency_key = journal.idempotency_key(key)
        journal.write({"key": key, "status": "completed"})
        journal.write({"key": "other", "status": "completed"})
    whole = path.read_bytes()
    ends = [number + 1 for number, byte in enumerate(whole) if byte == ord("\n")]
    for cut in range(len(whole) + 1):
        path.write_bytes(whole[:cut])
        with Journal(path) as journal:
            assert (journal.find(key) is not None) == (cut >= ends[1])
            journal.write({"key": "after", "status": "completed"})
        with Journal(path) as journal:
            assert journal.find("after") is not None
            if cut >= ends[0]:
                assert journal.idempotency_key(key) == idempotency_key


def test_equal_requests_have_different_keys_and_the_order_of_fields_does_not_count(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal") as journal:
        first = journal.key(b'{"model":"m","input":"a"}')
        second = journal.key(b'{"input":"a","model":"m"}')
        other = journal.key(b'{"input":"b","model":"m"}')
    assert first != second
    assert first[:64] == second[:64]
    assert other[:64] != first[:64]
    with Journal(tmp_path / "journal") as again:
        assert again.key(b'{"model":"m","input":"a"}') == first


def test_each_journal_has_idempotency_keys_of_its_own(tmp_path: Path) -> None:
    with Journal(tmp_path / "one") as one, Journal(tmp_path / "other") as other:
        assert one.idempotency_key("k") != other.idempotency_key("k")


def test_the_last_entry_of_a_request_counts(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal") as journal:
        journal.write({"key": "k", "status": "error"})
        journal.write({"key": "k", "status": "completed"})
    with Journal(tmp_path / "journal") as journal:
        assert (journal.find("k") or {})["status"] == "completed"


@pytest.mark.parametrize(
    "content", [b"my notes\n", b"my notes", b'{"prompt": "a"}\n', b"[1]\n", b"\x00\xff\n", b'{"journal": "other"}\n']
)
def test_a_file_that_is_no_journal_is_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes"
    path.write_bytes(content)
    with pytest.raises(UsageError, match="is not a journal"), Journal(path):
        pass
    assert path.read_bytes() == content


@pytest.mark.parametrize("damaged", [b"", b"[]", b"{}", b"\x00\x00", b'{"key": "k", "status'])
def test_a_damaged_line_is_named_and_nothing_is_lost(tmp_path: Path, damaged: bytes) -> None:
    path = tmp_path / "journal"
    with Journal(path) as journal:
        journal.write({"key": "k", "status": "completed"})
    content = path.read_bytes() + damaged + b"\n"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"line 3 of the journal .* is damaged"), Journal(path):
        pass
    assert path.read_bytes() == content


def test_a_journal_of_a_later_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    path.write_text(json.dumps({"journal": "responses_proto", "version": 2, "id": "x"}) + "\n")
    with pytest.raises(UsageError, match="version 2"), Journal(path):
        pass


def test_a_path_that_cannot_be_opened_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"), Journal(tmp_path / "none" / "journal"):
        pass


@pytest.mark.skipif(sys.platform == "win32", reason="this system has neither the lock nor the modes")
def test_two_batches_do_not_share_a_journal_and_nobody_else_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with Journal(path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with pytest.raises(UsageError, match="used by another batch"), Journal(path):
            pass
    with Journal(path):
        pass

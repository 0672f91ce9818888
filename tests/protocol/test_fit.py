"""Histories that are made shorter: what is dropped, in what order, and what is always kept."""

from __future__ import annotations

import pytest

from responses_proto.codec import dump, dumps
from responses_proto.exceptions import LimitExceeded
from responses_proto.models.content import ComputerScreenshot, InputImage, InputText, OutputText
from responses_proto.models.items import (
    Compaction,
    ComputerCallOutput,
    CustomToolCallOutput,
    FunctionCall,
    FunctionCallOutput,
    ImageGenerationCall,
    Item,
    McpApprovalRequest,
    McpApprovalResponse,
    McpCall,
    Message,
    Reasoning,
)
from responses_proto.protocol import check_history, fit

SYSTEM: Message = Message(role="developer", content="Be brief.")
LONG = "x" * 1000


def asked(number: int, text: str = LONG) -> Message:
    return Message(role="user", content=f"{number} {text}")


def told(number: int) -> Message:
    content = [OutputText(text=f"{number} {LONG}", annotations=[])]
    return Message(id=f"msg_{number}", role="assistant", status="completed", content=[*content])


def stepped(number: int, kind: str = "function") -> list[Item]:
    """A step of the model: reasoning, two calls, and their outputs."""
    thought = Reasoning(id=f"rs_{number}", summary=[], encrypted_content=LONG)
    if kind == "approval":
        request = McpApprovalRequest(id=f"mcpr_{number}", server_label="s", name="f", arguments="{}")
        response = McpApprovalResponse(approval_request_id=request.id, approve=True)
        made = McpCall(id=f"mcp_{number}", server_label="s", name="f", arguments="{}", approval_request_id=request.id)
        return [thought, request, response, made]
    calls = [FunctionCall(call_id=f"call_{number}_{each}", name="f", arguments="{}") for each in "ab"]
    outputs = [FunctionCallOutput(call_id=call.call_id, output=LONG) for call in calls]
    if kind == "late":  # the second output comes after the next step of the model
        return [thought, *calls, outputs[0], told(number), outputs[1]]
    return [thought, *calls, *outputs]


HISTORIES: dict[str, list[Item]] = {
    "chat": [SYSTEM, asked(1), told(1), asked(2), told(2), asked(3), told(3)],
    "agent": [SYSTEM, asked(1), *stepped(1), *stepped(2), *stepped(3), told(4)],
    "both": [asked(1), *stepped(1), told(1), SYSTEM, asked(2), *stepped(2), *stepped(3), told(3)],
    "approvals": [asked(1), *stepped(1, "approval"), told(1), asked(2), *stepped(2, "approval"), *stepped(3)],
    "late outputs": [asked(1), *stepped(1, "late"), asked(2), *stepped(2, "late"), *stepped(3)],
    "compacted": [Compaction(id="cmp_1", encrypted_content=LONG), asked(1), told(1), asked(2), *stepped(2), told(2)],
}


@pytest.mark.parametrize("name", HISTORIES)
def test_a_history_fits_any_bound_and_stays_valid_or_says_that_it_cannot(name: str) -> None:
    items = HISTORIES[name]
    whole, smallest = len(dumps(items)), len(items)
    assert fit(items, max_bytes=whole) == items
    before = items
    for bound in range(whole, 0, -200):
        try:
            kept = fit(items, max_bytes=bound)
        except LimitExceeded:
            break
        assert len(dumps(kept)) <= bound
        assert [item for item in items if item in kept] == kept  # in order, and nothing else
        assert all(item in before for item in kept)  # a smaller bound keeps less
        assert [finding for finding in check_history(kept) if finding.level == "error"] == []
        pinned = [item for item in items if item is SYSTEM or isinstance(item, Compaction)]
        assert [item for item in kept if item in pinned] == pinned
        last_question = [item for item in items if isinstance(item, Message) and item.role == "user"][-1]
        assert last_question in kept
        assert kept[-1] is items[-1]
        before, smallest = kept, len(kept)
    assert smallest < len(items)


def test_the_oldest_exchange_is_dropped_first_and_then_the_oldest_step() -> None:
    items: list[Item] = [asked(1), told(1), asked(2), *stepped(1), *stepped(2), told(2)]
    whole = len(dumps(items))
    assert fit(items, max_bytes=whole - 1) == items[2:]
    assert fit(items, max_bytes=len(dumps(items[2:])) - 1) == [asked(2), *stepped(2), told(2)]


def test_outputs_of_stored_calls_are_kept() -> None:
    output = FunctionCallOutput(call_id="call_0", output=LONG)
    items: list[Item] = [output, asked(1), told(1), asked(2)]
    assert fit(items, max_bytes=2500) == [output, asked(2)]
    with pytest.raises(LimitExceeded) as caught:
        fit([output], max_bytes=100)
    assert (caught.value.limit, caught.value.value) == ("max_bytes", len(dumps([output])))


def test_older_images_are_replaced() -> None:
    image = InputImage(image_url="data:image/png;base64,QQQQ")
    screen = ComputerScreenshot(image_url="data:image/png;base64,WWWW")
    items: list[Item] = [
        Message(role="user", content=[InputText(text="a"), image, image]),
        FunctionCallOutput(call_id="call_1", output=[image]),
        CustomToolCallOutput(call_id="call_2", output="text"),
        ComputerCallOutput(call_id="call_3", output=screen),
        ImageGenerationCall(id="ig_1", status="completed", result="ZZZZ"),
        Message(role="user", content=[image]),
    ]
    assert fit(items, max_images=6) == items
    assert fit(items) == items
    kept = fit(items, max_images=4)
    assert kept[1:] == items[1:]
    note = InputText(text="[An older image was removed.]")
    assert kept[0] == Message(role="user", content=[InputText(text="a"), note, note])
    none = fit(items, max_images=0)
    text = str(dump(none))
    assert not any(data in text for data in ("QQQQ", "WWWW", "ZZZZ"))
    assert [item.type for item in none] == [item.type for item in items]
    assert isinstance(none[3], ComputerCallOutput)
    assert none[3].output.image_url
    assert "QQQQ" in str(dump(items))  # the given ones are unchanged


def test_nothing_fits_in_nothing() -> None:
    assert fit([], max_bytes=10, max_images=0) == []

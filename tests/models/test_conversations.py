"""Conversations and their items."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from responses_proto.codec import dump, load
from responses_proto.models import conversations
from responses_proto.models.content import InputText
from responses_proto.models.conversations import (
    Conversation,
    ConversationItemList,
    ConversationItemParams,
    CreateConversation,
    CreateConversationItems,
    DeletedConversation,
    UpdateConversation,
)
from responses_proto.models.items import Message, UnknownItem

if TYPE_CHECKING:
    from responses_proto.anomalies import Anomaly
    from responses_proto.models._base import Model
    from responses_proto.typing import JSONObject

HELLO = Message(role="user", content=[InputText(text="Hello")])

SAMPLES: list[tuple[Model, JSONObject]] = [
    (
        Conversation(id="conv_1", created_at=1, metadata={"topic": "dice"}),
        {"object": "conversation", "id": "conv_1", "created_at": 1, "metadata": {"topic": "dice"}},
    ),
    (CreateConversation(), {}),
    (CreateConversation(items=None, metadata={}), {"items": None, "metadata": {}}),
    (UpdateConversation(metadata=None), {"metadata": None}),
    (
        CreateConversationItems(items=[HELLO]),
        {"items": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello"}]}]},
    ),
    (
        DeletedConversation(id="conv_1", deleted=True),
        {"object": "conversation.deleted", "id": "conv_1", "deleted": True},
    ),
    (ConversationItemParams(include=["message.output_text.logprobs"]), {"include": ["message.output_text.logprobs"]}),
    (
        ConversationItemList(data=[], first_id=None, last_id=None, has_more=False),
        {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False},
    ),
]


@pytest.mark.parametrize(("sample", "wire"), SAMPLES, ids=lambda value: type(value).__name__)
def test_is_dumped_and_loaded(sample: Model, wire: JSONObject) -> None:
    anomalies: list[Anomaly] = []
    assert dump(sample) == wire
    assert load(wire, type(sample), anomalies=anomalies) == sample
    assert not anomalies


def test_every_model_of_the_module_is_public_and_sampled() -> None:
    models = {
        n for n, v in vars(conversations).items() if isinstance(v, type) and v.__module__ == conversations.__name__
    }
    assert models == set(conversations.__all__)
    assert models == {type(sample).__name__ for sample, _ in SAMPLES}


def test_a_page_keeps_items_of_any_kind_in_order() -> None:
    page = load(
        {
            "object": "list",
            "data": [
                {
                    "type": "message",
                    "id": "msg_1",
                    "role": "user",
                    "content": [{"type": "input_text", "text": "Hello"}],
                },
                {"type": "acme:trace", "id": "tr_1"},
            ],
            "first_id": "msg_1",
            "last_id": "tr_1",
            "has_more": True,
        },
        ConversationItemList,
    )
    assert page.data[0] == Message(id="msg_1", role="user", content=[InputText(text="Hello")])
    assert isinstance(page.data[1], UnknownItem)

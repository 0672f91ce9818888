"""The decoder, with what some providers send beside the rules: nothing that they say is lost, and nothing is said twice."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.chat.chunks import TEXT, TOOLS, body, call, calls_of, chunks, delta, sse
from tests.chat.said import decode

from responses_proto.chat import PROFILES
from responses_proto.models import CreateResponse, FunctionTool, Message, OutputText


def piece(**fields: Any) -> dict[str, Any]:
    """Return one piece of a call."""
    function = {key: fields.pop(key) for key in ("name", "arguments") if key in fields}
    return {**fields, "function": function}


def message(finish: str | None = "stop", **fields: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "message": {"role": "assistant", **fields}, "finish_reason": finish}]}


# ---- calls


STUBS: list[dict[str, Any]] = [
    {"function_call": {"name": "", "arguments": ""}},
    {"tool_calls": [{"index": 0, "id": "", "type": "function", "function": {"name": "", "arguments": ""}}]},
    {"tool_calls": [{"index": 0, "id": None, "type": None, "function": None}]},
    {"tool_calls": [None, {}]},
]


@pytest.mark.parametrize("stub", STUBS)
def test_a_piece_of_a_call_that_says_nothing_is_none(stub: dict[str, Any]) -> None:
    response = chunks(delta(content="Hel", **stub), delta(content="lo", **stub)).response
    assert ([item.type for item in response.output], response.output_text) == (["message"], "Hello")
    after = chunks(call(index=0, id="a", name="find", arguments="{}"), delta("tool_calls", **stub), request=TOOLS)
    assert calls_of(after) == [("find", "{}")]


@pytest.mark.parametrize(
    "pieces",
    [
        [{"id": "a", "arguments": '{"x"'}, {"id": "a", "name": "find", "arguments": ":1}"}],
        [{"id": "a", "name": "", "arguments": '{"x"'}, {"arguments": ":1"}, {"name": "find", "arguments": "}"}],
        [{"id": "a", "name": "find", "arguments": '{"x"'}, {"id": "", "name": "null", "arguments": ":1}"}],
        [{"id": "a", "name": "find", "arguments": ""}, {"name": "null", "arguments": '{"x":1}'}],
        [{"id": f"id_{text}", "name": "find", "arguments": text} for text in ('{"x"', ":", "1", "}")],
    ],
)
def test_the_name_of_a_call_may_come_late_or_again(pieces: list[dict[str, Any]]) -> None:
    decoded = chunks(*(call(index=0, **one) for one in pieces), request=TOOLS)
    assert calls_of(decoded) == [("find", '{"x":1}')]


@pytest.mark.parametrize(
    "pieces",
    [
        ['{"x"', ':{"y":1}}', '{"x":{"y":1}}'],
        ["{", '{"x"', '{"x":', '{"x":{"y"', '{"x":{"y":1', '{"x":{"y":1}}', '{"x":{"y":1}}'],
        ['{"x":', '{"x":{"y":1}}'],  # may be a value of "x", up to the end
        ['{"x":', '{"x":{"y":1', '{"x":{"y":1}', '{"x":{"y":1}}'],
        ["{}", '{"x":{"y":1}}'],
        ["{}", "{", '"x":{"y":1}', "}"],
    ],
)
def test_arguments_that_are_said_again_are_said_once(pieces: list[str]) -> None:
    given = [call(index=0, id="a", name="find", arguments=""), *(call(index=0, arguments=text) for text in pieces)]
    assert calls_of(chunks(*given, request=TOOLS)) == [("find", '{"x":{"y":1}}')]


@pytest.mark.parametrize(
    "pieces",
    [
        ['{"', '{":1}'],  # the key is a brace
        ['{"x":', '{"x":{}', "}"],
        ['{"x":', '{"x":[1]}}'],
        ["[1,", "[1,2]", "]"],
        ["1", "1"],
        ["not ", "not JSON"],
        ["{}"],
        ["{}", "\n"],
        ['{"x":1}', " "],
    ],
)
def test_arguments_that_only_look_as_if_they_were_repeated(pieces: list[str]) -> None:
    given = [call(index=0, id="a", name="find", arguments=text) for text in pieces]
    assert calls_of(chunks(*given, request=TOOLS)) == [("find", "".join(pieces))]


def test_arguments_of_a_custom_tool_are_text_and_may_repeat() -> None:
    pieces = [
        {"index": 0, "id": "a", "custom": {"name": "say", "input": "{ha"}},
        {"index": 0, "custom": {"input": "{ha"}},
    ]
    (made,) = chunks(*(delta(tool_calls=[one]) for one in pieces)).decoder.calls
    assert made.type == "custom_tool_call"
    assert made.input == "{ha{ha"


@pytest.mark.parametrize("index", ["{}", "{}.0", '"{}"'])
def test_an_index_in_another_form(index: str) -> None:
    first, second = (json.loads(index.format(number)) for number in (0, 1))
    decoded = chunks(
        call(index=first, id="a", name="find", arguments=""),
        call(index=second, id="b", name="get", arguments=""),
        call(index=first, arguments='{"x":1}'),
        call(index=second, arguments='{"y":1}'),
        request=TOOLS,
    )
    assert calls_of(decoded) == [("find", '{"x":1}'), ("get", '{"y":1}')]


@pytest.mark.parametrize("index", ["", "-1", "x", 0.5, True, [0], {}])
def test_an_index_that_is_none_is_ignored(index: object) -> None:
    assert calls_of(chunks(call(index=index, name="find", arguments="{}"), request=TOOLS)) == [("find", "{}")]


def test_calls_without_index_and_id_that_come_together_are_told_apart_by_their_places() -> None:
    together = [
        delta(tool_calls=[piece(name="find", arguments=""), piece(name="find", arguments="")]),
        delta(tool_calls=[piece(arguments='{"x":1}'), piece(arguments='{"x":2}')]),
    ]
    assert calls_of(chunks(*together, request=TOOLS)) == [("find", '{"x":1}'), ("find", '{"x":2}')]


def test_calls_with_one_index_and_without_arguments_are_told_apart_by_their_names() -> None:
    given = [call(index=0, name="find", arguments=""), call(index=0, name="get_weather", arguments="")]
    assert calls_of(chunks(*given, request=TOOLS)) == [("find", "{}"), ("get_weather", "{}")]


def test_a_call_may_be_written_without_its_inner_object_or_its_list() -> None:
    flat = {"index": 0, "id": "a", "name": "find", "arguments": '{"x":1}'}
    assert calls_of(chunks(delta(tool_calls=[flat]), request=TOOLS)) == [("find", '{"x":1}')]
    alone = piece(index=0, id="a", name="find", arguments='{"x":1}')
    assert calls_of(chunks(delta(tool_calls=alone), request=TOOLS)) == [("find", '{"x":1}')]


# ---- a message beside the deltas


def test_a_message_after_the_deltas_adds_what_they_did_not_say() -> None:
    whole = message(
        content="<think>it.</think>Hello",
        reasoning_content="See ",
        refusal="No",
        tool_calls=[piece(id="a", name="find", arguments="{}")],
        images=[{"image_url": {"url": "https://example.org/a.png"}}],
        annotations=[{"type": "url_citation", "url": "https://example.org"}],
    )
    deltas = [
        delta(reasoning="See "),
        delta(content="<think>it.</think>Hel"),
        delta(refusal="No"),
        delta(images=[{"image_url": {"url": "https://example.org/a.png"}}]),
        call(index=0, id="a", name="find", arguments="{}"),
    ]
    response = chunks(*deltas, whole, finish=None, request=TOOLS, profile=PROFILES["vllm"]).response
    assert (response.reasoning_text, response.output_text, response.refusal) == ("See it.", "Hello", "No")
    kinds = [item.type for item in response.output]
    assert (kinds.count("function_call"), kinds.count("image_generation_call")) == (1, 1)
    for text in ("", "Hello"):
        assert (
            chunks(*([delta(content=text)] if text else ()), message(content="Hello"), finish=None).response.output_text
            == "Hello"
        )


def test_a_message_that_is_empty_or_the_same_beside_a_delta_says_nothing() -> None:
    both = [
        {"choices": [{"index": 0, "delta": {"content": text}, "message": {"role": "assistant", "content": beside}}]}
        for text, beside in (("Hel", ""), ("lo", "lo"))
    ]
    assert chunks(*both).response.output_text == "Hello"


def test_messages_alone_are_said_one_after_the_other() -> None:
    assert chunks(message(None, content="Hel"), message(content="lo"), finish=None).response.output_text == "Hello"


# ---- choices and content


def test_the_only_choice_may_have_any_index() -> None:
    response = chunks(
        {"choices": [{"index": 1, "delta": {"content": "a"}}]},
        {"choices": [{"index": 1, "delta": {}, "finish_reason": "length"}]},
        finish=None,
    ).response
    assert (response.status, response.output_text) == ("incomplete", "a")


def test_other_choices_than_the_first_are_left_out() -> None:
    response = chunks(
        {"choices": [{"index": 0, "delta": {"content": "a"}}, {"index": 1, "delta": {"content": "x"}}]},
        {"choices": [{"index": 1, "delta": {"content": "y"}, "finish_reason": "length"}]},
    ).response
    assert (response.status, response.output_text) == ("completed", "a")


@pytest.mark.parametrize("index", [{}, {"index": 0}])
def test_an_answer_may_be_divided_into_choices(index: dict[str, int]) -> None:
    made = piece(id="a", name="find", arguments="{}")
    messages = [{"role": "assistant", "content": "I look."}, {"role": "assistant", "tool_calls": [made]}]
    whole = {"choices": [{**index, "message": one, "finish_reason": "tool_calls"} for one in messages]}
    decoded = decode(lambda decoder: decoder.receive_completion(whole), TOOLS)
    assert decoded.response.output_text == "I look."
    assert calls_of(decoded) == [("find", "{}")]


@pytest.mark.parametrize(
    "content",
    [
        ["Hel", "lo"],
        {"type": "text", "text": "Hello"},
        [{"type": "text", "text": {"value": "Hello", "annotations": []}}],
        [{"type": "output_text", "text": "Hel"}, {"text": "lo"}],
        [{"type": "reasoning", "text": ""}, "Hello"],
    ],
)
def test_content_in_another_form(content: object) -> None:
    assert chunks(delta(content=content)).response.output_text == "Hello"


def test_reasoning_as_a_part_of_the_content() -> None:
    parts = [{"type": "reasoning", "text": "a"}, {"type": "reasoning", "reasoning": "b"}, {"type": "text", "text": "c"}]
    response = chunks(delta(content=parts)).response
    assert (response.reasoning_text, response.output_text) == ("ab", "c")


@pytest.mark.parametrize(
    "fields",
    [
        {"reasoning": {"content": "why"}},
        {"reasoning": {"text": "why"}},
        {"reasoning": [{"type": "text", "text": "w"}, {"type": "text", "text": "hy"}]},
        {"thinking": {"type": "thinking", "thinking": "why"}},
        {"thinking_blocks": [{"type": "thinking", "thinking": "why", "signature": "s"}]},
        {"reasoning_content": "why", "thinking_blocks": [{"type": "thinking", "thinking": "why"}]},
        {"reasoning_content": "why", "thinking_blocks": [{"type": "redacted_thinking", "data": "x"}]},
    ],
)
def test_reasoning_in_another_form_is_said_once(fields: dict[str, Any]) -> None:
    for decoded in (
        chunks(delta(**fields), delta(content="so")),
        chunks(delta(**fields), delta(content="so"), message(content="so", **fields)),
        decode(lambda decoder: decoder.receive_completion(message(content="so", **fields)), TEXT),
    ):
        assert (decoded.response.reasoning_text, decoded.response.output_text) == ("why", "so")


@pytest.mark.parametrize("number", [42, 4.5, 12345678901234567890])
def test_a_number_that_the_server_decoded_is_text(number: float) -> None:
    assert chunks(delta(content=number)).response.output_text == str(number)


def test_the_end_marker_may_be_quoted() -> None:
    decoded = body(sse(delta(content="a"), done=False) + b'data: "[DONE]"\n\n')
    assert (decoded.response.status, decoded.response.output_text) == ("completed", "a")


def test_an_error_of_minimax_may_follow_text() -> None:
    failed = {"base_resp": {"status_code": 1039, "status_msg": "Too many tokens."}}
    fine = {"base_resp": {"status_code": 0, "status_msg": ""}}
    assert body(sse(delta(content="a"), {**delta(), **fine})).response.status == "completed"
    for decoded in (body(sse(delta(content="a"), {**delta(), **failed})), body(sse(delta(content="a"), failed))):
        assert (decoded.response.status, decoded.response.output_text) == ("failed", "a")
        assert decoded.decoder.error is not None
        assert decoded.decoder.error.message == "Too many tokens."


def test_the_text_of_a_completion_of_old() -> None:
    given = [{"choices": [{"index": 0, "text": text, "finish_reason": None}]} for text in ("Hel", "lo")]
    assert chunks(*given).response.output_text == "Hello"


def test_citations_are_said_once() -> None:
    one = {"type": "url_citation", "url_citation": {"url": "https://example.org/1", "start_index": 0, "end_index": 1}}
    given = [
        delta(content="a", annotations=[one]),
        delta(content="b", annotations=[one]),
        {**delta(content="c"), "citations": ["https://example.org/2"]},
        {**delta(), "citations": ["https://example.org/2", 5]},
    ]
    (answer,) = chunks(*given).response.output
    assert isinstance(answer, Message)
    (part,) = answer.parts
    assert isinstance(part, OutputText)
    found = [getattr(annotation, "url", "") for annotation in part.annotations or ()]
    assert found == ["https://example.org/1", "https://example.org/2"]


# ---- the end


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        ("model_context_window_exceeded", "incomplete"),
        ("content_filter: PROHIBITED_CONTENT", "incomplete"),
        ("BLOCKLIST", "incomplete"),
        ("sensitive", "incomplete"),
        ("abort", "failed"),
        ("network_error", "failed"),
        ("insufficient_system_resource", "failed"),
        ("function_call_filter: MALFORMED_FUNCTION_CALL", "failed"),
        ("ERROR", "failed"),
        ("eos_token", "completed"),
    ],
)
def test_reasons_of_the_end_in_the_words_of_providers(reason: str, status: str) -> None:
    decoded = chunks(delta(content="a"), finish=reason)
    assert (decoded.response.status, decoded.response.output_text) == (status, "a")
    if status == "failed" and reason != "ERROR":
        assert decoded.decoder.error is not None
        assert reason in decoded.decoder.error.message


def test_a_turn_that_ended_early_stays_so() -> None:
    assert chunks(delta("length", content="a"), delta("stop"), finish=None).response.status == "incomplete"
    assert chunks(delta("tool_calls", content="a"), delta("length"), finish=None).response.status == "incomplete"


@pytest.mark.parametrize(
    "data",
    [
        sse(),
        sse({"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 0}}),
        sse({"choices": None, "base_resp": {"status_code": 1008, "status_msg": "No credit."}}),
        b'{"choices": [], "usage": {"prompt_tokens": 1}}',
        b'{"choices": null, "base_resp": {"status_code": 1008, "status_msg": "No credit."}}',
    ],
)
def test_an_answer_without_a_choice_is_an_error(data: bytes) -> None:
    decoded = body(data)
    assert decoded.response.status == "failed"
    assert decoded.decoder.error is not None
    assert ("No credit." in decoded.decoder.error.message) == (b"No credit." in data)


@pytest.mark.parametrize("error", [{"msg": "No credit.", "code": 500}, {"error_message": "No credit."}])
def test_an_error_by_its_message_alone(error: dict[str, Any]) -> None:
    for decoded in (body(sse(delta(content="a"), error)), body(sse(delta(content="a"), {**error, "choices": []}))):
        assert decoded.decoder.error is not None
        assert decoded.decoder.error.message == "No credit."


# ---- usage


def test_a_number_of_tokens_is_not_replaced_by_nothing() -> None:
    def stated(number: int) -> dict[str, Any]:
        counts = {"prompt_tokens": number, "completion_tokens": number, "total_tokens": 2 * number}
        return {"choices": [], "usage": counts}

    usage = chunks(delta(content="a"), stated(3), stated(0)).decoder.usage
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (3, 3, 6)


def test_numbers_of_tokens_under_other_names_and_as_text() -> None:
    stated = {"input_tokens": "9", "output_tokens": "2", "cache_read_input_tokens": 4, "cache_creation_input_tokens": 1}
    usage = chunks(delta(content="a"), {"choices": [], "usage": stated}).decoder.usage
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens) == (9, 2)
    assert (usage.input_tokens_details.cached_tokens, usage.input_tokens_details.cache_write_tokens) == (4, 1)


def test_the_name_of_a_function_may_begin_with_that_of_another() -> None:
    tools = CreateResponse(model="m", tools=[FunctionTool(name=name) for name in ("get", "get_all")])
    given = [call(index=0, name="get", arguments=""), call(index=0, name="_all", arguments="{}")]
    assert calls_of(chunks(*given, request=tools)) == [("get_all", "{}")]

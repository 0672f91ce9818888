"""The decoder, case by case: what providers write, and what a response has of it."""

from __future__ import annotations

import json
from typing import Any

import attrs
import pytest
from tests.chat.chunks import TEXT, TOOLS, WEATHER, body, call, calls_of, chunks, delta, sse
from tests.chat.said import decode

from responses_proto.chat import PROFILES, ChatDecoder
from responses_proto.exceptions import LimitExceeded
from responses_proto.limits import Limits
from responses_proto.models import (
    CreateResponse,
    CustomTool,
    CustomToolCall,
    CustomToolGrammarFormat,
    FunctionCall,
    FunctionCallOutput,
    FunctionTool,
    ImageGenerationCall,
    McpCall,
    McpListTools,
    McpTool,
    Message,
    NamespaceTool,
    OutputText,
    Reasoning,
    SummaryText,
    WebSearchTool,
)
from responses_proto.models.actions import McpListedTool
from responses_proto.protocol import Emitter

# ---- text and reasoning


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning", "reasoning_text", "thinking"])
def test_reasoning_is_an_item_before_the_message(field: str) -> None:
    decoded = chunks(delta(**{field: "Let me "}), delta(**{field: "see."}), delta(content="Two."))
    reasoning, message = decoded.response.output
    assert isinstance(reasoning, Reasoning)
    assert isinstance(message, Message)
    assert (reasoning.text, message.text) == ("Let me see.", "Two.")


def test_reasoning_that_two_fields_say_is_said_once() -> None:
    decoded = chunks(
        delta(reasoning_content="a", reasoning="a", reasoning_details=[{"type": "reasoning.text", "text": "a"}])
    )
    assert decoded.response.reasoning_text == "a"


def test_a_summary_among_the_details_of_reasoning_is_a_summary() -> None:
    decoded = chunks(delta(reasoning_details=[{"type": "reasoning.summary", "summary": "In short."}]))
    (reasoning, _) = [*decoded.response.output, None]
    assert isinstance(reasoning, Reasoning)
    assert reasoning.summary == [SummaryText(text="In short.")]
    assert not reasoning.content


def test_reasoning_after_text_is_an_item_of_its_own() -> None:
    decoded = chunks(delta(content="a"), delta(reasoning="b"), delta(content="c"))
    assert [item.type for item in decoded.response.output] == ["message", "reasoning", "message"]
    assert decoded.response.output_text == "ac"


def test_sealed_reasoning_is_kept_for_the_provider_with_its_text_in_one_piece() -> None:
    pieces = [{"type": "reasoning.text", "text": text, "index": 0} for text in ("a", "b")]
    seal = {"type": "reasoning.text", "signature": "s", "index": 0}
    decoded = chunks(*(delta(reasoning_details=[one]) for one in (*pieces, seal)), delta(content="c"))
    reasoning = decoded.response.output[0]
    assert isinstance(reasoning, Reasoning)
    assert reasoning.text == "ab"
    assert (reasoning.encrypted_content or "").endswith(
        '[{"type":"reasoning.text","text":"ab","index":0,"signature":"s"}]'
    )


def test_reasoning_that_is_cut_off_is_not_kept_for_the_provider() -> None:
    decoded = chunks(delta(reasoning_details=[{"type": "reasoning.encrypted", "data": "x"}]), finish="length")
    reasoning = decoded.response.output[0]
    assert isinstance(reasoning, Reasoning)
    assert not reasoning.encrypted_content


OPEN_MODEL = PROFILES["sglang"]


@pytest.mark.parametrize(
    ("pieces", "reasoning", "text"),
    [
        (["<think>a</think>b"], "a", "b"),
        (["<think>\na</think>\n\nb"], "a", "b"),
        ([" \n<think>", "a", "</think>", " ", "b"], "a", "b"),
        (["<think></think>b"], "", "b"),
        (["<think>\n\n</think>\n\nb"], "", "b"),
        (["<think>a</think><think>b</think>c"], "ab", "c"),
        (["◁think▷a◁/think▷b"], "a", "b"),
        (["<think>a < b </thin k</think>c"], "a < b </thin k", "c"),
        (["<think>a"], "a", ""),
        (["<think>a</thi"], "a</thi", ""),
        (["<think>a</think> "], "a", ""),
        (["<thi"], "", "<thi"),
        (["<this> is text"], "", "<this> is text"),
        (["Say <think>a</think>"], "", "Say <think>a</think>"),
        (["\n\nText"], "", "\n\nText"),
        ([" " * 100, "<think>a"], "", " " * 100 + "<think>a"),
    ],
)
@pytest.mark.parametrize("size", [1, 3, 100])
def test_tags_at_the_start_of_the_text_mark_reasoning(pieces: list[str], reasoning: str, text: str, size: int) -> None:
    joined = "".join(pieces)
    cut = pieces if size == 100 else [joined[at : at + size] for at in range(0, len(joined), size)]
    decoded = chunks(*(delta(content=piece) for piece in cut), profile=OPEN_MODEL)
    assert (decoded.response.reasoning_text.replace("\n\n", ""), decoded.response.output_text) == (reasoning, text)


def test_text_that_begins_inside_of_the_tags() -> None:
    profile = attrs.evolve(OPEN_MODEL, think_open=True)
    decoded = chunks(delta(content="\na"), delta(content="b</th"), delta(content="ink>\nc"), profile=profile)
    assert (decoded.response.reasoning_text, decoded.response.output_text) == ("ab", "c")


def test_text_and_refusal_are_parts_of_one_message() -> None:
    decoded = chunks(delta(content="a"), delta(refusal="no"), delta(content="b"))
    (message,) = decoded.response.output
    assert isinstance(message, Message)
    assert [part.type for part in message.parts] == ["output_text", "refusal", "output_text"]


def test_content_may_be_a_list_of_parts() -> None:
    parts = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "a"}]},
        {"type": "thinking", "thinking": "b"},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "+"}]},
        {"type": "text", "text": "c"},
        {"type": "refusal", "refusal": "d"},
        {"type": "image_url", "image_url": "https://example.org/e.png"},
        {"type": "reference", "reference_ids": [1]},
        None,
    ]
    response = chunks(delta(content=parts)).response
    assert (response.reasoning_text, response.output_text, response.refusal) == ("ab+", "c", "d")
    assert [item.extra for item in response.output if isinstance(item, ImageGenerationCall)] == [
        {"image_url": "https://example.org/e.png"}
    ]


def test_an_answer_that_says_nothing_is_an_empty_message() -> None:
    (message,) = chunks(delta(content="")).response.output
    assert isinstance(message, Message)
    assert message.text == ""
    assert [part.type for part in message.parts] == ["output_text"]


# ---- what belongs to the text


def test_log_probabilities_belong_to_the_text_they_come_with() -> None:
    entry = {"token": "Hi", "logprob": -1, "bytes": [72, 105], "top_logprobs": [{"token": "Ho", "logprob": -2.5}]}
    chunk = {"choices": [{"delta": {"content": "Hi"}, "logprobs": {"content": [entry]}}]}
    (message,) = chunks(chunk).response.output
    assert isinstance(message, Message)
    (part,) = message.parts
    assert isinstance(part, OutputText)
    assert part.logprobs
    (found,) = part.logprobs
    assert (found.token, found.logprob, found.bytes) == ("Hi", -1.0, [72, 105])
    assert [(top.token, top.logprob) for top in found.top_logprobs or ()] == [("Ho", -2.5)]


def test_log_probabilities_of_a_token_without_text_wait_for_the_text() -> None:
    def chunk(text: str) -> dict[str, Any]:
        return {"choices": [{"delta": {"content": text}, "logprobs": {"content": [{"token": text, "logprob": None}]}}]}

    for given in ([chunk(""), chunk("é")], [chunk("é"), chunk("")]):
        (message,) = chunks(*given).response.output
        assert isinstance(message, Message)
        (part,) = message.parts
        assert isinstance(part, OutputText)
        assert len(part.logprobs or ()) == 2


def test_log_probabilities_of_reasoning_are_not_those_of_the_text() -> None:
    entry = {"content": [{"token": "a", "logprob": -1}]}
    chunk = {"choices": [{"delta": {"reasoning": "a"}, "logprobs": entry}]}
    (_, message) = chunks(chunk, delta(content="b")).response.output
    assert isinstance(message, Message)
    (part,) = message.parts
    assert isinstance(part, OutputText)
    assert not part.logprobs


def test_citations_wait_for_a_text() -> None:
    flat = {"type": "url_citation", "url": "https://example.org/2", "title": None}
    nested = {"type": "url_citation", "url_citation": {"url": "https://example.org/1", "title": "One", "end_index": 1}}
    for given in (
        [delta(annotations=[nested, flat, {"type": "file"}]), delta(content="a")],
        [delta(content="a"), delta(annotations=[nested]), delta(annotations=[flat])],
        [delta(refusal="a"), delta(annotations=[nested, flat])],
        [delta(annotations=[nested, flat])],
    ):
        response = chunks(*given).response
        texts = [part for item in response.output if isinstance(item, Message) for part in item.parts]
        found = [one for part in texts if isinstance(part, OutputText) for one in part.annotations or ()]
        assert [getattr(one, "url", "") for one in found] == ["https://example.org/1", "https://example.org/2"]


def test_audio_is_sent_as_audio_and_kept_in_the_message() -> None:
    decoded = chunks(
        delta(audio={"id": "audio_1", "transcript": "Hel"}),
        delta(audio={"data": "QUJD", "transcript": "lo"}),
        delta(audio={"data": "REVG", "expires_at": 5}),
    )
    assert (decoded.accumulator.audio, decoded.accumulator.audio_transcript) == ("QUJDREVG", "Hello")
    (message,) = decoded.response.output
    assert isinstance(message, Message)
    assert message.text == "Hello"
    assert message.extra == {"audio": {"id": "audio_1", "data": "QUJDREVG", "transcript": "Hello", "expires_at": 5}}


def test_images_are_items() -> None:
    url = "data:image/webp;base64,AAAA"
    decoded = chunks(delta(content="Here:", images=[{"type": "image_url", "image_url": {"url": url}}]))
    (_, image) = decoded.response.output
    assert isinstance(image, ImageGenerationCall)
    assert (image.result, image.output_format, image.status) == ("AAAA", "webp", "completed")


# ---- calls


def test_calls_by_index_may_be_interleaved() -> None:
    decoded = chunks(
        call(index=0, id="a", name="get_weather", arguments=""),
        call(index=1, id="b", name="find", arguments=""),
        call(index=0, arguments='{"x":'),
        call(index=1, arguments="{"),
        call(index=0, arguments="1}"),
        call(index=1, arguments="}"),
        request=TOOLS,
        finish="tool_calls",
    )
    assert calls_of(decoded) == [("get_weather", '{"x":1}'), ("find", "{}")]
    assert [one.call_id for one in decoded.response.function_calls] == ["a", "b"]


def test_calls_keep_their_order_if_the_name_of_the_first_is_late() -> None:
    decoded = chunks(
        call(index=0, id="a", name="get"),
        call(index=1, id="b", name="find", arguments="{}"),
        call(index=0, name="_weather"),
        call(index=0, arguments="{}"),
        request=TOOLS,
    )
    assert calls_of(decoded) == [("get_weather", "{}"), ("find", "{}")]


@pytest.mark.parametrize(
    "pieces",
    [
        [{"id": "a", "name": "get_weather", "arguments": '{"x"'}, {"id": "a", "arguments": ":1}"}],
        [{"name": "get_weather", "arguments": ""}, {"arguments": '{"x"'}, {"arguments": ":1}"}],
        [{"name": "get_weather", "arguments": '{"x"'}, {"name": "get_weather", "arguments": ":1}"}],
        [{"index": 0, "id": "a", "name": "get_weather"}, {"index": 0, "id": "", "name": "", "arguments": '{"x":1}'}],
        [{"index": 0, "id": "a", "name": "get_weather"}, {"index": 0, "id": "b", "arguments": '{"x":1}'}],
        [
            {"index": 0, "id": "a", "name": "get_"},
            {"index": 0, "name": "weather"},
            {"index": 0, "arguments": '{"x":1}'},
        ],
        [{"index": 0, "id": "a", "name": "get_"}, {"index": 0, "name": "get_weather", "arguments": '{"x":1}'}],
        [{"index": 0, "id": "a", "name": "get_weather", "arguments": {"x": 1}}],
        [{"index": "0", "id": None, "name": "get_weather", "arguments": '{"x":1}'}],
        [{"index": 0, "id": "a", "name": "get_weather", "arguments": None}, {"index": 0, "arguments": '{"x":1}'}],
        [
            {"index": 0, "id": "a", "name": "get_weather"},
            {"index": 1, "arguments": '{"x"'},
            {"index": 1, "arguments": ":1}"},
        ],
        [{"index": 0, "id": "a", "name": "get_weather"}, {"index": 1, "id": "a", "arguments": '{"x":1}'}],
    ],
)
def test_pieces_of_one_call(pieces: list[dict[str, Any]]) -> None:
    decoded = chunks(*(call(**piece) for piece in pieces), request=TOOLS)
    assert [(name, json.loads(arguments)) for name, arguments in calls_of(decoded)] == [("get_weather", {"x": 1})]


@pytest.mark.parametrize(
    "pieces",
    [
        [
            {"index": 0, "id": "a", "name": "find", "arguments": "{}"},
            {"index": 0, "id": "b", "name": "find", "arguments": "{}"},
        ],
        [{"index": 0, "name": "find", "arguments": "{}"}, {"index": 0, "name": "find", "arguments": "{}"}],
        [{"index": 0, "name": "get", "arguments": "{}"}, {"index": 0, "name": "find", "arguments": "{}"}],
        [{"id": "a", "name": "find", "arguments": "{}"}, {"id": "b", "name": "find", "arguments": "{}"}],
        [{"name": "find"}, {"arguments": "{}"}, {"name": "find"}, {"arguments": "{}"}],
        [
            {"index": 0, "id": "a", "name": "find", "arguments": ""},
            {"index": 0, "id": "b", "name": "find", "arguments": ""},
            {"index": 0, "id": "a", "arguments": "{}"},
            {"index": 1, "arguments": "{}"},
        ],
    ],
)
def test_pieces_of_two_calls(pieces: list[dict[str, Any]]) -> None:
    decoded = chunks(*(call(**piece) for piece in pieces), request=TOOLS)
    assert [arguments for _, arguments in calls_of(decoded)] == ["{}", "{}"]
    assert len({one.call_id for one in decoded.response.function_calls}) == 2


def test_a_function_call_in_the_old_form() -> None:
    decoded = chunks(
        delta(function_call={"name": "find", "arguments": ""}),
        delta(function_call={"arguments": "{}"}),
        request=TOOLS,
        finish="function_call",
    )
    assert calls_of(decoded) == [("find", "{}")]


def test_a_call_without_arguments_has_an_empty_object() -> None:
    assert calls_of(chunks(call(index=0, id="a", name="find"), request=TOOLS)) == [("find", "{}")]
    assert calls_of(chunks(call(index=0, name="get"), request=TOOLS)) == [("get", "{}")]


def test_a_function_that_is_not_offered_is_called_by_its_name() -> None:
    assert calls_of(chunks(call(index=0, id="a", name="other", arguments="{}"))) == [("other", "{}")]


def test_an_id_that_the_conversation_has_already_is_replaced() -> None:
    earlier = FunctionCall(call_id="call_0", name="find", arguments="{}")
    answer = FunctionCallOutput(call_id="call_0", output="x")
    decoded = chunks(call(id="call_0", name="find", arguments="{}"), request=TOOLS, context=[earlier, answer])
    assert decoded.decoder.calls[0].call_id not in ("", "call_0")


def test_calls_end_the_message_and_text_after_them_is_another() -> None:
    decoded = chunks(
        delta(content="a"), call(index=0, id="a", name="find", arguments="{}"), delta(content="b"), request=TOOLS
    )
    assert [item.type for item in decoded.response.output] == ["message", "function_call", "message"]


def test_what_a_provider_adds_to_a_call_is_kept_whenever_it_comes() -> None:
    extra = {"google": {"thought_signature": "x"}}
    early = chunks(call(id="a", name="find", arguments="{}", extra_content=extra), request=TOOLS)
    late = chunks(call(id="a", name="find", arguments="{}"), call(extra_content=extra), request=TOOLS)
    for decoded in (early, late):
        assert decoded.response.function_calls[0].extra == {"extra_content": extra}


def test_a_function_in_a_namespace_has_its_own_name_again() -> None:
    request = CreateResponse(model="m", tools=[NamespaceTool(name="crm", description="", tools=[WEATHER])])
    decoded = chunks(call(index=0, id="a", name="crm__get_weather", arguments="{}"), request=request)
    (made,) = decoded.response.function_calls
    assert (made.namespace, made.name) == ("crm", "get_weather")


CUSTOM = CreateResponse(
    model="m", tools=[CustomTool(name="sql", format=CustomToolGrammarFormat(definition="start: /.+/", syntax="lark"))]
)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [('{"input":"select 1"}', "select 1"), ("select 1", "select 1"), ('{"query":1}', '{"query":1}'), ("[1]", "[1]")],
)
def test_a_custom_tool_that_became_a_function_gets_its_text(arguments: str, text: str) -> None:
    decoded = chunks(
        call(index=0, id="a", name="sql", arguments=arguments[:4]),
        call(index=0, arguments=arguments[4:]),
        request=CUSTOM,
    )
    (made,) = decoded.decoder.calls
    assert isinstance(made, CustomToolCall)
    assert (made.name, made.input, made.call_id) == ("sql", text, "a")


def test_a_custom_tool_of_the_provider() -> None:
    decoded = chunks(
        delta(tool_calls=[{"index": 0, "id": "a", "type": "custom", "custom": {"name": "sql", "input": ""}}]),
        delta(tool_calls=[{"index": 0, "custom": {"input": "select "}}]),
        delta(tool_calls=[{"index": 0, "custom": {"input": "1"}}]),
        request=CUSTOM,
    )
    (made,) = decoded.decoder.calls
    assert isinstance(made, CustomToolCall)
    assert made.input == "select 1"
    unknown = chunks(delta(tool_calls=[{"id": "a", "custom": {"name": "other", "input": "x"}}]))
    assert isinstance(unknown.decoder.calls[0], CustomToolCall)


# ---- calls that the server runs

LISTED = McpListTools(
    id="mcpl_1",
    server_label="docs",
    tools=[
        McpListedTool(name="search", input_schema={"type": "object"}, annotations={"readOnlyHint": True}),
        McpListedTool(name="write", input_schema={"type": "object"}),
    ],
)


def mcp_request(**fields: Any) -> CreateResponse:
    return CreateResponse(model="m", tools=[McpTool(server_label="docs", server_url="https://example.org", **fields)])


def test_an_mcp_call_is_an_open_item_until_the_server_has_run_it() -> None:
    request = mcp_request(require_approval="never")
    emitter = Emitter(request, now=1)
    events = emitter.start()
    decoder = ChatDecoder(emitter, request, [LISTED])
    events += decoder.receive_chunk(call(index=0, id="a", name="search", arguments='{"q":'))
    events += decoder.receive_chunk(call(index=0, arguments="1}"))
    events += decoder.receive_chunk(delta("tool_calls"))
    events += decoder.receive_eof()
    (made,) = decoder.mcp_calls
    assert (made.call_id, made.server_label, made.name, made.arguments) == ("a", "docs", "search", '{"q":1}')
    assert not made.needs_approval
    assert made.writer is not None
    assert not made.writer.closed
    item = made.writer.item
    assert isinstance(item, McpCall)
    events += made.writer.done_with(attrs.evolve(item, output="found", status="completed"))
    events += emitter.complete(decoder.usage)
    assert [event.type.removeprefix("response.") for event in events[2:]] == [
        "output_item.added",
        "mcp_call.in_progress",
        "mcp_call_arguments.delta",
        "mcp_call_arguments.delta",
        "mcp_call_arguments.done",
        "mcp_call.completed",
        "output_item.done",
        "completed",
    ]
    assert decoder.calls == []


def test_an_mcp_call_that_needs_an_approval_has_no_item() -> None:
    request = mcp_request(require_approval="always")
    decoded = chunks(call(index=0, id="a", name="search", arguments="{}"), request=request, context=[LISTED])
    (made,) = decoded.decoder.mcp_calls
    assert made.needs_approval
    assert made.writer is None
    assert decoded.response.output == []


def test_an_mcp_call_that_is_cut_off_is_not_run() -> None:
    request = mcp_request(require_approval="never")
    decoded = chunks(
        call(index=0, id="a", name="search", arguments='{"q":'), request=request, context=[LISTED], finish="length"
    )
    assert decoded.decoder.mcp_calls == []
    (item,) = decoded.response.output
    assert isinstance(item, McpCall)
    assert item.status == "incomplete"


def test_an_mcp_call_that_is_cut_off_before_its_approval_is_nowhere() -> None:
    given = call(index=0, id="a", name="search", arguments='{"q":')
    decoded = chunks(given, request=mcp_request(), context=[LISTED], finish="length")
    assert (decoded.decoder.mcp_calls, decoded.response.output) == ([], [])


def test_a_hosted_tool_of_the_bridge_is_called_by_the_function_that_stands_for_it() -> None:
    request = CreateResponse(model="m", tools=[WebSearchTool(search_context_size="low")])
    hosted = {"web_search": FunctionTool(name="search_the_web")}
    given = [call(index=0, id="a", name="search_the_web", arguments='{"q":1}')]
    decoded = chunks(*given, request=request, hosted=hosted)
    (made,) = decoded.decoder.hosted_calls
    assert (made.call_id, made.name, made.arguments, made.tool) == ("a", "search_the_web", '{"q":1}', request.tools[0])  # type: ignore[index] # there are tools
    assert decoded.response.output == []
    cut_off = chunks(
        call(index=0, id="a", name="search_the_web", arguments="{"), request=request, hosted=hosted, finish="length"
    )
    assert cut_off.decoder.hosted_calls == []


# ---- how a turn ends


@pytest.mark.parametrize(
    ("reason", "status", "incomplete"),
    [
        ("stop", "completed", None),
        ("tool_calls", "completed", None),
        ("eos", "completed", None),
        ("whatever", "completed", None),
        ("length", "incomplete", "max_output_tokens"),
        ("model_length", "incomplete", "max_output_tokens"),
        ("content_filter", "incomplete", "content_filter"),
        ("SAFETY", "incomplete", "content_filter"),
    ],
)
def test_the_reason_of_the_end(reason: str, status: str, incomplete: str | None) -> None:
    decoded = chunks(delta(content="a"), finish=reason)
    assert decoded.response.status == status
    assert decoded.decoder.incomplete_reason == incomplete
    assert decoded.decoder.finish_reason == reason
    (message,) = decoded.response.output
    assert isinstance(message, Message)
    assert message.status == status


def test_a_call_that_is_cut_off_is_incomplete_and_pending_nowhere() -> None:
    decoded = chunks(
        call(index=0, id="a", name="find", arguments="{}"),
        call(index=1, id="b", name="find", arguments='{"x'),
        request=TOOLS,
        finish="length",
    )
    assert [one.status for one in decoded.response.function_calls] == ["completed", "incomplete"]
    assert [one.call_id for one in decoded.response.pending_calls if isinstance(one, FunctionCall)] == ["a"]


def test_the_marker_alone_ends_a_turn() -> None:
    decoded = body(sse(delta(content="a")))
    assert (decoded.response.status, decoded.response.output_text) == ("completed", "a")


def test_the_reason_alone_ends_a_turn() -> None:
    decoded = body(sse(delta(content="a"), delta("stop"), done=False))
    assert decoded.response.status == "completed"


@pytest.mark.parametrize(
    "data", [sse(delta(content="a"), done=False), sse(delta(content="a"), done=False)[:-1] + b"\n: x", b"", b"\xef\xbb"]
)
def test_an_end_in_the_middle_is_an_error(data: bytes) -> None:
    decoded = body(data)
    assert decoded.decoder.error is not None
    assert decoded.decoder.error.status == 502
    assert decoded.response.status == "failed"
    assert all(item.status == "incomplete" for item in decoded.response.output if isinstance(item, Message))


def test_a_last_frame_that_is_not_ended_counts() -> None:
    assert body(sse(delta(content="a"), delta("stop"), done=False).rstrip()).response.status == "completed"


def test_the_marker_may_be_the_end_of_the_bytes() -> None:
    start, end = sse(delta(content="a"), done=False), b"data: [DONE]"
    decoded = decode(lambda decoder: [*decoder.receive_data(start), *decoder.receive_data(end)], TEXT)
    assert (decoded.response.status, decoded.response.output_text) == ("completed", "a")


def test_what_comes_after_the_end_is_ignored() -> None:
    decoded = decode(
        lambda decoder: [
            *decoder.receive_data(sse(delta(content="a"), delta("stop")) + sse(delta(content="b"))),
            *decoder.receive_data(sse(delta(content="c"))),
            *decoder.receive_chunk(delta(content="d")),
            *decoder.receive_completion({"choices": []}),
        ],
        TEXT,
    )
    assert decoded.response.output_text == "a"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"error": {"message": "No credit.", "code": "insufficient_quota"}}, "No credit."),
        ({"error": "No credit.", "error_type": "overloaded"}, "No credit."),
        ({"object": "error", "message": "No credit.", "code": 400}, "No credit."),
        ({"type": "error", "error": {"type": "overloaded_error", "message": "No credit."}}, "No credit."),
        ({"detail": "No credit."}, "No credit."),
        ({"choices": [{"index": 0, "delta": {}, "error": {"message": "No credit."}}]}, "No credit."),
        ({**delta(), "x_groq": {"id": "r", "error": "No credit."}}, "No credit."),
        (delta("error"), "The provider ended its answer with an unspecified error."),
    ],
)
def test_errors_in_a_stream(given: dict[str, Any], message: str) -> None:
    for decoded in (
        body(sse(delta(content="a"), given)),
        decode(lambda decoder: decoder.receive_completion(given), TEXT),
    ):
        assert decoded.decoder.error is not None
        assert decoded.decoder.error.message == message
        assert decoded.response.status == "failed"


def test_an_error_keeps_what_was_said_before() -> None:
    decoded = body(sse({"error": {"message": "x"}, **delta(content="a")}))
    assert decoded.response.output_text == "a"


def test_an_error_event_need_not_be_json() -> None:
    decoded = body(b"event: error\ndata: Out of memory\n\n")
    assert decoded.decoder.error is not None
    assert decoded.decoder.error.message == "Out of memory"
    named = body(b'event: error\ndata: {"code": 5, "text": "x"}\n\n')
    assert named.decoder.error is not None


def test_an_error_that_comes_first_writes_nothing() -> None:
    assert body(sse({"error": {"message": "x"}})).response.output == []


@pytest.mark.parametrize("frame", [b"data: {\n\n", b"data: <html>\n\n"])
def test_a_chunk_that_is_not_json_is_an_error(frame: bytes) -> None:
    decoded = body(sse(delta(content="a"), done=False) + frame + sse(delta("stop")))
    assert decoded.decoder.error is not None
    assert "not JSON" in decoded.decoder.error.message
    assert decoded.response.output_text == "a"


@pytest.mark.parametrize(
    "frame",
    [b"data: 1\n\n", b"data: null\n\n", b"data:\n\n", b": ping\n\n", b"id: 1\n\n", b'data: {"type": "ping"}\n\n'],
)
def test_frames_that_say_nothing(frame: bytes) -> None:
    decoded = body(sse(delta(content="a"), done=False) + frame + sse(delta("stop")))
    assert decoded.response.status == "completed"


@pytest.mark.parametrize("whole", [b"<!doctype html><title>Bad gateway</title>", b"oops", b'"text"', b'{"a": 1}'])
def test_a_body_that_is_no_completion_is_an_error(whole: bytes) -> None:
    decoded = body(whole)
    assert decoded.decoder.error is not None
    assert "something other than a completion" in decoded.decoder.error.message


def test_an_error_as_a_list() -> None:
    decoded = body(b'[{"error": {"code": 400, "message": "Unknown name", "status": "INVALID_ARGUMENT"}}]')
    assert decoded.decoder.error is not None
    assert decoded.decoder.error.message == "Unknown name"


def test_a_completion_where_a_stream_was_asked_for() -> None:
    message = {
        "role": "assistant",
        "content": "a",
        "reasoning": "b",
        "tool_calls": [
            {"id": "c", "function": {"name": "find", "arguments": "{}"}},
            {"id": "d", "function": {"name": "find", "arguments": ""}},
        ],
    }
    whole = {
        "id": "x",
        "model": "big",
        "service_tier": "flex",
        "choices": [{"message": message, "finish_reason": "tool_calls"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2},
    }
    data = json.dumps(whole, indent=1).encode()
    for decoded in (
        body(data, TOOLS),
        body(data + b"\n\ndata: [DONE]\n\n", TOOLS),
        decode(lambda decoder: [event for byte in data for event in decoder.receive_data(bytes([byte]))], TOOLS),
        decode(lambda decoder: decoder.receive_completion(whole), TOOLS),
    ):
        assert [item.type for item in decoded.response.output] == [
            "reasoning",
            "message",
            "function_call",
            "function_call",
        ]
        assert calls_of(decoded) == [("find", "{}"), ("find", "{}")]
        assert (decoded.decoder.id, decoded.decoder.model, decoded.decoder.service_tier) == ("x", "big", "flex")
        assert decoded.response.usage is not None


@pytest.mark.parametrize("depth", [300, 2])
def test_arguments_nested_beyond_measure_are_those_of_one_call(depth: int) -> None:
    given = [call(name="find", arguments='{"a":' + "[" * depth), call(name="find", arguments="{")]
    assert len(chunks(*given, request=TOOLS).response.function_calls) == 1


def test_log_probabilities_in_the_form_of_completions() -> None:
    def found(**fields: Any) -> list[tuple[str, float, int]]:
        chunk = {"choices": [{"delta": {"content": "ab"}, "logprobs": fields}]}
        (message,) = chunks(chunk).response.output
        assert isinstance(message, Message)
        (part,) = message.parts
        assert isinstance(part, OutputText)
        return [(one.token, one.logprob, len(one.top_logprobs or ())) for one in part.logprobs or ()]

    assert found(tokens=["a", "b"], token_logprobs=[-1, None], top_logprobs=[{"a": -1, "c": -2}]) == [
        ("a", -1, 2),
        ("b", 0, 0),
    ]
    assert found(tokens=["a"], token_logprobs=[-1]) == [("a", -1, 0)]
    assert found(tokens=None, token_logprobs=[-1]) == found(tokens=["a"]) == []


def test_audio_may_begin_with_its_id_alone() -> None:
    (message,) = chunks(delta(audio={"id": "audio_1"})).response.output
    assert message.extra["audio"]["id"] == "audio_1"  # type: ignore[index,call-overload] # any JSON


def test_a_turn_that_is_over_takes_no_more_frames() -> None:
    decoded = body(sse(delta(content="a"), delta("stop")) + b"data: x")
    assert decoded.decoder.error is None


# ---- usage


def test_usage_where_only_some_providers_have_it() -> None:
    counts = {"prompt_tokens": 3, "completion_tokens": 2}
    for chunk in (
        {"x_groq": {"usage": counts}},
        {"choices": [{"delta": {}, "usage": counts}]},
        {"timings": {"cache_n": 1, "prompt_n": 2, "predicted_n": 2}},
    ):
        usage = chunks(delta(content="a"), chunk).decoder.usage
        assert usage is not None
        assert (usage.input_tokens, usage.output_tokens) == (3, 2)


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}, (1, 2, 3, 0, 0)),
        ({"prompt_tokens": 1, "completion_tokens": 2}, (1, 2, 3, 0, 0)),
        ({"prompt_tokens": 5, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 4}}, (5, 2, 7, 4, 0)),
        ({"prompt_tokens": 5, "completion_tokens": 2, "prompt_cache_hit_tokens": 4}, (5, 2, 7, 4, 0)),
        ({"prompt_tokens": 5, "completion_tokens": 2, "cached_tokens": 4}, (5, 2, 7, 4, 0)),
        (
            {"prompt_tokens": 1, "completion_tokens": 9, "completion_tokens_details": {"reasoning_tokens": 4}},
            (1, 9, 10, 0, 4),
        ),
        ({"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 10}, (1, 9, 10, 0, 7)),
        ({"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 0}, (1, 2, 3, 0, 0)),
        ({"prompt_tokens": -1, "completion_tokens": "x", "total_tokens": True}, (0, 0, 0, 0, 0)),
        ({"prompt_tokens": None, "completion_tokens": 2.0, "prompt_tokens_details": None}, (0, 2, 2, 0, 0)),
        ({"prompt_tokens": float("inf"), "completion_tokens": 10**400}, (0, 0, 0, 0, 0)),
    ],
)
def test_usage(usage: dict[str, Any], expected: tuple[int, ...]) -> None:
    found = chunks(delta(content="a"), {"choices": [], "usage": usage}).decoder.usage
    assert found is not None
    details = (found.input_tokens_details.cached_tokens, found.output_tokens_details.reasoning_tokens)
    assert (found.input_tokens, found.output_tokens, found.total_tokens, *details) == expected


def test_usage_of_several_chunks_is_the_last_with_what_only_an_earlier_one_says() -> None:
    first = {"prompt_tokens": 3, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 2}}
    decoded = chunks(
        {**delta(content="a"), "usage": first},
        {**delta(content="b"), "usage": {"prompt_tokens": 3, "completion_tokens": 2}},
        {**delta(), "usage": None},
    )
    assert decoded.decoder.usage is not None
    assert decoded.decoder.usage.output_tokens == 2
    assert decoded.decoder.usage.input_tokens_details.cached_tokens == 2


def test_no_usage() -> None:
    assert chunks(delta(content="a")).response.usage is None


# ---- limits

SMALL = Limits(
    max_response_bytes=5000,
    max_output_items=5,
    max_content_parts=5,
    max_event_bytes=1000,
    max_buffered_bytes=1000,
    max_nesting=10,
)


@pytest.mark.parametrize(
    ("limit", "data"),
    [
        ("max_response_bytes", sse(*[delta(content="a" * 500)] * 11)),
        ("max_response_bytes", sse(*[delta(reasoning="a" * 500)] * 11)),
        ("max_response_bytes", sse(*[call(index=0, id="a", name="f", arguments="a" * 500)] * 11)),
        ("max_output_items", sse(*[delta(content="a"), delta(reasoning="b")] * 3)),
        ("max_output_items", sse(*(call(index=n, name="f", arguments="{}") for n in range(6)))),
        ("max_content_parts", sse(*[delta(content="a"), delta(refusal="b")] * 3)),
        (
            "max_content_parts",
            sse(delta(content="a"), *(delta(annotations=[{"type": "url_citation", "url": f"{n}"}]) for n in range(6))),
        ),
        ("max_event_bytes", sse(delta(content="a" * 1000))),
        ("max_event_bytes", b"data: " + b"a" * 1001),
        ("max_buffered_bytes", b"{" * 1001),
        ("max_nesting", sse({"choices": [[[[[[[[[[[]]]]]]]]]]]})),
        ("max_nesting", b"[" * 11 + b"]" * 11),
    ],
)
def test_what_exceeds_a_limit_ends_the_turn_with_an_error(limit: str, data: bytes) -> None:
    decoded = body(data, limits=SMALL)
    assert decoded.decoder.error is not None
    cause = decoded.decoder.error.__cause__
    assert isinstance(cause, LimitExceeded)
    assert cause.limit == limit
    assert decoded.response.status == "failed"


def test_what_waits_when_a_limit_is_exceeded_is_not_written() -> None:
    held = [delta(content="<thi"), *[delta(refusal="a" * 900)] * 6]
    decoded = body(sse(*held), limits=SMALL, profile=OPEN_MODEL)
    assert isinstance(decoded.decoder.error and decoded.decoder.error.__cause__, LimitExceeded)


def test_what_is_held_back_counts_at_the_end() -> None:
    limits = attrs.evolve(SMALL, max_output_items=1)
    given = sse(delta(reasoning="a"), delta(content="<thi"), delta("stop"), done=False)
    decoded = body(given, limits=limits, profile=OPEN_MODEL)
    assert isinstance(decoded.decoder.error and decoded.decoder.error.__cause__, LimitExceeded)

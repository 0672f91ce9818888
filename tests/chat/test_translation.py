"""What becomes of a request, of its items, content parts and tools, as a request of Chat Completions."""

from __future__ import annotations

import json
from typing import Any, Final, Literal

import attrs
import pytest

from responses_proto.chat import PROFILES, ChatProfile, to_chat
from responses_proto.chat._messages import CONTENT, DETAILS_PREFIX, ITEMS
from responses_proto.chat._tools import TOOLS, needs_approval, offered_tools, safe_name
from responses_proto.chat.profiles import OPENAI
from responses_proto.chat.translation import PARAMETERS
from responses_proto.codec import load
from responses_proto.exceptions import APIError
from responses_proto.models import (
    CONTENT_TYPES,
    ITEM_TYPES,
    TOOL_TYPES,
    CreateResponse,
    FunctionTool,
    Item,
    McpApprovalFilter,
    McpListTools,
    McpTool,
    McpToolFilter,
)
from responses_proto.models.actions import McpListedTool

USER: Final[Any] = {"type": "message", "role": "user", "content": "Hi"}
STRICT: Final = PROFILES["vllm"]  # its templates want one system message, at the start
WEATHER: Final[Any] = {"type": "function", "name": "get_weather", "parameters": {"type": "object", "properties": {}}}


def translate(
    *items: Any, profile: ChatProfile = OPENAI, history: tuple[Any, ...] = (), hosted: Any = None, **fields: Any
) -> dict[str, Any]:
    """Translate a request with these input items, all as wire objects. ``history`` comes before them."""
    given = list(items or (USER,))
    request = load({"model": "m", "input": given, **fields}, CreateResponse)
    context = [*(load(item, Item) for item in history), *(load(item, Item) for item in given)]
    return to_chat(request, context, profile, hosted=hosted)


def messages(*items: Any, **fields: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = translate(*items, **fields)["messages"]
    return found


def refused(param: str | None, *items: Any, **fields: Any) -> APIError:
    with pytest.raises(APIError) as caught:
        translate(*items, **fields)
    assert (caught.value.status, caught.value.type) == (400, "invalid_request_error")
    assert caught.value.param == param
    return caught.value


# ---- the tables


def test_every_parameter_has_a_row() -> None:
    assert set(PARAMETERS) - {"client_metadata"} == {field.name for field in attrs.fields(CreateResponse)} - {"extra"}


def test_every_item_content_part_and_tool_has_a_row() -> None:
    assert set(ITEMS) == set(ITEM_TYPES)
    assert set(CONTENT) == set(CONTENT_TYPES)
    assert set(TOOLS) == set(TOOL_TYPES)


@pytest.mark.parametrize("table", [PARAMETERS, ITEMS, CONTENT, TOOLS])
def test_every_row_says_what_becomes_of_it(table: Any) -> None:
    for name, row in table.items():
        assert (row.name, bool(row.note)) == (name, True)
        assert row.fate == "translated" or row.apply is None


# ---- parameters


def test_a_plain_request() -> None:
    body = translate(
        instructions="Be brief.",
        stream=True,
        temperature=0,
        top_p=0.5,
        max_output_tokens=9,
        store=True,
        metadata={"a": "b"},
    )
    assert body == {
        "model": "m",
        "temperature": 0,
        "top_p": 0.5,
        "max_completion_tokens": 9,
        "stream": True,
        "stream_options": {"include_usage": True},
        "messages": [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": "Hi"}],
    }


def test_what_a_provider_does_not_have_is_not_sent() -> None:
    everything: dict[str, Any] = {
        "temperature": 1,
        "presence_penalty": 1,
        "frequency_penalty": 1,
        "service_tier": "flex",
        "prompt_cache_key": "k",
        "prompt_cache_retention": "24h",
        "user": "u",
        "max_output_tokens": 5,
        "text": {"verbosity": "low", "format": {"type": "text"}},
        "stream": True,
        "truncation": "auto",
        "parallel_tool_calls": False,
        "tools": [WEATHER],
    }
    sent = {
        name: sorted(set(translate(profile=PROFILES[name], **everything)) - {"model", "messages", "tools", "stream"})
        for name in ("openai", "gemini", "mistral", "openrouter")
    }
    assert sent == {
        "openai": [
            "frequency_penalty",
            "max_completion_tokens",
            "parallel_tool_calls",
            "presence_penalty",
            "prompt_cache_key",
            "prompt_cache_retention",
            "safety_identifier",
            "service_tier",
            "stream_options",
            "temperature",
            "verbosity",
        ],
        "gemini": ["max_tokens", "stream_options", "temperature"],
        "mistral": ["frequency_penalty", "max_tokens", "parallel_tool_calls", "presence_penalty", "temperature"],
        "openrouter": [
            "frequency_penalty",
            "max_tokens",
            "parallel_tool_calls",
            "presence_penalty",
            "stream_options",
            "temperature",
            "transforms",
            "user",
            "verbosity",
        ],
    }


def test_no_truncation_is_what_providers_do() -> None:
    assert "transforms" not in translate(truncation="disabled", profile=PROFILES["openrouter"])


def test_parallel_calls_are_only_about_tools() -> None:
    assert "parallel_tool_calls" not in translate(parallel_tool_calls=False)
    assert translate(parallel_tool_calls=False, tools=[WEATHER])["parallel_tool_calls"] is False


@pytest.mark.parametrize("param", ["prompt", "moderation", "access_programs"])
def test_parameters_that_are_refused(param: str) -> None:
    values = {"prompt": {"id": "p"}, "moderation": {"model": "m"}, "access_programs": {"cyber": "standard"}}
    refused(param, **{param: values[param]})


def test_several_agents_are_refused() -> None:
    refused("multi_agent", multi_agent={"enabled": True})
    translate(multi_agent={"enabled": False})


def test_unknown_parameters_pass_if_the_caller_says_so() -> None:
    request = load({"model": "m", "input": "x", "top_k": 5, "messages": []}, CreateResponse)
    context = [load(USER, Item)]
    with pytest.raises(APIError, match="top_k") as caught:
        to_chat(request, context)
    assert caught.value.code == "unknown_parameter"
    body = to_chat(request, context, unknown_parameters="pass")
    assert body["top_k"] == 5
    assert body["messages"] == [{"role": "user", "content": "Hi"}]


@pytest.mark.parametrize("unknown", ["refuse", "pass"])
def test_what_clients_say_of_themselves_is_not_for_the_provider(unknown: Literal["refuse", "pass"]) -> None:
    request = load({"model": "m", "input": "x", "client_metadata": {"installation": "1"}}, CreateResponse)
    assert "client_metadata" not in to_chat(request, [load(USER, Item)], unknown_parameters=unknown)


def test_a_request_without_input_is_refused() -> None:
    request = load({"model": "m"}, CreateResponse)
    with pytest.raises(APIError) as caught:
        to_chat(request, [])
    assert (caught.value.param, caught.value.code) == ("input", "missing_required_parameter")


def test_log_probabilities() -> None:
    include: dict[str, Any] = {"include": ["message.output_text.logprobs", "reasoning.encrypted_content"]}
    assert translate(**include)["logprobs"] is True
    body = translate(top_logprobs=3)
    assert (body["logprobs"], body["top_logprobs"]) == (True, 3)
    assert "logprobs" not in translate(top_logprobs=0, include=["reasoning.encrypted_content"])
    refused("include", profile=PROFILES["groq"], **include)
    refused("top_logprobs", profile=PROFILES["groq"], top_logprobs=3)


@pytest.mark.parametrize(
    ("name", "effort", "sent"),
    [
        ("openai", "xhigh", {"reasoning_effort": "xhigh"}),
        ("groq", "minimal", {"reasoning_effort": "low"}),
        ("openrouter", "high", {"reasoning": {"effort": "high"}}),
        ("deepseek", "none", {"thinking": {"type": "disabled"}}),
        ("deepseek", "medium", {"thinking": {"type": "enabled"}, "reasoning_effort": "high"}),
        ("together", "none", {"reasoning": {"enabled": False}}),
        ("vllm", "none", {"chat_template_kwargs": {"enable_thinking": False, "thinking": False}}),
        (
            "llamacpp",
            "low",
            {"chat_template_kwargs": {"enable_thinking": True, "thinking": True, "reasoning_effort": "low"}},
        ),
        ("anthropic", "low", {"thinking": {"type": "enabled", "budget_tokens": 2048}}),
    ],
)
def test_the_effort_of_reasoning(name: str, effort: str, sent: dict[str, Any]) -> None:
    body = translate(profile=PROFILES[name], reasoning={"effort": effort, "summary": "auto"})
    assert {key: value for key, value in body.items() if key not in ("model", "messages")} == sent


def test_an_effort_that_the_provider_does_not_have() -> None:
    assert (
        "it has: low"
        in refused(
            "reasoning.effort", reasoning={"effort": "high"}, profile=attrs.evolve(OPENAI, efforts={"low": {}})
        ).message
    )
    refused("reasoning.effort", reasoning={"effort": "high"}, profile=attrs.evolve(OPENAI, efforts={}))
    translate(reasoning={"summary": "auto"}, profile=attrs.evolve(OPENAI, efforts={}))


@pytest.mark.parametrize(("limit", "thinking"), [(20_000, 16_384), (10_000, 5_000), (1_500, 1_024), (1_024, None)])
def test_a_budget_for_reasoning_stays_below_the_limit_of_the_output(limit: int, thinking: int | None) -> None:
    body = translate(profile=PROFILES["anthropic"], reasoning={"effort": "high"}, max_output_tokens=limit)
    assert body["thinking"].get("budget_tokens") == thinking
    assert thinking is None or thinking < body["max_tokens"]


SCHEMA: Final[Any] = {
    "type": "json_schema",
    "name": "city",
    "description": "A city.",
    "strict": True,
    "schema": {"type": "object"},
}


def test_the_format_of_the_text() -> None:
    assert translate(text={"format": SCHEMA})["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "city", "description": "A city.", "strict": True, "schema": {"type": "object"}},
    }
    assert translate(text={"format": {"type": "json_object"}})["response_format"] == {"type": "json_object"}
    assert translate(text={"format": {"type": "json_schema"}})["response_format"]["json_schema"] == {
        "name": "answer",
        "schema": {},
    }
    assert "response_format" not in translate(text={"format": {"type": "text"}})
    refused("text.format.type", text={"format": {"type": "yaml"}})


def test_a_format_that_the_provider_does_not_have_is_described() -> None:
    body = translate(profile=PROFILES["deepseek"], text={"format": SCHEMA}, instructions="Be brief.")
    assert body["response_format"] == {"type": "json_object"}
    assert body["messages"][0]["role"] == "system"
    assert body["messages"][0]["content"].startswith("Be brief.\n\nAnswer with one JSON value")
    assert body["messages"][0]["content"].endswith('{"type":"object"}')
    alone = translate(profile=PROFILES["anthropic"], text={"format": {"type": "json_object"}})
    assert "response_format" not in alone
    assert alone["messages"][0] == {"role": "system", "content": "Answer with one JSON object and nothing else."}


def test_settings_that_the_conversation_has_changed() -> None:
    update = {"type": "configuration_update", "reasoning": {"effort": "low"}, "text": {"verbosity": "low"}}
    body = translate(USER, update, {"type": "configuration_update"}, reasoning={"effort": "high"})
    assert (body["reasoning_effort"], body["verbosity"]) == ("low", "low")


# ---- messages


def test_roles() -> None:
    given = [{"role": role, "content": role} for role in ("system", "developer", "user", "assistant")]
    assert [(one["role"], one["content"]) for one in messages(*given)] == [
        ("system", "system"),
        ("developer", "developer"),
        ("user", "user"),
        ("assistant", "assistant"),
    ]
    assert [one["role"] for one in messages(*given, profile=PROFILES["groq"])] == [
        "system",
        "system",
        "user",
        "assistant",
    ]
    refused("input[1].role", USER, {"role": "critic", "content": "x"})


def test_one_system_message_at_the_start() -> None:
    given = [
        {"role": "system", "content": "b"},
        {"role": "developer", "content": [{"type": "input_text", "text": text} for text in "cd"]},
        USER,
        {"role": "system", "content": "e"},
    ]
    assert messages(*given, instructions="a", profile=STRICT) == [
        {"role": "system", "content": "a\n\nb\n\nc\nd"},
        {"role": "user", "content": "Hi"},
        {"role": "user", "content": "e"},
    ]


@pytest.mark.parametrize(
    ("part", "sent"),
    [
        ({"type": "input_text", "text": "a"}, {"type": "text", "text": "a"}),
        ({"type": "text", "text": "a"}, {"type": "text", "text": "a"}),
        (
            {"type": "input_image", "image_url": "https://a", "detail": "low"},
            {"type": "image_url", "image_url": {"url": "https://a", "detail": "low"}},
        ),
        (
            {"type": "input_image", "image_url": "data:a", "detail": "original"},
            {"type": "image_url", "image_url": {"url": "data:a", "detail": "high"}},
        ),
        (
            {"type": "input_image", "image_url": "data:a", "detail": "auto"},
            {"type": "image_url", "image_url": {"url": "data:a"}},
        ),
        ({"type": "computer_screenshot", "image_url": "data:a"}, {"type": "image_url", "image_url": {"url": "data:a"}}),
        (
            {"type": "input_file", "file_data": "data:a", "filename": "a.pdf"},
            {"type": "file", "file": {"file_data": "data:a", "filename": "a.pdf"}},
        ),
        (
            {"type": "input_file", "file_data": "AA", "filename": "a.csv"},
            {"type": "file", "file": {"file_data": "data:text/csv;base64,AA", "filename": "a.csv"}},
        ),
        (
            {"type": "input_file", "file_data": "AA"},
            {"type": "file", "file": {"file_data": "data:application/pdf;base64,AA", "filename": "file"}},
        ),
        ({"type": "input_file", "file_id": "file_1"}, {"type": "file", "file": {"file_id": "file_1"}}),
        (
            {"type": "input_audio", "input_audio": {"data": "AA", "format": "mp3"}},
            {"type": "input_audio", "input_audio": {"data": "AA", "format": "mp3"}},
        ),
    ],
)
def test_content_parts(part: dict[str, Any], sent: dict[str, Any]) -> None:
    text = {"type": "input_text", "text": "x"}
    (message,) = messages({"role": "user", "content": [text, part]})
    assert message["content"] == [{"type": "text", "text": "x"}, sent]


def test_content_parts_that_only_some_providers_take() -> None:
    by_url = {"role": "user", "content": [{"type": "input_file", "file_url": "https://a/b.pdf"}]}
    assert messages(by_url, profile=PROFILES["openrouter"])[0]["content"][0]["file"] == {
        "file_data": "https://a/b.pdf",
        "filename": "b.pdf",
    }
    refused("input[0].content[0].file_url", by_url)
    video = {"role": "user", "content": [{"type": "input_video", "video_url": "https://a"}]}
    assert messages(video, profile=STRICT)[0]["content"] == [{"type": "video_url", "video_url": {"url": "https://a"}}]
    refused("input[0].content[0]", video)
    image = {"role": "user", "content": [{"type": "input_image", "image_url": "https://a", "detail": "low"}]}
    assert messages(image, profile=PROFILES["anthropic"])[0]["content"][0]["image_url"] == {"url": "https://a"}
    refused("input[1].content[0]", USER, image, profile=PROFILES["deepseek"])


@pytest.mark.parametrize(
    "part",
    [
        {"type": "encrypted_content", "encrypted_content": "x"},
        {"type": "acme:part"},
        {"type": "input_image", "file_id": "f"},
    ],
)
def test_content_parts_that_are_refused(part: dict[str, Any]) -> None:
    param = "input[0].content[0]" + (".file_id" if part["type"] == "input_image" else "")
    refused(param, {"role": "user", "content": [part]})


def test_several_texts_are_a_list_where_that_is_understood() -> None:
    given = {"role": "user", "content": [{"type": "input_text", "text": text} for text in "ab"]}
    assert messages(given)[0]["content"] == [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert messages(given, profile=PROFILES["deepseek"])[0]["content"] == "a\nb"
    assert messages({"role": "user", "content": [{"type": "input_text", "text": "a"}]})[0]["content"] == "a"


# ---- the turns of the assistant


def text(*texts: str) -> dict[str, Any]:
    return {
        "type": "message",
        "role": "assistant",
        "content": [{"type": "output_text", "text": one, "annotations": []} for one in texts],
    }


def call(id_: str, **fields: Any) -> dict[str, Any]:
    return {"type": "function_call", "call_id": id_, "name": "f", "arguments": "{}", **fields}


def output(id_: str, content: Any = "out") -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": id_, "output": content}


REASONING: Final[Any] = {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "Hm."}]}


def test_the_items_of_one_turn_are_one_message() -> None:
    found = messages(
        USER,
        REASONING,
        text("a", "b"),
        call("c1"),
        call("c2", name="g"),
        output("c2", "two"),
        output("c1", "one"),
        profile=STRICT,
    )
    assert found[1:] == [
        {
            "role": "assistant",
            "content": "ab",
            "reasoning": "Hm.",
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}},
                {"id": "c2", "type": "function", "function": {"name": "g", "arguments": "{}"}},
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "one"},
        {"role": "tool", "tool_call_id": "c2", "content": "two"},
    ]


def test_a_call_comes_before_its_output_in_a_turn_of_its_own() -> None:
    found = messages(USER, call("a"), output("a"), call("b"), output("b"), text("x"))
    assert [one["role"] for one in found] == ["user", "assistant", "tool", "assistant", "tool", "assistant"]
    assert found[1]["content"] is None


def test_outputs_follow_their_calls_wherever_they_stand() -> None:
    found = messages(USER, call("a"), text("Wait."), USER, output("a"))
    assert [one["role"] for one in found] == ["user", "assistant", "tool", "user"]


def test_an_id_that_is_used_again_belongs_to_its_own_output() -> None:
    found = messages(call("a"), output("a", "1"), call("a"), output("a", "2"))
    assert [one["content"] for one in found if one["role"] == "tool"] == ["1", "2"]


def test_a_refusal_in_an_output_is_text() -> None:
    found = messages(call("a"), output("a", [{"type": "refusal", "refusal": "No."}]))
    assert found[1]["content"] == "No."


def test_a_file_must_be_somewhere() -> None:
    refused("input[0].content[0]", {"role": "user", "content": [{"type": "input_file", "filename": "a"}]})


def test_reasoning_that_is_only_sealed() -> None:
    details = [{"type": "reasoning.encrypted", "data": "x"}]
    sealed: dict[str, Any] = {
        "type": "reasoning",
        "summary": [],
        "encrypted_content": DETAILS_PREFIX + json.dumps(details),
    }
    assert messages(sealed, text("a"), profile=PROFILES["openrouter"])[0]["reasoning_details"] == details
    assert messages({"type": "reasoning", "summary": []}, text("a"), profile=PROFILES["openrouter"]) == [
        {"role": "assistant", "content": "a"}
    ]


def test_the_history_counts_and_errors_name_the_input() -> None:
    assert [one["role"] for one in messages(output("a"), history=(USER, call("a")))] == ["user", "assistant", "tool"]
    refused("input[0]", output("b"), history=(USER,))
    refused("input", USER, history=(call("a"),))
    request = load({"model": "m", "input": "Hi"}, CreateResponse)
    with pytest.raises(APIError) as caught:
        to_chat(request, [load(call("a"), Item), load(USER, Item)])
    assert caught.value.param == "input"


def test_calls_without_outputs() -> None:
    assert "No tool output found for the call 'a'" in refused("input[1]", USER, call("a")).message
    assert [one["role"] for one in messages(USER, call("a", status="incomplete"))] == ["user"]


def test_an_output_without_a_call() -> None:
    assert "No tool call found for the output 'a'" in refused("input[1]", USER, output("a")).message
    nameless = {"type": "function_call_output", "name": "clock", "output": "noon"}
    assert messages(nameless) == [{"role": "user", "content": "Output of clock: noon"}]
    with_parts = {"type": "function_call_output", "output": [{"type": "input_image", "image_url": "data:a"}]}
    assert messages(with_parts)[0]["content"].startswith("Output of a tool: [")


def test_outputs_with_images() -> None:
    content = [{"type": "input_text", "text": "See:"}, {"type": "input_image", "image_url": "data:a"}]
    found = messages(call("a"), call("b"), output("a", content), output("b", content[1:]))
    assert [one["role"] for one in found] == ["assistant", "tool", "tool", "user"]
    assert [one["content"] for one in found[1:3]] == ["See:", "See the next message of the user."]
    assert [part["type"] for part in found[3]["content"]] == ["text", "image_url", "text", "image_url"]
    whole = messages(call("a"), output("a", content), profile=attrs.evolve(OPENAI, tool_output_lists=True))
    assert [part["type"] for part in whole[1]["content"]] == ["text", "image_url"]
    refused("input[1].output[0].file_id", call("a"), output("a", [{"type": "input_image", "file_id": "f"}]))


def test_refusals() -> None:
    item = {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]}
    assert messages(item) == [{"role": "assistant", "content": None, "refusal": "No."}]
    assert messages(item, profile=STRICT) == [{"role": "assistant", "content": "No."}]
    refused("input[0].content[0]", {"role": "assistant", "content": [{"type": "input_image", "image_url": "data:a"}]})


def test_audio_that_the_model_said() -> None:
    item = {**text("Hello"), "audio": {"id": "audio_1", "data": "AA"}}
    assert messages(item)[0]["audio"] == {"id": "audio_1"}
    assert "audio" not in messages(item, profile=PROFILES["groq"])[0]


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ("none", {"content": "a"}),
        ("reasoning_content", {"content": "a", "reasoning_content": "Hm."}),
        ("reasoning", {"content": "a", "reasoning": "Hm."}),
        ("reasoning_details", {"content": "a", "reasoning": "Hm."}),
        ("think", {"content": "<think>Hm.</think>a"}),
        (
            "thinking",
            {
                "content": [
                    {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}], "closed": True},
                    {"type": "text", "text": "a"},
                ]
            },
        ),
    ],
)
def test_reasoning_goes_back_as_the_provider_wants_it(form: Any, message: dict[str, Any]) -> None:
    profile = attrs.evolve(PROFILES["compatible"], reasoning=form)
    assert messages(REASONING, text("a"), profile=profile) == [{"role": "assistant", **message}]
    assert messages(USER, REASONING, USER, profile=profile)[1:] == [{"role": "user", "content": "Hi"}]  # it was cut off
    alone = messages(REASONING, call("a"), output("a"), profile=profile)[0]
    assert ("Hm." in json.dumps(alone)) is (form != "none")


def test_sealed_reasoning_goes_back_as_it_came() -> None:
    details = [{"type": "reasoning.encrypted", "data": "x"}]
    sealed: dict[str, Any] = {**REASONING, "encrypted_content": DETAILS_PREFIX + json.dumps(details)}
    profile = PROFILES["openrouter"]
    assert messages(sealed, text("a"), profile=profile) == [
        {"role": "assistant", "content": "a", "reasoning_details": details}
    ]
    for other in ("of another server", DETAILS_PREFIX + "{", DETAILS_PREFIX + "{}"):
        changed = messages({**REASONING, "encrypted_content": other}, text("a"), profile=profile)
        assert changed == [{"role": "assistant", "content": "a", "reasoning": "Hm."}]


def test_what_a_provider_added_to_a_call_goes_back() -> None:
    extra = {"google": {"thought_signature": "x"}}
    assert messages(call("a", extra_content=extra), output("a"))[0]["tool_calls"][0]["extra_content"] == extra


def test_ids_that_a_provider_would_refuse_are_shortened_alike() -> None:
    long = "call_" + "a" * 48
    for name, length in (("openai", 40), ("mistral", 9)):
        found = messages(call(long), output(long), profile=PROFILES[name])
        (id_,) = {found[0]["tool_calls"][0]["id"], found[1]["tool_call_id"]}
        assert len(id_) <= length
    assert (
        messages(call("D681PevKs"), output("D681PevKs"), profile=PROFILES["mistral"])[1]["tool_call_id"] == "D681PevKs"
    )


def test_custom_calls() -> None:
    custom = {"type": "custom_tool_call", "call_id": "a", "name": "sql", "input": 'select "x"'}
    answer = {"type": "custom_tool_call_output", "call_id": "a", "output": "1"}
    own = messages(custom, answer)[0]["tool_calls"][0]
    assert own == {"id": "a", "type": "custom", "custom": {"name": "sql", "input": 'select "x"'}}
    function = messages(custom, answer, profile=STRICT)[0]["tool_calls"][0]["function"]
    assert (function["name"], json.loads(function["arguments"])) == ("sql", {"input": 'select "x"'})


@pytest.mark.parametrize(
    ("made", "answer", "name", "content"),
    [
        (
            {
                "type": "local_shell_call",
                "id": "l",
                "call_id": "a",
                "action": {"type": "exec", "command": ["ls"], "env": {}},
                "status": "completed",
            },
            {"type": "local_shell_call_output", "id": "a", "output": "x"},
            "local_shell",
            "x",
        ),
        (
            {
                "type": "apply_patch_call",
                "call_id": "a",
                "operation": {"type": "delete_file", "path": "x"},
                "status": "completed",
            },
            {"type": "apply_patch_call_output", "call_id": "a", "status": "completed", "output": "done"},
            "apply_patch",
            "done",
        ),
    ],
)
def test_calls_of_other_kinds_are_those_of_functions(made: Any, answer: Any, name: str, content: str) -> None:
    assistant, tool = messages(made, answer)
    function = assistant["tool_calls"][0]["function"]
    assert function["name"] == name
    assert set(json.loads(function["arguments"])) <= {"action", "operation"}
    assert tool["content"] == content


def test_a_screenshot_is_an_image_and_the_output_of_a_shell_is_json() -> None:
    computer: dict[str, Any] = {
        "type": "computer_call",
        "id": "c",
        "call_id": "a",
        "action": {"type": "screenshot"},
        "pending_safety_checks": [],
        "status": "completed",
    }
    shot = {
        "type": "computer_call_output",
        "call_id": "a",
        "output": {"type": "computer_screenshot", "image_url": "data:a"},
    }
    assert [one["role"] for one in messages(computer, shot)] == ["assistant", "tool", "user"]
    shell = {"type": "shell_call", "call_id": "a", "action": {"commands": ["ls"]}, "status": "completed"}
    out = {
        "type": "shell_call_output",
        "call_id": "a",
        "output": [{"stdout": "x", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}],
    }
    assert json.loads(messages(shell, out)[1]["content"])["output"][0]["stdout"] == "x"


def test_generated_images_are_shown() -> None:
    image = {"type": "image_generation_call", "id": "i", "status": "completed", "result": "AA", "output_format": "webp"}
    (message,) = messages(image)
    assert message["content"][1]["image_url"]["url"] == "data:image/webp;base64,AA"
    for given, url in (({"result": "data:a"}, "data:a"), ({"result": None, "image_url": "https://a"}, "https://a")):
        assert messages({**image, **given})[0]["content"][1]["image_url"]["url"] == url
    assert messages(USER, {**image, "result": None}) == [{"role": "user", "content": "Hi"}]
    assert messages(USER, image, profile=PROFILES["deepseek"]) == [{"role": "user", "content": "Hi"}]


@pytest.mark.parametrize("kind", [name for name, row in ITEMS.items() if row.fate == "refused"] + ["acme:item"])
def test_items_that_are_refused(kind: str) -> None:
    error = refused(
        "input[1]",
        USER,
        {
            "type": kind,
            "id": "x",
            "encrypted_content": "x",
            "call_id": "x",
            "code": "",
            "fingerprint": "",
            "result": "",
            "status": "completed",
            "action": "spawn_agent",
            "arguments": "",
            "author": "",
            "recipient": "",
            "content": [],
            "output": [],
        },
    )
    assert repr(kind) in error.message


def test_items_that_say_nothing_to_the_model() -> None:
    search = {"type": "web_search_call", "id": "ws", "status": "completed"}
    found = {"type": "tool_search_output", "tools": [WEATHER], "call_id": "a"}
    body = translate(USER, search, {"type": "tool_search_call", "arguments": {}}, found)
    assert body["messages"] == [{"role": "user", "content": "Hi"}]
    assert [tool["function"]["name"] for tool in body["tools"]] == ["get_weather"]


# ---- MCP

LISTED: Final[dict[str, Any]] = {
    "type": "mcp_list_tools",
    "id": "mcpl",
    "server_label": "docs",
    "tools": [
        {
            "name": "search",
            "description": "Find.",
            "input_schema": {"type": "object"},
            "annotations": {"readOnlyHint": True},
        },
        {"name": "get_weather", "input_schema": {}},
    ],
}
MCP: Final[Any] = {"type": "mcp", "server_label": "docs", "server_url": "https://example.org"}


def names(**fields: Any) -> list[str]:
    return [tool["function"]["name"] for tool in translate(USER, LISTED, **fields).get("tools", [])]


def test_the_tools_of_a_server_are_functions() -> None:
    assert names(tools=[MCP]) == ["search", "get_weather"]
    assert names(tools=[WEATHER, MCP]) == ["get_weather", "search", "docs__get_weather"]
    assert names(tools=[{**MCP, "allowed_tools": ["search"]}]) == ["search"]
    assert names(tools=[{**MCP, "allowed_tools": {"read_only": True}}]) == ["search"]
    assert names(tools=[{**MCP, "allowed_tools": {"tool_names": ["get_weather"]}}]) == ["get_weather"]
    assert names(tools=[{**MCP, "server_label": "other"}]) == []
    assert names() == []


def test_calls_of_a_server_have_their_output_in_them() -> None:
    made = {
        "type": "mcp_call",
        "id": "mcp_1",
        "server_label": "docs",
        "name": "get_weather",
        "arguments": "",
        "output": "warm",
    }
    failed = {
        **made,
        "id": "mcp_2",
        "output": None,
        "error": {"type": "mcp_protocol_error", "code": 1, "message": "gone"},
    }
    odd = {**made, "id": "mcp_3", "error": {"type": "http_error", "code": 500}}
    cut_off = {**made, "id": "mcp_4", "output": None, "status": "incomplete"}
    found = messages(USER, LISTED, REASONING, made, failed, odd, cut_off, text("Warm."), tools=[WEATHER, MCP])
    assert [one["role"] for one in found] == ["user", "assistant", "tool", "tool", "tool", "assistant"]
    assert [one["function"]["name"] for one in found[1]["tool_calls"]] == ["docs__get_weather"] * 3
    assert [one["content"] for one in found[2:5]][:2] == ["warm", "Error: gone"]
    assert found[4]["content"].startswith("warm\nError: ")


def test_a_function_beside_a_call_of_a_server() -> None:
    made = {
        "type": "mcp_call",
        "id": "mcp_1",
        "server_label": "docs",
        "name": "search",
        "arguments": "{}",
        "output": "x",
    }
    found = messages(made, call("a"), output("a", "y"))
    assert [one["content"] for one in found] == [None, "x", "y"]


def test_approvals() -> None:
    asked = {
        "type": "mcp_approval_request",
        "id": "mcpr_1",
        "server_label": "docs",
        "name": "search",
        "arguments": "{}",
    }
    answer = {"type": "mcp_approval_response", "approval_request_id": "mcpr_1", "approve": False}
    assert messages(USER, asked, answer)[2]["content"] == "The user did not approve this call."
    assert messages(USER, asked, {**answer, "reason": "Too slow."})[2]["content"].endswith("Reason: Too slow.")
    assert [one["role"] for one in messages(USER, asked)] == ["user"]
    made = {
        "type": "mcp_call",
        "id": "mcp_1",
        "server_label": "docs",
        "name": "search",
        "arguments": "{}",
        "output": "x",
        "approval_request_id": "mcpr_1",
    }
    approved = messages(USER, asked, {**answer, "approve": True}, made)
    assert [one["content"] for one in approved] == ["Hi", None, "x"]


LISTED_TOOLS: Final = {one.name: one for one in load(LISTED, McpListTools).tools} | {
    "write": McpListedTool(name="write", input_schema={})
}


@pytest.mark.parametrize(
    ("approval", "name", "needed"),
    [
        ("always", "search", True),
        (None, "search", True),
        ("never", "write", False),
        (McpApprovalFilter(never=McpToolFilter(tool_names=["search"])), "search", False),
        (McpApprovalFilter(never=McpToolFilter(tool_names=["search"])), "write", True),
        (McpApprovalFilter(always=McpToolFilter(tool_names=["search"])), "search", True),
        (McpApprovalFilter(always=McpToolFilter(tool_names=["search"])), "write", False),
        (McpApprovalFilter(never=McpToolFilter(read_only=True)), "search", False),
        (McpApprovalFilter(never=McpToolFilter(read_only=True)), "write", True),
        (McpApprovalFilter(never=McpToolFilter(), always=McpToolFilter(tool_names=["write"])), "write", True),
        (McpApprovalFilter(never=McpToolFilter(read_only=True), always=McpToolFilter(tool_names=["x"])), "write", True),
        (McpApprovalFilter(), "search", True),
    ],
)
def test_whether_a_call_of_a_server_needs_an_approval(approval: Any, name: str, needed: bool) -> None:
    assert needs_approval(McpTool(server_label="docs", require_approval=approval), LISTED_TOOLS[name]) is needed


# ---- tools


def test_functions() -> None:
    given = {**WEATHER, "description": "Tells.", "strict": True}
    assert translate(tools=[given])["tools"] == [
        {
            "type": "function",
            "function": {
                "name": "get_weather",
                "description": "Tells.",
                "parameters": {"type": "object", "properties": {}},
                "strict": True,
            },
        }
    ]
    assert "strict" not in translate(tools=[given], profile=PROFILES["gemini"])["tools"][0]["function"]
    assert translate(tools=[{"type": "function", "name": "f"}])["tools"][0]["function"] == {
        "name": "f",
        "parameters": {"type": "object", "properties": {}},
    }


def test_custom_tools() -> None:
    plain = {"type": "custom", "name": "note"}
    grammar = {
        "type": "custom",
        "name": "sql",
        "description": "Asks.",
        "format": {"type": "grammar", "definition": "start: /.+/", "syntax": "lark"},
    }
    assert translate(tools=[plain, grammar])["tools"] == [
        {"type": "custom", "custom": {"name": "note"}},
        {
            "type": "custom",
            "custom": {
                "name": "sql",
                "description": "Asks.",
                "format": {"type": "grammar", "grammar": {"definition": "start: /.+/", "syntax": "lark"}},
            },
        },
    ]
    functions = [
        tool["function"]
        for tool in translate(tools=[plain, grammar, {**grammar, "name": "x", "description": ""}], profile=STRICT)[
            "tools"
        ]
    ]
    assert [list(function["parameters"]["properties"]) for function in functions] == [["input"]] * 3
    assert "description" not in functions[0]
    assert functions[1]["description"] == "Asks.\n\n'input' must match this lark grammar:\nstart: /.+/"
    assert functions[2]["description"].startswith("'input' must")


def test_namespaces_and_names_that_providers_refuse() -> None:
    space = {
        "type": "namespace",
        "name": "crm",
        "description": "",
        "tools": [WEATHER, {"type": "custom", "name": "sql"}],
    }
    request = load({"model": "m", "tools": [WEATHER, space]}, CreateResponse)
    assert list(offered_tools(request, ())) == ["get_weather", "crm__get_weather", "crm__sql"]
    refused("tools", tools=[{**space, "tools": [{"type": "shell"}]}])
    long = {**WEATHER, "name": "a" * 80}
    spaced = load(
        {"model": "m", "tools": [{**WEATHER, "name": "get weather!"}, {**WEATHER, "name": "get.weather?"}, long, long]},
        CreateResponse,
    )
    assert list(offered_tools(spaced, ())) == ["get_weather_", "get_weather__2", "a" * 64, "a" * 62 + "_2"]
    assert safe_name("") == "_"


@pytest.mark.parametrize("kind", [name for name, row in TOOLS.items() if row.fate == "refused"] + ["acme:tool"])
def test_tools_that_are_refused(kind: str) -> None:
    fields: dict[str, Any] = {
        "vector_store_ids": [],
        "container": "c",
        "display_width": 1,
        "display_height": 1,
        "environment": "linux",
    }
    assert repr(kind) in refused("tools[1]", tools=[WEATHER, {"type": kind, **fields}]).message


def test_a_hosted_tool_that_the_bridge_runs_is_a_function() -> None:
    request = load(
        {"model": "m", "input": "x", "tools": [{"type": "web_search"}], "tool_choice": {"type": "web_search"}},
        CreateResponse,
    )
    body = to_chat(request, [load(USER, Item)], hosted={"web_search": FunctionTool(name="search_the_web")})
    assert body["tools"][0]["function"]["name"] == "search_the_web"
    assert body["tool_choice"]["function"]["name"] == "search_the_web"


def test_tool_search_is_not_needed() -> None:
    assert len(translate(tools=[{**WEATHER, "defer_loading": True}, {"type": "tool_search"}])["tools"]) == 1


def test_tools_that_the_conversation_has_added() -> None:
    added = {"type": "additional_tools", "role": "developer", "tools": [WEATHER]}
    assert translate(USER, added, tool_choice="required")["tool_choice"] == "required"


# ---- the choice among tools

TWO: Final[Any] = [WEATHER, {**WEATHER, "name": "f"}]
ALLOWED: Final[Any] = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "f"}]}


@pytest.mark.parametrize(
    ("name", "choice", "sent", "tools"),
    [
        ("openai", "auto", None, 2),
        ("openai", "none", "none", 2),
        ("openai", "required", "required", 2),
        ("openai", {"type": "function", "name": "f"}, {"type": "function", "function": {"name": "f"}}, 2),
        (
            "openai",
            ALLOWED,
            {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "required", "tools": [{"type": "function", "function": {"name": "f"}}]},
            },
            2,
        ),
        ("openai", {**ALLOWED, "mode": "none"}, "none", 1),
        ("openai", {**ALLOWED, "mode": "auto", "tools": []}, None, 0),
        ("vllm", {**ALLOWED, "mode": "auto", "tools": []}, None, 0),
        ("vllm", ALLOWED, "required", 1),
        ("vllm", {"type": "allowed_tools", "tools": ALLOWED["tools"]}, None, 1),
        ("llamacpp", {"type": "function", "name": "f"}, "required", 1),
        ("mistral", "required", "any", 2),
        ("ollama", "none", None, 0),
    ],
)
def test_the_choice_among_tools(name: str, choice: Any, sent: Any, tools: int) -> None:
    body = translate(tools=TWO, tool_choice=choice, profile=PROFILES[name])
    assert (body.get("tool_choice"), len(body.get("tools", ()))) == (sent, tools)


def test_a_custom_tool_may_be_chosen() -> None:
    tools, choice = [{"type": "custom", "name": "sql"}, WEATHER], {"type": "custom", "name": "sql"}
    assert translate(tools=tools, tool_choice=choice)["tool_choice"] == {"type": "custom", "custom": {"name": "sql"}}
    assert translate(tools=tools, tool_choice=choice, profile=STRICT)["tool_choice"] == {
        "type": "function",
        "function": {"name": "sql"},
    }


def test_the_tools_of_a_server_may_be_chosen() -> None:
    one = {"type": "mcp", "server_label": "docs", "name": "search"}
    body = translate(USER, LISTED, tools=[MCP], tool_choice=one)
    assert body["tool_choice"] == {"type": "function", "function": {"name": "search"}}
    body = translate(USER, LISTED, tools=[WEATHER, MCP], tool_choice={"type": "mcp", "server_label": "docs"})
    assert body["tool_choice"] == "required"
    assert [tool["function"]["name"] for tool in body["tools"]] == ["search", "docs__get_weather"]


@pytest.mark.parametrize(
    "choice",
    [
        {"type": "function", "name": "g"},
        {"type": "custom", "name": "f"},
        {"type": "mcp", "server_label": "docs"},
        {"type": "web_search"},
        {**ALLOWED, "tools": [{"type": "function", "name": "g"}]},
    ],
)
def test_a_choice_that_is_not_offered(choice: Any) -> None:
    assert "not found in 'tools'" in refused("tool_choice", tools=TWO, tool_choice=choice).message


LEFT_OUT: Final[Any] = [MCP, {"type": "web_search"}]  # the server has no tools, and the operator no search


@pytest.mark.parametrize("chosen", [{"type": "mcp", "server_label": "docs"}, {"type": "web_search"}])
def test_a_choice_of_a_tool_that_is_left_out(chosen: Any) -> None:
    given: Any = {"tools": [*TWO, *LEFT_OUT], "hosted": {"web_search": None}}
    allowed = {"type": "allowed_tools", "mode": "auto", "tools": [chosen, *ALLOWED["tools"]]}
    body = translate(tool_choice=allowed, profile=PROFILES["vllm"], **given)
    assert [tool["function"]["name"] for tool in body["tools"]] == ["f"]
    assert "no such tool is offered" in refused("tool_choice", tool_choice=chosen, **given).message


def test_a_choice_without_tools_or_that_the_provider_does_not_have() -> None:
    refused("tool_choice", tool_choice="required")
    refused("tool_choice", tool_choice={"type": "function", "name": "f"})
    assert "tool_choice" not in translate(tool_choice="auto")
    assert (
        "does not support required tool calls"
        in refused("tool_choice", tools=TWO, tool_choice="required", profile=PROFILES["ollama"]).message
    )


def test_names_are_the_same_for_the_same_request() -> None:
    request = load({"model": "m", "tools": [WEATHER, MCP]}, CreateResponse)
    listed = load(LISTED, McpListTools)
    assert list(offered_tools(request, [listed])) == list(offered_tools(request, [listed]))

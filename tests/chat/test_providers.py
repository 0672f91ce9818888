"""Streams in the shape of each provider, written for this test, with what they say.

Their oddities are those that the documentation and the reports of users show: fields of their own, comments, what is null and what is
missing, where the usage is, how calls are numbered, and how errors look.
"""

from __future__ import annotations

from typing import Any, Final

import attrs
import pytest
from tests.chat.said import decode

from responses_proto.chat import PROFILES
from responses_proto.models import CreateResponse, FunctionTool

REQUEST: Final = CreateResponse(
    model="m", input="Is it warm in Rome?", tools=[FunctionTool(name="get_weather", parameters={"type": "object"})]
)


@attrs.frozen(kw_only=True)
class Expected:
    """What a stream says."""

    text: str = ""
    reasoning: str = ""
    refusal: str = ""
    calls: tuple[tuple[str, str, str], ...] = ()
    """Name, arguments, id; an empty id stands for any."""
    usage: tuple[int, int, int, int] | None = None
    """Tokens of the input and the output, and of these the cached ones and those of reasoning."""
    status: str = "completed"
    error: str | None = None


STREAMS: Final[dict[str, tuple[str, Expected]]] = {
    "openai": (
        """
data: {"id":"chatcmpl-A","object":"chat.completion.chunk","created":1,"model":"gpt-x","service_tier":"default","system_fingerprint":"fp_1","choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"aB"}

data: {"id":"chatcmpl-A","object":"chat.completion.chunk","created":1,"model":"gpt-x","service_tier":"default","system_fingerprint":"fp_1","choices":[{"index":0,"delta":{"content":"I will"},"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"c"}

data: {"id":"chatcmpl-A","object":"chat.completion.chunk","created":1,"model":"gpt-x","choices":[{"index":0,"delta":{"content":" look."},"logprobs":null,"finish_reason":null}],"usage":null}

data: {"id":"chatcmpl-A","object":"chat.completion.chunk","created":1,"model":"gpt-x","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"call_Rm1","type":"function","function":{"name":"get_weather","arguments":""}}]},"logprobs":null,"finish_reason":null}],"usage":null}

data: {"id":"chatcmpl-A","object":"chat.completion.chunk","created":1,"model":"gpt-x","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\\"city\\":"}}]},"finish_reason":null}],"usage":null}

data: {"id":"chatcmpl-A","object":"chat.completion.chunk","created":1,"model":"gpt-x","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"\\"Rome\\"}"}}]},"finish_reason":null}],"usage":null}

data: {"id":"chatcmpl-A","object":"chat.completion.chunk","created":1,"model":"gpt-x","choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"tool_calls"}],"usage":null}

data: {"id":"chatcmpl-A","object":"chat.completion.chunk","created":1,"model":"gpt-x","choices":[],"usage":{"prompt_tokens":60,"completion_tokens":25,"total_tokens":85,"prompt_tokens_details":{"cached_tokens":32,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":10,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}}

data: [DONE]

""",
        Expected(text="I will look.", calls=(("get_weather", '{"city":"Rome"}', "call_Rm1"),), usage=(60, 25, 32, 10)),
    ),
    "azure": (
        """
data: {"choices":[],"created":0,"id":"","model":"","object":"","prompt_filter_results":[{"prompt_index":0,"content_filter_results":{"hate":{"filtered":false,"severity":"safe"}}}]}

data: {"choices":[{"content_filter_results":{},"delta":{"content":"","refusal":null,"role":"assistant"},"finish_reason":null,"index":0,"logprobs":null}],"id":"chatcmpl-Z","model":"gpt-x","object":"chat.completion.chunk"}

data: {"choices":[{"content_filter_results":{"hate":{"filtered":false,"severity":"safe"}},"delta":{"refusal":"I cannot say that."},"finish_reason":null,"index":0}],"id":"chatcmpl-Z","model":"gpt-x","object":"chat.completion.chunk"}

data: {"choices":[{"content_filter_results":{"hate":{"filtered":true,"severity":"high"}},"delta":{},"finish_reason":"content_filter","index":0}],"id":"chatcmpl-Z","model":"gpt-x","object":"chat.completion.chunk"}

data: [DONE]

""",
        Expected(refusal="I cannot say that.", status="incomplete"),
    ),
    "huggingface": (
        """
data: {"object":"chat.completion.chunk","id":"","created":1,"model":"org/m","system_fingerprint":"3.0.0","choices":[{"index":0,"delta":{"role":"assistant","content":"Warm"},"logprobs":null,"finish_reason":null}],"usage":null}

data: {"error":{"message":"Input validation error: too long","http_status_code":422},"error_type":"validation"}

""",
        Expected(text="Warm", status="failed", error="Input validation error: too long"),
    ),
    "vllm": (
        """
data: {"id":"chatcmpl-1f","object":"chat.completion.chunk","created":1,"model":"qwen","choices":[{"index":0,"delta":{"role":"assistant","content":"","reasoning":null},"logprobs":null,"finish_reason":null}],"prompt_token_ids":null}

data: {"id":"chatcmpl-1f","object":"chat.completion.chunk","created":1,"model":"qwen","choices":[{"index":0,"delta":{"reasoning":"Rome is"},"logprobs":null,"finish_reason":null,"token_ids":null}]}

data: {"id":"chatcmpl-1f","object":"chat.completion.chunk","created":1,"model":"qwen","choices":[{"index":0,"delta":{"reasoning":" south."},"logprobs":null,"finish_reason":null,"token_ids":null}]}

data: {"id":"chatcmpl-1f","object":"chat.completion.chunk","created":1,"model":"qwen","choices":[{"index":0,"delta":{"tool_calls":[{"id":"chatcmpl-tool-9","type":"function","index":0,"function":{"name":"get_weather"}}]},"logprobs":null,"finish_reason":null}]}

data: {"id":"chatcmpl-1f","object":"chat.completion.chunk","created":1,"model":"qwen","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\\"city\\": \\"Rome\\"}"}}]},"logprobs":null,"finish_reason":null}]}

data: {"id":"chatcmpl-1f","object":"chat.completion.chunk","created":1,"model":"qwen","choices":[{"index":0,"delta":{"content":""},"logprobs":null,"finish_reason":"tool_calls","stop_reason":null}]}

data: {"id":"chatcmpl-1f","object":"chat.completion.chunk","created":1,"model":"qwen","choices":[],"usage":{"prompt_tokens":31,"total_tokens":52,"completion_tokens":21}}

data: [DONE]

""",
        Expected(
            reasoning="Rome is south.",
            calls=(("get_weather", '{"city": "Rome"}', "chatcmpl-tool-9"),),
            usage=(31, 21, 0, 0),
        ),
    ),
    "llamacpp": (
        """
data: {"choices":[{"finish_reason":null,"index":0,"delta":{"role":"assistant","content":null}}],"created":1,"id":"chatcmpl-c","model":"gguf","system_fingerprint":"b1","object":"chat.completion.chunk"}

data: {"choices":[{"finish_reason":null,"index":0,"delta":{"reasoning_content":"Hm."}}],"created":1,"id":"chatcmpl-c","model":"gguf","object":"chat.completion.chunk"}

data: {"choices":[{"finish_reason":null,"index":0,"delta":{"content":"Yes"}}],"created":1,"id":"chatcmpl-c","model":"gguf","object":"chat.completion.chunk"}

data: {"choices":[{"finish_reason":"length","index":0,"delta":{}}],"created":1,"id":"chatcmpl-c","model":"gguf","object":"chat.completion.chunk","timings":{"cache_n":12,"prompt_n":3,"prompt_ms":20.5,"predicted_n":4,"predicted_ms":80.1}}

data: [DONE]

""",
        Expected(reasoning="Hm.", text="Yes", usage=(15, 4, 12, 0), status="incomplete"),
    ),
    "ollama": (
        """
data: {"id":"chatcmpl-7","object":"chat.completion.chunk","created":1,"model":"qwen3","system_fingerprint":"fp_ollama","choices":[{"index":0,"delta":{"role":"assistant","content":"","reasoning":"Let me"},"finish_reason":null}]}

data: {"id":"chatcmpl-7","object":"chat.completion.chunk","created":1,"model":"qwen3","system_fingerprint":"fp_ollama","choices":[{"index":0,"delta":{"role":"assistant","content":"","reasoning":" ask."},"finish_reason":null}]}

data: {"id":"chatcmpl-7","object":"chat.completion.chunk","created":1,"model":"qwen3","system_fingerprint":"fp_ollama","choices":[{"index":0,"delta":{"role":"assistant","content":"","tool_calls":[{"id":"call_x1","index":0,"type":"function","function":{"name":"get_weather","arguments":"{\\"city\\":\\"Rome\\"}"}}]},"finish_reason":null}]}

data: {"id":"chatcmpl-7","object":"chat.completion.chunk","created":1,"model":"qwen3","system_fingerprint":"fp_ollama","choices":[{"index":0,"delta":{"role":"assistant","content":"","tool_calls":[{"id":"call_x2","index":0,"type":"function","function":{"name":"get_weather","arguments":"{\\"city\\":\\"Bari\\"}"}}]},"finish_reason":null}]}

data: {"id":"chatcmpl-7","object":"chat.completion.chunk","created":1,"model":"qwen3","system_fingerprint":"fp_ollama","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":"tool_calls"}]}

data: {"id":"chatcmpl-7","object":"chat.completion.chunk","created":1,"model":"qwen3","system_fingerprint":"fp_ollama","choices":[],"usage":{"prompt_tokens":18,"completion_tokens":9,"total_tokens":27}}

data: [DONE]

""",
        Expected(
            reasoning="Let me ask.",
            calls=(("get_weather", '{"city":"Rome"}', "call_x1"), ("get_weather", '{"city":"Bari"}', "call_x2")),
            usage=(18, 9, 0, 0),
        ),
    ),
    "lmstudio": (
        """
data: {"id":"chatcmpl-l","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","reasoning_content":"Warm."},"logprobs":null,"finish_reason":null}]}

data: {"id":"chatcmpl-l","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"It is."},"logprobs":null,"finish_reason":null}]}

data: {"id":"chatcmpl-l","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}],"stats":{}}

data: {"id":"chatcmpl-l","object":"chat.completion.chunk","created":1,"model":"m","choices":[],"usage":{"prompt_tokens":5,"completion_tokens":6,"total_tokens":11,"completion_tokens_details":{"reasoning_tokens":2}}}

data: [DONE]

""",
        Expected(reasoning="Warm.", text="It is.", usage=(5, 6, 0, 2)),
    ),
    "sglang": (
        """
data: {"id":"3c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"","reasoning_content":null,"tool_calls":null},"logprobs":null,"finish_reason":null,"matched_stop":null}],"usage":null}

data: {"id":"3c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":null,"content":null,"reasoning_content":null,"tool_calls":[{"id":"call_s","index":0,"type":"function","function":{"name":"get_weather","arguments":""}}]},"finish_reason":null}],"usage":null}

data: {"id":"3c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":null,"content":null,"reasoning_content":null,"tool_calls":[{"id":null,"index":0,"type":"function","function":{"name":null,"arguments":"{\\"city\\": \\"Rome\\"}"}}]},"finish_reason":null}],"usage":null}

data: {"id":"3c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":null,"content":null,"reasoning_content":null,"tool_calls":null},"finish_reason":"tool_calls","matched_stop":null}],"usage":null}

data: [DONE]

""",
        Expected(calls=(("get_weather", '{"city": "Rome"}', "call_s"),)),
    ),
    "groq": (
        """
data: {"id":"chatcmpl-g","object":"chat.completion.chunk","created":1,"model":"gpt-oss","system_fingerprint":"fp_g","choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}],"x_groq":{"id":"req_01","seed":1}}

data: {"id":"chatcmpl-g","object":"chat.completion.chunk","created":1,"model":"gpt-oss","choices":[{"index":0,"delta":{"reasoning":"Ask.","channel":"analysis"},"logprobs":null,"finish_reason":null}]}

data: {"id":"chatcmpl-g","object":"chat.completion.chunk","created":1,"model":"gpt-oss","choices":[{"index":0,"delta":{"tool_calls":[{"id":"fc_9","type":"function","function":{"name":"get_weather","arguments":"{\\"city\\":\\"Rome\\"}"},"index":0}]},"logprobs":null,"finish_reason":null}]}

data: {"id":"chatcmpl-g","object":"chat.completion.chunk","created":1,"model":"gpt-oss","choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"tool_calls"}],"x_groq":{"id":"req_01","usage":{"queue_time":0.1,"prompt_tokens":80,"prompt_time":0.01,"completion_tokens":30,"completion_time":0.02,"total_tokens":110,"total_time":0.03,"completion_tokens_details":{"reasoning_tokens":6}}}}

data: [DONE]

""",
        Expected(reasoning="Ask.", calls=(("get_weather", '{"city":"Rome"}', "fc_9"),), usage=(80, 30, 0, 6)),
    ),
    "together": (
        """
data: {"id":"o-1","object":"chat.completion.chunk","created":1,"choices":[{"index":0,"text":"Ye","logprobs":null,"finish_reason":null,"seed":null,"delta":{"token_id":1,"role":"assistant","content":"Ye","tool_calls":null,"reasoning":""}}],"model":"m","usage":null}

data: {"id":"o-1","object":"chat.completion.chunk","created":1,"choices":[{"index":0,"text":"s.","logprobs":null,"finish_reason":"eos","seed":7,"delta":{"token_id":2,"role":"assistant","content":"s.","tool_calls":null}}],"model":"m","usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11,"cached_tokens":4}}

data: [DONE]

""",
        Expected(text="Yes.", usage=(9, 2, 4, 0)),
    ),
    "fireworks": (
        """
data: {"id":"f","object":"chat.completion.chunk","created":1,"model":"accounts/m","choices":[{"index":0,"delta":{"role":"assistant"},"finish_reason":null}],"usage":null}

data: {"id":"f","object":"chat.completion.chunk","created":1,"model":"accounts/m","choices":[{"index":0,"delta":{"content":"<think>\\nHm"},"finish_reason":null}],"usage":null}

data: {"id":"f","object":"chat.completion.chunk","created":1,"model":"accounts/m","choices":[{"index":0,"delta":{"content":".</th"},"finish_reason":null}],"usage":null}

data: {"id":"f","object":"chat.completion.chunk","created":1,"model":"accounts/m","choices":[{"index":0,"delta":{"content":"ink>\\n\\nYes."},"finish_reason":null}],"usage":null}

data: {"id":"f","object":"chat.completion.chunk","created":1,"model":"accounts/m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"total_tokens":16,"completion_tokens":7,"prompt_tokens_details":{"cached_tokens":0}}}

data: [DONE]

""",
        Expected(reasoning="Hm.", text="Yes.", usage=(9, 7, 0, 0)),
    ),
    "openrouter": (
        """
: OPENROUTER PROCESSING

: OPENROUTER PROCESSING

data: {"id":"gen-1","provider":"P","model":"v/m","object":"chat.completion.chunk","created":1,"choices":[{"index":0,"delta":{"role":"assistant","content":"","reasoning":"One","reasoning_details":[{"type":"reasoning.summary","summary":"One","format":"x","index":0}]},"finish_reason":null,"native_finish_reason":null,"logprobs":null}]}

data: {"id":"gen-1","provider":"P","model":"v/m","object":"chat.completion.chunk","created":1,"choices":[{"index":0,"delta":{"role":"assistant","content":"Wa"},"finish_reason":null,"native_finish_reason":null}]}

data: {"id":"gen-1","provider":"P","model":"v/m","object":"chat.completion.chunk","created":1,"error":{"code":"server_error","message":"Provider disconnected"},"choices":[{"index":0,"delta":{"content":""},"finish_reason":"error","native_finish_reason":null}]}

data: [DONE]

""",
        Expected(reasoning="One", text="Wa", status="failed", error="Provider disconnected"),
    ),
    "deepseek": (
        """
: keep-alive

data: {"id":"d","object":"chat.completion.chunk","created":1,"model":"deepseek","system_fingerprint":"fp_d","choices":[{"index":0,"delta":{"role":"assistant","content":null,"reasoning_content":""},"logprobs":null,"finish_reason":null}]}

: keep-alive

data: {"id":"d","object":"chat.completion.chunk","created":1,"model":"deepseek","choices":[{"index":0,"delta":{"content":null,"reasoning_content":"Hm."},"logprobs":null,"finish_reason":null}]}

data: {"id":"d","object":"chat.completion.chunk","created":1,"model":"deepseek","choices":[{"index":0,"delta":{"content":"Yes.","reasoning_content":null},"logprobs":null,"finish_reason":null}]}

data: {"id":"d","object":"chat.completion.chunk","created":1,"model":"deepseek","choices":[{"index":0,"delta":{"content":"","reasoning_content":null},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":70,"completion_tokens":8,"total_tokens":78,"prompt_tokens_details":{"cached_tokens":64},"completion_tokens_details":{"reasoning_tokens":5},"prompt_cache_hit_tokens":64,"prompt_cache_miss_tokens":6}}

data: [DONE]

""",
        Expected(reasoning="Hm.", text="Yes.", usage=(70, 8, 64, 5)),
    ),
    "mistral": (
        """
data: {"id":"m","object":"chat.completion.chunk","created":1,"model":"magistral","choices":[{"index":0,"delta":{"role":"assistant","content":[{"type":"thinking","thinking":[{"type":"text","text":"Let me"}]}]},"finish_reason":null}],"p":"abcd"}

data: {"id":"m","object":"chat.completion.chunk","created":1,"model":"magistral","choices":[{"index":0,"delta":{"content":[{"type":"thinking","thinking":[{"type":"text","text":" see."}],"closed":true}]},"finish_reason":null}],"p":"ab"}

data: {"id":"m","object":"chat.completion.chunk","created":1,"model":"magistral","choices":[{"index":0,"delta":{"content":"I ask."},"finish_reason":null}],"p":"a"}

data: {"id":"m","object":"chat.completion.chunk","created":1,"model":"magistral","choices":[{"index":0,"delta":{"content":"","tool_calls":[{"id":"D681PevKs","function":{"name":"get_weather","arguments":"{\\"city\\": \\"Rome\\"}"},"index":0}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":50,"total_tokens":68,"completion_tokens":18},"p":"abc"}

data: [DONE]

""",
        Expected(
            reasoning="Let me see.",
            text="I ask.",
            calls=(("get_weather", '{"city": "Rome"}', "D681PevKs"),),
            usage=(50, 18, 0, 0),
        ),
    ),
    "gemini": (
        """
data: {"choices":[{"delta":{"content":"<thought>I could ask.","role":"assistant","extra_content":{"google":{"thought":true}}},"index":0}],"created":1,"id":"g1","model":"gemini","object":"chat.completion.chunk","usage":{"completion_tokens":0,"prompt_tokens":40,"total_tokens":52}}

data: {"choices":[{"delta":{"content":"</thought>","role":"assistant","tool_calls":[{"extra_content":{"google":{"thought_signature":"c2ln"}},"function":{"arguments":"{\\"city\\":\\"Rome\\"}","name":"get_weather"},"id":"function-call-1","type":"function"}]},"index":0}],"created":1,"id":"g1","model":"gemini","object":"chat.completion.chunk","usage":{"completion_tokens":5,"prompt_tokens":40,"total_tokens":57}}

data: {"choices":[{"delta":{"role":"assistant","tool_calls":[{"function":{"arguments":"{\\"city\\":\\"Bari\\"}","name":"get_weather"},"id":"","type":"function"}]},"finish_reason":"stop","index":0}],"created":1,"id":"g1","model":"gemini","object":"chat.completion.chunk","usage":{"completion_tokens":9,"prompt_tokens":40,"total_tokens":61}}

data: [DONE]

""",
        Expected(
            reasoning="I could ask.",
            calls=(("get_weather", '{"city":"Rome"}', "function-call-1"), ("get_weather", '{"city":"Bari"}', "")),
            usage=(40, 21, 0, 12),
        ),
    ),
    "anthropic": (
        """
data: {"id":"msg_1","choices":[{"index":0,"delta":{"content":"I look.","role":"assistant"},"finish_reason":null}],"created":1,"model":"claude","object":"chat.completion.chunk"}

data: {"id":"msg_1","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"toolu_1","type":"function","function":{"name":"get_weather","arguments":""}}]},"finish_reason":null}],"created":1,"model":"claude","object":"chat.completion.chunk"}

data: {"id":"msg_1","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\\"city\\": \\"Ro"}}]},"finish_reason":null}],"created":1,"model":"claude","object":"chat.completion.chunk"}

data: {"id":"msg_1","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"me\\"}"}}]},"finish_reason":null}],"created":1,"model":"claude","object":"chat.completion.chunk"}

event: error
data: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}

""",
        Expected(
            text="I look.", calls=(("get_weather", '{"city": "Rome"}', "toolu_1"),), status="failed", error="Overloaded"
        ),
    ),
}


@pytest.mark.parametrize("size", [1, 17, 10**6])
@pytest.mark.parametrize("name", STREAMS)
def test_the_stream_of_a_provider(name: str, size: int) -> None:
    text, expected = STREAMS[name]
    body = text.removeprefix("\n").encode()
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    decoded = decode(
        lambda decoder: [event for piece in pieces for event in decoder.receive_data(piece)],
        REQUEST,
        profile=PROFILES.get(name, PROFILES["openai"]),
    )
    response = decoded.response
    usage: Any = response.usage
    found = Expected(
        text=response.output_text,
        reasoning=response.reasoning_text,
        refusal=response.refusal,
        calls=tuple(
            (call.name, call.arguments, wanted and call.call_id)
            for call, (_, _, wanted) in zip(response.function_calls, expected.calls, strict=True)
        ),
        usage=usage
        and (
            usage.input_tokens,
            usage.output_tokens,
            usage.input_tokens_details.cached_tokens,
            usage.output_tokens_details.reasoning_tokens,
        ),
        status=str(response.status),
        error=response.error.message if response.error else None,
    )
    assert found == expected

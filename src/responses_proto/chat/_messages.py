"""Translate items of the Responses API into messages of Chat Completions.

The items of one assistant turn (reasoning, message, calls) become one assistant message. The outputs of its calls follow directly, in
the order of the calls, wherever they are in the input: providers refuse any other order.
"""

from __future__ import annotations

import hashlib
import mimetypes
from collections import deque
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

from ..codec import default_backend, dump, dumps
from ..exceptions import DecodeError, LimitExceeded
from ..models.content import (
    ComputerScreenshot,
    InputAudio,
    InputFile,
    InputImage,
    InputText,
    InputVideo,
    OutputText,
    ReasoningText,
    Refusal,
    SummaryText,
    Text,
)
from ..models.items import (
    CALL_OUTPUT_PAIRS,
    CustomToolCall,
    FunctionCall,
    FunctionCallOutput,
    ImageGenerationCall,
    McpApprovalRequest,
    McpApprovalResponse,
    McpCall,
    Message,
    Reasoning,
)
from ._facts import objects
from ._rows import Row, dropped, refuse, refused, table, translated
from ._tools import CUSTOM_INPUT, OfferedTool, safe_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..models.content import Content
    from ..models.items import Item
    from ..models.request import CreateResponse
    from .profiles import ChatProfile

_Wire: TypeAlias = dict[str, Any]

DETAILS_PREFIX: Final = "chat-reasoning-details:"
"""The prefix of an ``encrypted_content`` that contains a provider's ``reasoning_details`` as JSON."""
_MISTRAL_ID: Final = 9  # characters of a call id


# ---- content parts


def _text(part: Any, _profile: ChatProfile, _param: str) -> _Wire:
    return {"type": "text", "text": part.text}


def _refusal(part: Refusal, _profile: ChatProfile, _param: str) -> _Wire:
    return {"type": "text", "text": part.refusal}


def _image(part: InputImage | ComputerScreenshot, profile: ChatProfile, param: str) -> _Wire:
    if not part.image_url:
        refuse("An image must have an 'image_url': the provider has no uploaded files.", f"{param}.file_id")
    image: _Wire = {"url": part.image_url}
    if part.detail and part.detail != "auto" and profile.image_detail:
        image["detail"] = "high" if part.detail == "original" else part.detail
    return {"type": "image_url", "image_url": image}


def _file(part: InputFile, profile: ChatProfile, param: str) -> _Wire:
    file: _Wire = {}
    if part.file_data:
        media_type = mimetypes.guess_type(part.filename or "")[0] or "application/pdf"
        file["file_data"] = (
            part.file_data if part.file_data.startswith("data:") else f"data:{media_type};base64,{part.file_data}"
        )
        file["filename"] = part.filename or "file"
    elif part.file_url:
        if not profile.file_urls:
            refuse("The provider takes files as 'file_data' only.", f"{param}.file_url")
        file["file_data"] = part.file_url
        file["filename"] = part.filename or part.file_url.rpartition("/")[2] or "file"
    elif part.file_id:
        file["file_id"] = part.file_id
    else:
        refuse("A file must have 'file_data', 'file_url' or 'file_id'.", param, "invalid_value")
    return {"type": "file", "file": file}


def _audio(part: InputAudio, _profile: ChatProfile, _param: str) -> _Wire:
    return {"type": "input_audio", "input_audio": {"data": part.input_audio.data, "format": part.input_audio.format}}


def _video(part: InputVideo, _profile: ChatProfile, _param: str) -> _Wire:
    return {"type": "video_url", "video_url": {"url": part.video_url}}


CONTENT: Final[Mapping[str, Row[Any]]] = table(
    [
        translated("input_text", "text", _text),
        translated("output_text", "text; annotations and log probabilities are left out", _text),
        translated("text", "text", _text),
        translated("reasoning_text", "text", _text),
        translated("summary_text", "text", _text),
        translated("refusal", "the `refusal` of the assistant's message, or text", _refusal),
        translated("input_image", "an image by URL, with its `detail`; 400 if it is an uploaded file", _image),
        translated("computer_screenshot", "an image by URL", _image),
        translated("input_file", "a file with its data or id, or by its URL; 400 where the provider cannot", _file),
        translated("input_audio", "audio", _audio),
        translated("input_video", "a video by URL", _video),
        refused("encrypted_content", "only the server that encrypted it can read it"),
    ]
)
"""Type of content part -> how it is handled."""

_NEEDS: Final = {"computer_screenshot": "input_image"}
_TEXTS: Final = (InputText, OutputText, Text, ReasoningText, SummaryText, Refusal)


def _chat_parts(parts: Sequence[Content], profile: ChatProfile, param: str) -> list[_Wire]:
    return [_chat_part(part, profile, f"{param}[{index}]") for index, part in enumerate(parts)]


def _chat_part(part: Content, profile: ChatProfile, param: str) -> _Wire:
    row = CONTENT.get(part.type)
    if row is None or row.apply is None:
        refuse(f"Content of type {part.type!r} is not supported: {row.note if row else 'it is unknown'}.", param)
    if not isinstance(part, _TEXTS) and _NEEDS.get(part.type, part.type) not in profile.parts:
        refuse(f"The provider {profile.name!r} takes no content of type {part.type!r}.", param)
    return cast("_Wire", row.apply(part, profile, param))


def _content(content: str | Sequence[Content], profile: ChatProfile, param: str) -> str | list[_Wire]:
    """Return the content of a message: as a string where possible, because every server accepts that, else as a list of parts."""
    if isinstance(content, str):
        return content
    parts = _chat_parts(content, profile, f"{param}.content")
    if any(part["type"] != "text" for part in parts):
        return parts
    if len(parts) > 1 and profile.content_lists:
        return parts
    return "\n".join(part["text"] for part in parts)


# ---- items


class _Turn:
    """An assistant message under construction, and the outputs of its calls."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.refusals: list[str] = []
        self.reasoning: list[str] = []
        self.details: list[Any] = []
        self.audio_id: str = ""
        self.calls: list[_Wire] = []
        self.answers: list[tuple[str, str | Sequence[Content], str]] = []
        """For each call: its id, its output, and the parameter that contains the output."""
        self.answered = False
        """Whether a call has its output in the same item, so that a following message or reasoning starts another turn."""


class ChatMessages:
    """Builds the messages of a Chat Completions request, item by item."""

    def __init__(
        self,
        request: CreateResponse,
        context: Sequence[Item],
        offered: Mapping[str, OfferedTool],
        profile: ChatProfile,
    ) -> None:
        self._context = context
        self._profile = profile
        self._names = {(tool.kind, tool.home, tool.name): name for name, tool in offered.items()}
        self._inputs = len(request.input) if isinstance(request.input, (list, tuple)) else 0
        self._messages: list[_Wire] = []
        self._turn: _Turn | None = None
        self._outputs: dict[str, deque[tuple[Item, str]]] = {}
        self._ran: set[str] = {
            item.approval_request_id for item in context if isinstance(item, McpCall) and item.approval_request_id
        }
        self._denied: dict[str, str] = {
            item.approval_request_id: item.reason or ""
            for item in context
            if isinstance(item, McpApprovalResponse) and not item.approve
        }
        if request.instructions:
            self._add_system(profile.developer_role, request.instructions)

    def build(self) -> list[_Wire]:
        """Return the messages. Raises ``APIError`` (400) for an item that cannot be translated."""
        for index, item in enumerate(self._context):
            key = _output_key(item)
            if key:
                self._outputs.setdefault(key, deque()).append((item, self._param(index)))
        for index, item in enumerate(self._context):
            row = ITEMS.get(item.type)
            param = self._param(index)
            if row is None or row.fate == "refused":
                why = row.note if row is not None else "it is unknown"
                refuse(f"An item of type {item.type!r} is not supported: {why}.", param)
            if row.apply is not None:
                row.apply(self, item, param)
        self._end_turn()
        for waiting in self._outputs.values():
            for item, param in waiting:
                refuse(f"No tool call found for the output {_output_key(item)!r}.", param, "invalid_value")
        return self._messages

    def _param(self, index: int) -> str:
        place = index - (len(self._context) - self._inputs)
        return f"input[{place}]" if self._inputs and place >= 0 else "input"

    # Messages

    def message(self, item: Message, param: str) -> None:
        """Add a message of any role."""
        if item.role == "assistant":
            self._assistant_message(item, param)
            return
        self._end_turn()
        if item.role in ("system", "developer"):
            role = self._profile.developer_role if item.role == "developer" else "system"
            content = _content(item.content, self._profile, param)
            self._add_system(role, content)
        elif item.role == "user":
            self._messages.append({"role": "user", "content": _content(item.content, self._profile, param)})
        else:
            refuse(f"A message of the role {item.role!r} cannot be sent to the provider.", f"{param}.role")

    def _add_system(self, role: str, content: str | list[_Wire]) -> None:
        if not self._profile.system_first:
            self._messages.append({"role": role, "content": content})
            return
        text = content if isinstance(content, str) else "\n".join(part.get("text", "") for part in content)
        if not self._messages:
            self._messages.append({"role": role, "content": text})
        elif len(self._messages) == 1 and self._messages[0]["role"] in ("system", "developer"):
            self._messages[0]["content"] += f"\n\n{text}"
        else:
            self._messages.append({"role": "user", "content": text})

    def _assistant_message(self, item: Message, param: str) -> None:
        turn = self._open_turn(after_output=True)
        parts: Sequence[Content] = [OutputText(text=item.content)] if isinstance(item.content, str) else item.content
        for index, part in enumerate(parts):
            if not isinstance(part, _TEXTS):
                refuse(f"A message of the assistant cannot have {part.type!r}.", f"{param}.content[{index}]")
            if isinstance(part, Refusal):
                (turn.refusals if self._profile.refusals else turn.texts).append(part.refusal)
            else:
                turn.texts.append(part.text)
        audio = item.extra.get("audio")
        if isinstance(audio, dict) and "input_audio" in self._profile.parts:
            turn.audio_id = str(audio.get("id") or "")

    # Reasoning

    def reasoning(self, item: Reasoning, _param: str) -> None:
        """Add reasoning to the assistant's turn, if the provider wants it back."""
        turn = self._open_turn(after_output=True)
        if item.text:
            turn.reasoning.append(item.text)
        if item.encrypted_content and item.encrypted_content.startswith(DETAILS_PREFIX):
            try:
                details = default_backend().loads(item.encrypted_content.removeprefix(DETAILS_PREFIX))
            except (DecodeError, LimitExceeded):
                return  # a client has changed it: the provider continues without it
            turn.details += objects(details)

    # Calls and outputs

    def function_call(self, item: FunctionCall, param: str) -> None:
        """Add a call of a function."""
        name = self._chat_name("function", item.namespace or "", item.name)
        call = {"type": "function", "function": {"name": name, "arguments": item.arguments or "{}"}}
        self._call(item, call | _extra_content(item), param)

    def custom_call(self, item: CustomToolCall, param: str) -> None:
        """Add a call of a custom tool."""
        name = self._chat_name("custom", item.namespace or "", item.name)
        if self._profile.custom_tools:
            call: _Wire = {"type": "custom", "custom": {"name": name, "input": item.input}}
        else:
            arguments = dumps({CUSTOM_INPUT: item.input}).decode()
            call = {"type": "function", "function": {"name": name, "arguments": arguments}}
        self._call(item, call | _extra_content(item), param)

    def other_call(self, item: Item, param: str) -> None:
        """Add a call of another kind, as a function call with the fields of the item as arguments."""
        fields = cast("_Wire", dump(item))
        arguments = {
            key: value
            for key, value in fields.items()
            if key not in ("type", "id", "call_id", "status", "created_by", "agent", "caller", "pending_safety_checks")
        }
        function = {"name": item.type.removesuffix("_call"), "arguments": dumps(arguments).decode()}
        self._call(item, {"type": "function", "function": function}, param)

    def _call(self, item: Item, call: _Wire, param: str) -> None:
        call_id = str(getattr(item, "call_id", "") or "")
        waiting = self._outputs.get(call_id)
        if not waiting:
            if getattr(item, "status", None) == "incomplete":
                return  # its arguments are cut off, so it was never run
            refuse(f"No tool output found for the call {call_id!r}.", param, "invalid_value")
        output, output_param = waiting.popleft()
        self._add_call(call_id, call, _output_of(output), output_param)

    def mcp_call(self, item: McpCall, param: str) -> None:
        """Add a call that the server has run, with its output."""
        output = item.output or ""
        if item.status == "incomplete" and not output and not item.error:
            return  # it was cut off, and never run
        if item.error:
            output = "\n".join(filter(None, [output, f"Error: {_error_text(item.error)}"]))
        self._mcp(item, output, param)

    def approval_request(self, item: McpApprovalRequest, param: str) -> None:
        """Add a call that was denied, with the denial as its output. An approved call is added by its ``mcp_call`` item."""
        if item.id in self._denied and item.id not in self._ran:
            reason = self._denied[item.id]
            output = "The user did not approve this call." + (f" Reason: {reason}" if reason else "")
            self._mcp(item, output, param)

    def _mcp(self, item: McpCall | McpApprovalRequest, output: str, param: str) -> None:
        name = self._chat_name("mcp", item.server_label, item.name)
        function = {"name": name, "arguments": item.arguments or "{}"}
        turn = self._add_call(
            item.id, {"type": "function", "function": function, **_extra_content(item)}, output, param
        )
        turn.answered = True

    def _add_call(self, call_id: str, call: _Wire, output: str | Sequence[Content], param: str) -> _Turn:
        turn = self._open_turn()
        short = _call_id(call_id, self._profile)
        turn.calls.append({"id": short, **call})
        turn.answers.append((short, output, param))
        return turn

    def output(self, item: Item, param: str) -> None:
        """End the turn. The output itself was added with its call, unless it has no ``call_id``: then add it as a user message."""
        self._end_turn()
        if isinstance(item, FunctionCallOutput) and not item.call_id:
            content = _content(item.output, self._profile, param)
            text = content if isinstance(content, str) else dumps(content).decode()
            self._messages.append({"role": "user", "content": f"Output of {item.name or 'a tool'}: {text}"})

    def generated_image(self, item: ImageGenerationCall, _param: str) -> None:
        """Add a generated image, as an image in a user message."""
        url = item.extra.get("image_url")
        if item.result:
            url = item.result if item.result.startswith("data:") else _image_url(item)
        if not isinstance(url, str) or "input_image" not in self._profile.parts:
            return
        self._end_turn()
        image = {"type": "image_url", "image_url": {"url": url}}
        self._messages.append({"role": "user", "content": [{"type": "text", "text": "The generated image:"}, image]})

    def _chat_name(self, kind: str, home: str, name: str) -> str:
        return self._names.get((cast("Any", kind), home, name)) or safe_name(name, "" if kind == "mcp" else home)

    # Turns

    def _open_turn(self, *, after_output: bool = False) -> _Turn:
        if after_output and self._turn is not None and self._turn.answered:
            self._end_turn()
        if self._turn is None:
            self._turn = _Turn()
        return self._turn

    def _end_turn(self) -> None:
        turn, self._turn = self._turn, None
        text = "".join(turn.texts) if turn is not None else ""
        if turn is None or not (text or turn.refusals or turn.audio_id or turn.calls):
            return  # a turn with only reasoning was cut off
        message: _Wire = {"role": "assistant", "content": text or None}
        self._add_reasoning(turn, message)
        if turn.refusals:
            message["refusal"] = "".join(turn.refusals)
        if turn.audio_id:
            message["audio"] = {"id": turn.audio_id}
        if turn.calls:
            message["tool_calls"] = turn.calls
        self._messages.append(message)
        self._add_answers(turn)

    def _add_reasoning(self, turn: _Turn, message: _Wire) -> None:
        form = self._profile.reasoning
        text = "\n\n".join(turn.reasoning)
        if form == "reasoning_details":
            if turn.details:
                message["reasoning_details"] = turn.details
            elif text:
                message["reasoning"] = text
        elif form == "thinking" and text:
            thinking: list[_Wire] = [{"type": "thinking", "thinking": [{"type": "text", "text": text}], "closed": True}]
            said = message["content"]
            message["content"] = [*thinking, {"type": "text", "text": said}] if said else thinking
        elif form == "think" and text:
            opening, closing = self._profile.think_tags[0]
            message["content"] = f"{opening}{text}{closing}{message['content'] or ''}"
        elif form != "none" and text:
            message[form] = text

    def _add_answers(self, turn: _Turn) -> None:
        shown: list[_Wire] = []
        for call_id, output, param in turn.answers:
            content, rest = self._tool_content(output, param)
            self._messages.append({"role": "tool", "tool_call_id": call_id, "content": content})
            if rest:
                shown += [{"type": "text", "text": f"From the output of the call {call_id}:"}, *rest]
        if shown:
            self._messages.append({"role": "user", "content": shown})

    def _tool_content(self, output: str | Sequence[Content], param: str) -> tuple[str | list[_Wire], list[_Wire]]:
        if isinstance(output, str):
            return output, []
        parts = _chat_parts(output, self._profile, f"{param}.output")
        texts = [part for part in parts if part["type"] == "text"]
        rest = [part for part in parts if part["type"] != "text"]
        if rest and self._profile.tool_output_lists:
            return parts, []
        text = "\n".join(part["text"] for part in texts)
        return text or ("See the next message of the user." if rest else ""), rest


_OUTPUT_KEYS: Final = {
    pair.output: pair.output_key for pair in CALL_OUTPUT_PAIRS if pair.call != "mcp_approval_request"
}


def _output_key(item: Item) -> str:
    key = _OUTPUT_KEYS.get(item.type)
    return str(getattr(item, key) or "") if key and ITEMS[item.type].apply is not None else ""


def _output_of(item: Item) -> str | Sequence[Content]:
    output: Any = getattr(item, "output", "")
    if isinstance(output, ComputerScreenshot):
        return [output]
    if isinstance(output, str) or isinstance(item, FunctionCallOutput) or item.type == "custom_tool_call_output":
        return cast("str | Sequence[Content]", output)
    return dumps(dump(item)).decode()


def _error_text(error: Any) -> str:
    return str(getattr(error, "message", "") or "") or dumps(dump(error)).decode()


def _extra_content(item: Item) -> _Wire:
    # A provider's addition to a call, which must be sent back: Gemini's signature of the thoughts behind the call.
    extra = getattr(item, "extra", {}).get("extra_content")
    return {"extra_content": extra} if extra else {}


def _call_id(call_id: str, profile: ChatProfile) -> str:
    if profile.short_call_ids:
        if len(call_id) == _MISTRAL_ID and call_id.isalnum() and call_id.isascii():
            return call_id
        return hashlib.sha256(call_id.encode(errors="surrogatepass")).hexdigest()[:_MISTRAL_ID]
    if len(call_id) <= _MAX_CALL_ID:
        return call_id
    return f"call_{hashlib.sha256(call_id.encode(errors='surrogatepass')).hexdigest()[:32]}"


_MAX_CALL_ID: Final = 40  # characters, at OpenAI


def _image_url(item: ImageGenerationCall) -> str:
    kind = item.output_format or "png"
    return f"data:image/{kind};base64,{item.result}"


_SHOWN: Final = "the answer that follows contains the results"
_OTHER_SERVER: Final = "only the server that made it can read it"

ITEMS: Final[Mapping[str, Row[Any]]] = table(
    [
        translated("message", "a message; consecutive items of the assistant become one message", ChatMessages.message),
        translated(
            "reasoning", "the assistant's reasoning, in the form that the provider wants back", ChatMessages.reasoning
        ),
        translated("function_call", "a call of the assistant's message", ChatMessages.function_call),
        translated(
            "function_call_output",
            "a message of the tool; images follow in a message of the user where a tool's may not have any",
            ChatMessages.output,
        ),
        translated(
            "custom_tool_call", "a call of a custom tool, or of a function with one string", ChatMessages.custom_call
        ),
        translated("custom_tool_call_output", "a message of the tool", ChatMessages.output),
        translated("mcp_call", "a call and its output", ChatMessages.mcp_call),
        translated(
            "mcp_approval_request", "if it was denied: a call whose output says so", ChatMessages.approval_request
        ),
        dropped("mcp_approval_response", "the call, or its denial, has the answer"),
        translated("mcp_list_tools", "functions: its allowed tools"),
        translated("additional_tools", "its tools are offered with the others"),
        dropped("tool_search_call", "the tools are offered from the start"),
        translated("tool_search_output", "its tools are offered with the others"),
        translated("configuration_update", "its settings replace those of the request"),
        dropped("web_search_call", _SHOWN),
        dropped("x_search_call", _SHOWN),
        dropped("file_search_call", _SHOWN),
        dropped("code_interpreter_call", _SHOWN),
        translated("image_generation_call", "an image in a message of the user", ChatMessages.generated_image),
        *(
            translated(name, "a call of a function with the fields of the item", ChatMessages.other_call)
            for name in ("computer_call", "shell_call", "local_shell_call", "apply_patch_call")
        ),
        *(
            translated(name, "a message of the tool with the fields of the item as JSON", ChatMessages.output)
            for name in (
                "computer_call_output",
                "shell_call_output",
                "local_shell_call_output",
                "apply_patch_call_output",
            )
        ),
        refused("program", "the provider runs no programs"),
        refused("program_output", "the provider runs no programs"),
        refused("compaction", _OTHER_SERVER),
        refused("compaction_trigger", "the provider compacts nothing"),
        refused("multi_agent_call", "the provider has one agent"),
        refused("multi_agent_call_output", "the provider has one agent"),
        refused("agent_message", "the provider has one agent"),
        refused("item_reference", "there is no stored item with this id"),
    ]
)
"""Type of item -> how it is handled."""

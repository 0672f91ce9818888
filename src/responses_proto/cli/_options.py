"""The options that several commands share, and the client and the request fields made from them."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import attrs
import typer

from ..client.client import ResponsesClient
from ..exceptions import UsageError
from ..models.content import InputFile, InputImage, InputText
from ..models.items import Message
from ..models.tools import TOOL_TYPES
from ..providers import PROVIDERS
from ..scripted.demo import HUGGINGFACE_MODEL
from ._errors import file_errors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..models.content import Content

SCRIPTED_MODEL: Final = "scripted"
_DEFAULT_MODELS: Final = {"openai": "gpt-5-mini", "huggingface": HUGGINGFACE_MODEL}


def _providers(incomplete: str) -> list[str]:
    return [name for name in PROVIDERS if name.startswith(incomplete)]


PromptArgument = Annotated[
    str | None, typer.Argument(help="The prompt. Without it, or with -, it is read from standard input.")
]
Model = Annotated[
    str | None, typer.Option("--model", "-m", envvar="MODEL", help="The model. Default: depends on the provider.")
]
BaseURL = Annotated[
    str | None,
    typer.Option(
        "--base-url",
        help="Base URL of the API, such as http://127.0.0.1:8000/v1. Default: RESPONSES_BASE_URL, or OpenAI.",
    ),
]
ProviderName = Annotated[
    str | None,
    typer.Option("--provider", help="Name of a known provider, such as huggingface.", autocompletion=_providers),
]
Key = Annotated[
    str | None,
    typer.Option("--api-key", help="API key. Default, and safer: RESPONSES_API_KEY, or the variable of the provider."),
]
Instructions = Annotated[str | None, typer.Option("--instructions", "-i", help="Instructions for the model.")]
Files = Annotated[list[str] | None, typer.Option("--file", "-f", help="Add this file to the prompt (repeatable).")]
Images = Annotated[list[str] | None, typer.Option("--image", help="Add this image, a path or URL (repeatable).")]
ToolNames = Annotated[
    list[str] | None,
    typer.Option(
        "--tool",
        "-t",
        help="Offer a tool (repeatable): a type that the server runs, such as web_search, or a Python function that runs "
        "here, as tools.py:get_weather or package.module:get_weather.",
    ),
]
Previous = Annotated[
    str | None, typer.Option("--previous", help="Continue the stored response with this id, which the summary shows.")
]


def client_of(base_url: str | None, provider: str | None, api_key: str | None) -> ResponsesClient:
    """Return the client that the options name."""
    if provider:
        return ResponsesClient.for_provider(provider, base_url=base_url, api_key=api_key)
    return ResponsesClient(base_url, api_key)


def model_of(model: str | None, client: ResponsesClient) -> str:
    """Return the model that the option names, or the default of the client's provider."""
    return model or _DEFAULT_MODELS.get(client.dialect.name, SCRIPTED_MODEL)


def read_prompt(prompt: str | None) -> str:
    """Return the prompt, from standard input if it was not an argument. Raises ``UsageError`` if there is none."""
    if prompt is not None and prompt != "-":
        return prompt
    if prompt is None and sys.stdin.isatty():
        raise UsageError('no prompt: pass it as an argument, "Tell me a story", or by a pipe')
    text = sys.stdin.read()
    if not text.strip():
        raise UsageError("no prompt: standard input is empty")
    return text


@attrs.frozen(kw_only=True)
class Question:
    """The question in the options: a prompt with its attachments, and settings of the request."""

    prompt: str
    instructions: str | None = None
    files: Sequence[str] = ()
    images: Sequence[str] = ()
    tools: Sequence[str] = ()
    previous: str | None = None

    def fields(self) -> dict[str, Any]:
        """Return the fields of the request, except for ``model`` and ``tools``. Raises ``UsageError`` for a file that cannot be used."""
        content: list[Content] = [InputText(text=self.prompt)]
        for path in self.images:
            if path.startswith(("http://", "https://", "data:")):
                content.append(InputImage(image_url=path))
            else:
                content.append(_part("--image", path, InputImage.from_path))
        content += [_part("--file", path, InputFile.from_path) for path in self.files]
        fields: dict[str, Any] = {"input": self.prompt}
        if len(content) > 1:
            fields["input"] = [Message(role="user", content=content)]
        if self.instructions is not None:
            fields["instructions"] = self.instructions
        if self.previous is not None:
            fields["previous_response_id"] = self.previous
        return fields


def _part(option: str, path: str, read: Any) -> Any:
    with file_errors("read", f"{path} ({option})"):
        try:
            return read(path)
        except ValueError as error:
            raise UsageError(f"{option}: {path}: {error}") from error


def find_tool(name: str) -> Any:
    """Return the tool that an option names: a definition, or a function. Raises ``UsageError`` if there is none."""
    module, colon, attribute = name.rpartition(":")
    if not colon:
        if name not in TOOL_TYPES:
            raise UsageError(f"--tool: unknown type {name!r}; for a Python function, pass file.py:{name}")
        return {"type": name}
    try:
        loaded = _load_file(Path(module)) if module.endswith(".py") else importlib.import_module(module)
        return getattr(loaded, attribute)
    except Exception as error:  # the file may raise anything
        reason = (
            error if isinstance(error, AttributeError | ImportError | OSError) else f"{type(error).__name__}: {error}"
        )
        raise UsageError(f"--tool: cannot load {name}: {reason}") from error


def _load_file(path: Path) -> object:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # where annotations are resolved
    spec.loader.exec_module(module)
    return module

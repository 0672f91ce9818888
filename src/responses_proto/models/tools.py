"""Tools that a model may be given, and the choice among them.

A tool is a definition: what the model may call. The calls and their outputs are items (see `items`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Final, Literal, TypeAlias

from ..typing import UNSET, JSONObject, JSONValue, Unset
from ._base import Model, Unknown, model, secret
from .config import ReasoningEffort
from .content import UnknownObject

__all__ = [
    "TOOL_TYPES",
    "AllowedCaller",
    "AllowedTool",
    "AndFilter",
    "ApplyPatchTool",
    "CodeInterpreterContainer",
    "CodeInterpreterTool",
    "ComparisonFilter",
    "ComputerTool",
    "ComputerUsePreviewTool",
    "ContainerAuto",
    "ContainerReference",
    "CustomTool",
    "CustomToolFormat",
    "CustomToolGrammarFormat",
    "CustomToolTextFormat",
    "DomainSecret",
    "FileSearchFilter",
    "FileSearchTool",
    "FunctionTool",
    "HybridSearch",
    "ImageGenerationTool",
    "InlineSkill",
    "InlineSkillSource",
    "InputImageMask",
    "LocalEnvironment",
    "LocalShellTool",
    "LocalSkill",
    "McpApprovalFilter",
    "McpTool",
    "McpToolFilter",
    "MemoryLimit",
    "NamespaceTool",
    "NetworkPolicy",
    "NetworkPolicyAllowlist",
    "NetworkPolicyDisabled",
    "OrFilter",
    "ProgrammaticToolCallingTool",
    "RankingOptions",
    "SearchContextSize",
    "ShellEnvironment",
    "ShellTool",
    "Skill",
    "SkillReference",
    "SvgConfig",
    "SvgReasoning",
    "Tool",
    "ToolChoice",
    "ToolChoiceAllowed",
    "ToolChoiceCustom",
    "ToolChoiceFunction",
    "ToolChoiceHosted",
    "ToolChoiceMcp",
    "ToolSearchTool",
    "UnknownTool",
    "UserLocation",
    "WebSearchFilters",
    "WebSearchPreviewTool",
    "WebSearchPreviewTool20250311",
    "WebSearchTool",
    "WebSearchTool20250826",
]

AllowedCaller: TypeAlias = Literal["direct", "programmatic"] | str
"""Who may call a tool: the model itself, or a program that it wrote."""

MemoryLimit: TypeAlias = Literal["1g", "4g", "16g", "64g"] | str
"""The memory of a container."""

SearchContextSize: TypeAlias = Literal["low", "medium", "high"] | str
"""How much of the context window search results may take."""


@model
class UnknownTool(Unknown):
    """A tool whose `type` has no class here."""


# ---- the caller's own


@model
class FunctionTool(Model):
    """A function of the caller's, with a JSON Schema for its arguments: `function` (Tools, Function calling)."""

    type: ClassVar[Literal["function"]] = "function"
    name: str
    description: str | None | Unset = UNSET
    parameters: JSONObject | None | Unset = UNSET
    """The JSON Schema of the arguments."""
    strict: bool | None | Unset = UNSET
    """Whether the arguments are held to the schema while they are written."""
    output_schema: JSONObject | None | Unset = UNSET
    allowed_callers: Sequence[AllowedCaller] | None | Unset = UNSET
    async_: bool | None | Unset = UNSET
    """Whether the model may go on without waiting for the output."""
    defer_loading: bool | None | Unset = UNSET
    """Whether the definition is kept from the model until a tool search finds it."""


@model
class CustomToolTextFormat(Model):
    """Any text as the input of a custom tool: `text` (Tools, Custom tools)."""

    type: ClassVar[Literal["text"]] = "text"


@model
class CustomToolGrammarFormat(Model):
    """Input of a custom tool that fits a grammar: `grammar` (Tools, Custom tools)."""

    type: ClassVar[Literal["grammar"]] = "grammar"
    definition: str
    syntax: Literal["lark", "regex"] | str


CustomToolFormat: TypeAlias = CustomToolTextFormat | CustomToolGrammarFormat | UnknownObject
"""What the input of a custom tool looks like."""


@model
class CustomTool(Model):
    """A tool of the caller's that takes text instead of JSON: `custom` (Tools, Custom tools)."""

    type: ClassVar[Literal["custom"]] = "custom"
    name: str
    description: str | None | Unset = UNSET
    format: CustomToolFormat | None | Unset = UNSET
    allowed_callers: Sequence[AllowedCaller] | None | Unset = UNSET
    async_: bool | None | Unset = UNSET
    """Whether the model may go on without waiting for the output."""
    defer_loading: bool | None | Unset = UNSET
    """Whether the definition is kept from the model until a tool search finds it."""


@model
class NamespaceTool(Model):
    """Tools of the caller's under a common name: `namespace` (Tools, Tool search)."""

    type: ClassVar[Literal["namespace"]] = "namespace"
    name: str
    description: str
    tools: Sequence[FunctionTool | CustomTool | UnknownTool]


@model
class ToolSearchTool(Model):
    """Lets the model look for deferred tools, on the server or at the client: `tool_search` (Tools, Tool search)."""

    type: ClassVar[Literal["tool_search"]] = "tool_search"
    execution: Literal["server", "client"] | str | None | Unset = UNSET
    description: str | None | Unset = UNSET
    parameters: JSONValue | Unset = UNSET
    """The JSON Schema of the query, for a search that the client does."""


@model
class ProgrammaticToolCallingTool(Model):
    """Lets the model call tools from a program it writes: `programmatic_tool_calling` (Tools, Programmatic calling)."""

    type: ClassVar[Literal["programmatic_tool_calling"]] = "programmatic_tool_calling"


# ---- search


@model
class ComparisonFilter(Model):
    """A test of one attribute of a file, told by its `type` (Tools, File search).

    It stands for all comparisons, so an operator that is new to this package ends up here too.
    """

    type: Literal["eq", "ne", "gt", "gte", "lt", "lte", "in", "nin"] | str
    key: str
    value: str | float | bool | Sequence[str | float]


@model
class _CompoundFilter(Model):
    filters: Sequence[FileSearchFilter]


@model
class AndFilter(_CompoundFilter):
    """All of the filters: `and` (Tools, File search)."""

    type: ClassVar[Literal["and"]] = "and"


@model
class OrFilter(_CompoundFilter):
    """At least one of the filters: `or` (Tools, File search)."""

    type: ClassVar[Literal["or"]] = "or"


FileSearchFilter: TypeAlias = AndFilter | OrFilter | ComparisonFilter
"""A condition on the attributes of files. Open: `ComparisonFilter` takes any `type`."""


@model
class HybridSearch(Model):
    """The weights of the two rankings that are fused: `hybrid_search` (Tools, File search)."""

    embedding_weight: float
    text_weight: float


@model
class RankingOptions(Model):
    """How found chunks are ranked and cut off: `ranking_options` (Tools, File search)."""

    ranker: Literal["auto", "default-2024-11-15"] | str | None | Unset = UNSET
    score_threshold: float | None | Unset = UNSET
    """From 0 to 1: the higher, the fewer and better the results."""
    hybrid_search: HybridSearch | None | Unset = UNSET


@model
class FileSearchTool(Model):
    """Search in vector stores: `file_search` (Tools, File search)."""

    type: ClassVar[Literal["file_search"]] = "file_search"
    vector_store_ids: Sequence[str]
    max_num_results: int | None | Unset = UNSET
    filters: FileSearchFilter | None | Unset = UNSET
    ranking_options: RankingOptions | None | Unset = UNSET


@model(optional=("type",))
class UserLocation(Model):
    """Roughly where the user is: `approximate` (Tools, Web search)."""

    type: ClassVar[Literal["approximate"]] = "approximate"
    city: str | None | Unset = UNSET
    region: str | None | Unset = UNSET
    country: str | None | Unset = UNSET
    """Two letters, ISO 3166-1."""
    timezone: str | None | Unset = UNSET
    """An IANA name."""


@model
class WebSearchFilters(Model):
    """Where a web search may look: `filters` (Tools, Web search)."""

    allowed_domains: Sequence[str] | None | Unset = UNSET


@model
class _WebSearch(Model):
    search_context_size: SearchContextSize | None | Unset = UNSET
    user_location: UserLocation | None | Unset = UNSET


@model
class _WebSearchTool(_WebSearch):
    filters: WebSearchFilters | None | Unset = UNSET
    external_web_access: bool | None | Unset = UNSET
    """False: only from the search provider's cache."""


@model
class WebSearchTool(_WebSearchTool):
    """Search on the web: `web_search` (Tools, Web search)."""

    type: ClassVar[Literal["web_search"]] = "web_search"


@model
class WebSearchTool20250826(_WebSearchTool):
    """Search on the web, as of that day: `web_search_2025_08_26` (Tools, Web search)."""

    type: ClassVar[Literal["web_search_2025_08_26"]] = "web_search_2025_08_26"


@model
class _WebSearchPreviewTool(_WebSearch):
    search_content_types: Sequence[Literal["text", "image"] | str] | None | Unset = UNSET


@model
class WebSearchPreviewTool(_WebSearchPreviewTool):
    """The earlier web search: `web_search_preview` (Tools, Web search)."""

    type: ClassVar[Literal["web_search_preview"]] = "web_search_preview"


@model
class WebSearchPreviewTool20250311(_WebSearchPreviewTool):
    """The earlier web search, as of that day: `web_search_preview_2025_03_11` (Tools, Web search)."""

    type: ClassVar[Literal["web_search_preview_2025_03_11"]] = "web_search_preview_2025_03_11"


# ---- remote MCP


@model
class McpToolFilter(Model):
    """Some of the tools of an MCP server, by name or by harmlessness (Tools, MCP)."""

    tool_names: Sequence[str] | None | Unset = UNSET
    read_only: bool | None | Unset = UNSET
    """Only tools that the server marks as read-only."""


@model
class McpApprovalFilter(Model):
    """Which tools of an MCP server wait for an approval, and which never do (Tools, MCP)."""

    always: McpToolFilter | None | Unset = UNSET
    never: McpToolFilter | None | Unset = UNSET


@model
class McpTool(Model):
    """The tools of a remote MCP server, which the Responses server calls itself: `mcp` (Tools, MCP)."""

    type: ClassVar[Literal["mcp"]] = "mcp"
    server_label: str
    server_url: str | None | Unset = UNSET
    server_description: str | None | Unset = UNSET
    allowed_tools: Sequence[str] | McpToolFilter | None | Unset = UNSET
    require_approval: Literal["always", "never"] | str | McpApprovalFilter | None | Unset = UNSET
    authorization: str | None | Unset = secret(default=UNSET)
    headers: Mapping[str, str] | None | Unset = secret(default=UNSET)
    connector_id: (
        Literal[
            "connector_dropbox",
            "connector_gmail",
            "connector_googlecalendar",
            "connector_googledrive",
            "connector_microsoftteams",
            "connector_outlookcalendar",
            "connector_outlookemail",
            "connector_sharepoint",
        ]
        | str
        | None
        | Unset
    ) = UNSET
    """A ready-made connection, instead of `server_url`."""
    tunnel_id: str | None | Unset = UNSET
    allowed_callers: Sequence[AllowedCaller] | None | Unset = UNSET
    defer_loading: bool | None | Unset = UNSET
    """Whether the definitions are kept from the model until a tool search finds them."""


# ---- containers


@model
class NetworkPolicyDisabled(Model):
    """A container without network: `disabled` (Tools, Containers)."""

    type: ClassVar[Literal["disabled"]] = "disabled"


@model
class DomainSecret(Model):
    """A secret that is put into requests to one domain, unseen by the model (Tools, Containers)."""

    domain: str
    name: str
    value: str = secret()


@model
class NetworkPolicyAllowlist(Model):
    """A container that reaches some domains only: `allowlist` (Tools, Containers)."""

    type: ClassVar[Literal["allowlist"]] = "allowlist"
    allowed_domains: Sequence[str]
    domain_secrets: Sequence[DomainSecret] | None | Unset = UNSET


NetworkPolicy: TypeAlias = NetworkPolicyDisabled | NetworkPolicyAllowlist | UnknownObject
"""What a container may reach."""


@model
class CodeInterpreterContainer(Model):
    """A container made for the code interpreter: `auto` (Tools, Code interpreter)."""

    type: ClassVar[Literal["auto"]] = "auto"
    file_ids: Sequence[str] | None | Unset = UNSET
    memory_limit: MemoryLimit | None | Unset = UNSET
    network_policy: NetworkPolicy | None | Unset = UNSET


@model
class CodeInterpreterTool(Model):
    """Runs Python in a container, an existing one (by id) or a new one: `code_interpreter` (Tools, Code interpreter)."""

    type: ClassVar[Literal["code_interpreter"]] = "code_interpreter"
    container: str | CodeInterpreterContainer | UnknownObject
    allowed_callers: Sequence[AllowedCaller] | None | Unset = UNSET


@model
class SkillReference(Model):
    """An uploaded skill: `skill_reference` (Tools, Shell, Skills)."""

    type: ClassVar[Literal["skill_reference"]] = "skill_reference"
    skill_id: str
    version: str | None | Unset = UNSET
    """A number, or `latest`; the skill's default version if absent."""


@model
class InlineSkillSource(Model):
    """A zipped skill in the request itself: `base64` (Tools, Shell, Skills)."""

    type: ClassVar[Literal["base64"]] = "base64"
    media_type: ClassVar[Literal["application/zip"]] = "application/zip"
    data: str


@model
class InlineSkill(Model):
    """A skill that comes with the request: `inline` (Tools, Shell, Skills)."""

    type: ClassVar[Literal["inline"]] = "inline"
    name: str
    description: str
    source: InlineSkillSource


Skill: TypeAlias = SkillReference | InlineSkill | UnknownObject
"""Instructions and files that are put into a container."""


@model
class ContainerAuto(Model):
    """A container made for this request: `container_auto` (Tools, Shell)."""

    type: ClassVar[Literal["container_auto"]] = "container_auto"
    file_ids: Sequence[str] | None | Unset = UNSET
    memory_limit: MemoryLimit | None | Unset = UNSET
    network_policy: NetworkPolicy | None | Unset = UNSET
    skills: Sequence[Skill] | None | Unset = UNSET


@model
class ContainerReference(Model):
    """An existing container: `container_reference` (Tools, Shell)."""

    type: ClassVar[Literal["container_reference"]] = "container_reference"
    container_id: str


@model
class LocalSkill(Model):
    """A skill in a directory of the caller's machine (Tools, Shell, Skills)."""

    name: str
    description: str
    path: str


@model
class LocalEnvironment(Model):
    """The caller's machine: `local` (Tools, Shell)."""

    type: ClassVar[Literal["local"]] = "local"
    skills: Sequence[LocalSkill] | None | Unset = UNSET


ShellEnvironment: TypeAlias = ContainerAuto | ContainerReference | LocalEnvironment | UnknownObject
"""Where shell commands run: in a container of the server's, or on the caller's machine."""


@model
class ShellTool(Model):
    """Runs shell commands: `shell` (Tools, Shell)."""

    type: ClassVar[Literal["shell"]] = "shell"
    environment: ShellEnvironment | None | Unset = UNSET
    allowed_callers: Sequence[AllowedCaller] | None | Unset = UNSET


@model
class LocalShellTool(Model):
    """Runs commands on the caller's machine, the earlier form: `local_shell` (Tools, Local shell)."""

    type: ClassVar[Literal["local_shell"]] = "local_shell"


@model
class ApplyPatchTool(Model):
    """Edits files by patches that the caller applies: `apply_patch` (Tools, Apply patch)."""

    type: ClassVar[Literal["apply_patch"]] = "apply_patch"
    allowed_callers: Sequence[AllowedCaller] | None | Unset = UNSET


# ---- screens and images


@model
class ComputerTool(Model):
    """Uses a computer by screenshots, clicks and keys: `computer` (Tools, Computer use)."""

    type: ClassVar[Literal["computer"]] = "computer"


@model
class ComputerUsePreviewTool(Model):
    """Uses a computer, the earlier form: `computer_use_preview` (Tools, Computer use)."""

    type: ClassVar[Literal["computer_use_preview"]] = "computer_use_preview"
    display_width: int
    """Pixels."""
    display_height: int
    """Pixels."""
    environment: Literal["windows", "mac", "linux", "ubuntu", "browser"] | str


@model
class InputImageMask(Model):
    """The part of an image that is painted over, by file or by URL: `input_image_mask` (Tools, Image generation)."""

    file_id: str | None | Unset = UNSET
    image_url: str | None | Unset = UNSET


@model
class SvgReasoning(Model):
    """How much the model that draws in SVG thinks: `reasoning` (Tools, Image generation, SVG)."""

    effort: ReasoningEffort | None | Unset = UNSET


@model
class SvgConfig(Model):
    """The model that draws in SVG: `svg` (Tools, Image generation)."""

    model: str | None | Unset = UNSET
    reasoning: SvgReasoning | None | Unset = UNSET


@model
class ImageGenerationTool(Model):
    """Makes and edits images: `image_generation` (Tools, Image generation)."""

    type: ClassVar[Literal["image_generation"]] = "image_generation"
    action: Literal["generate", "edit", "auto"] | str | None | Unset = UNSET
    model: str | None | Unset = UNSET
    size: Literal["1024x1024", "1024x1536", "1536x1024", "auto"] | str | None | Unset = UNSET
    quality: Literal["low", "medium", "high", "xhigh", "max", "auto"] | str | None | Unset = UNSET
    background: Literal["transparent", "opaque", "auto"] | str | None | Unset = UNSET
    output_format: Literal["png", "webp", "jpeg", "gif", "svg"] | str | None | Unset = UNSET
    output_compression: int | None | Unset = UNSET
    """Per cent."""
    partial_images: int | None | Unset = UNSET
    """How many previews are streamed."""
    input_fidelity: Literal["high", "low"] | str | None | Unset = UNSET
    input_image_mask: InputImageMask | None | Unset = UNSET
    moderation: Literal["auto", "low"] | str | None | Unset = UNSET
    complexity: Literal["low", "medium", "high"] | str | None | Unset = UNSET
    frame_count: int | None | Unset = UNSET
    frame_duration_ms: int | None | Unset = UNSET
    svg: SvgConfig | None | Unset = UNSET


Tool: TypeAlias = (
    FunctionTool
    | CustomTool
    | McpTool
    | WebSearchTool
    | WebSearchTool20250826
    | WebSearchPreviewTool
    | WebSearchPreviewTool20250311
    | FileSearchTool
    | CodeInterpreterTool
    | ShellTool
    | LocalShellTool
    | ApplyPatchTool
    | ComputerTool
    | ComputerUsePreviewTool
    | ImageGenerationTool
    | NamespaceTool
    | ToolSearchTool
    | ProgrammaticToolCallingTool
    | UnknownTool
)
"""Anything that may stand in `tools`."""

TOOL_TYPES: Final[Mapping[str, type[Model]]] = {
    cls.type: cls
    for cls in (
        FunctionTool,
        CustomTool,
        McpTool,
        WebSearchTool,
        WebSearchTool20250826,
        WebSearchPreviewTool,
        WebSearchPreviewTool20250311,
        FileSearchTool,
        CodeInterpreterTool,
        ShellTool,
        LocalShellTool,
        ApplyPatchTool,
        ComputerTool,
        ComputerUsePreviewTool,
        ImageGenerationTool,
        NamespaceTool,
        ToolSearchTool,
        ProgrammaticToolCallingTool,
    )
}
"""Wire string to class, for each tool known here."""


# ---- the choice


@model
class ToolChoiceFunction(Model):
    """This function: `function` (Tools, Tool choice)."""

    type: ClassVar[Literal["function"]] = "function"
    name: str | Unset = UNSET


@model
class ToolChoiceCustom(Model):
    """This custom tool: `custom` (Tools, Tool choice)."""

    type: ClassVar[Literal["custom"]] = "custom"
    name: str


@model
class ToolChoiceMcp(Model):
    """This MCP server, or one tool of it: `mcp` (Tools, Tool choice)."""

    type: ClassVar[Literal["mcp"]] = "mcp"
    server_label: str
    name: str | None | Unset = UNSET


@model
class ToolChoiceHosted(Model):
    """A tool told by its `type` alone (Tools, Tool choice).

    Any `type` without a class of its own is one of these, those that are new to this package included.
    """

    type: (
        Literal[
            "file_search",
            "web_search_preview",
            "web_search_preview_2025_03_11",
            "computer",
            "computer_use",
            "computer_use_preview",
            "image_generation",
            "code_interpreter",
            "programmatic_tool_calling",
            "apply_patch",
            "shell",
        ]
        | str
    )


AllowedTool: TypeAlias = ToolChoiceFunction | ToolChoiceCustom | ToolChoiceMcp | ToolChoiceHosted
"""A tool, named rather than defined. Open: `ToolChoiceHosted` takes any `type`."""


@model
class ToolChoiceAllowed(Model):
    """Only these of the tools, at will or at least one: `allowed_tools` (Tools, Tool choice)."""

    type: ClassVar[Literal["allowed_tools"]] = "allowed_tools"
    mode: Literal["auto", "required", "none"] | str | Unset = UNSET
    tools: Sequence[AllowedTool]


ToolChoice: TypeAlias = (
    Literal["none", "auto", "required"]
    | str
    | ToolChoiceFunction
    | ToolChoiceCustom
    | ToolChoiceMcp
    | ToolChoiceAllowed
    | ToolChoiceHosted
)
"""Whether tools are called, and which. Open: `ToolChoiceHosted` takes any `type`."""

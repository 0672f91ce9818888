"""Model the tools of a request, and the choice among them.

A tool is a definition of what the model may call. The calls and their outputs are items; see :mod:`.items`.
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
"""How much of the context window search results may use."""


@model
class UnknownTool(Unknown):
    """A tool with an unknown ``type``."""


# ---- function and custom tools


@model
class FunctionTool(Model):
    """A function of the caller, with a JSON Schema for its arguments: `function` (Tools, Function calling)."""

    type: ClassVar[Literal["function"]] = "function"
    name: str
    description: str | None | Unset = UNSET
    parameters: JSONObject | None | Unset = UNSET
    """The JSON Schema of the arguments."""
    strict: bool | None | Unset = UNSET
    """Whether the server forces the arguments to match the schema."""
    output_schema: JSONObject | None | Unset = UNSET
    allowed_callers: Sequence[AllowedCaller] | None | Unset = UNSET
    async_: bool | None | Unset = UNSET
    """Whether the model may continue without waiting for the output."""
    defer_loading: bool | None | Unset = UNSET
    """Whether the definition is hidden from the model until a tool search finds it."""


@model
class CustomToolTextFormat(Model):
    """Free text as the input of a custom tool: `text` (Tools, Custom tools)."""

    type: ClassVar[Literal["text"]] = "text"


@model
class CustomToolGrammarFormat(Model):
    """Input of a custom tool that matches a grammar: `grammar` (Tools, Custom tools)."""

    type: ClassVar[Literal["grammar"]] = "grammar"
    definition: str
    syntax: Literal["lark", "regex"] | str


CustomToolFormat: TypeAlias = CustomToolTextFormat | CustomToolGrammarFormat | UnknownObject
"""The format of the input of a custom tool; an open union."""


@model
class CustomTool(Model):
    """A tool of the caller with text as input instead of JSON: `custom` (Tools, Custom tools)."""

    type: ClassVar[Literal["custom"]] = "custom"
    name: str
    description: str | None | Unset = UNSET
    format: CustomToolFormat | None | Unset = UNSET
    allowed_callers: Sequence[AllowedCaller] | None | Unset = UNSET
    async_: bool | None | Unset = UNSET
    """Whether the model may continue without waiting for the output."""
    defer_loading: bool | None | Unset = UNSET
    """Whether the definition is hidden from the model until a tool search finds it."""


@model
class NamespaceTool(Model):
    """Tools of the caller under a common name: `namespace` (Tools, Tool search)."""

    type: ClassVar[Literal["namespace"]] = "namespace"
    name: str
    description: str
    tools: Sequence[FunctionTool | CustomTool | UnknownTool]


@model
class ToolSearchTool(Model):
    """Lets the model search for deferred tools, on the server or the client: `tool_search` (Tools, Tool search)."""

    type: ClassVar[Literal["tool_search"]] = "tool_search"
    execution: Literal["server", "client"] | str | None | Unset = UNSET
    description: str | None | Unset = UNSET
    parameters: JSONValue | Unset = UNSET
    """The JSON Schema of the query, for a search on the client."""


@model
class ProgrammaticToolCallingTool(Model):
    """Lets the model call tools from a program it writes: `programmatic_tool_calling` (Tools, Programmatic calling)."""

    type: ClassVar[Literal["programmatic_tool_calling"]] = "programmatic_tool_calling"


# ---- search


@model
class ComparisonFilter(Model):
    """A comparison of one attribute of a file; `type` is the operator (Tools, File search).

    It is used for every operator, including unknown ones.
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
    """The weights of the two combined rankings: `hybrid_search` (Tools, File search)."""

    embedding_weight: float
    text_weight: float


@model
class RankingOptions(Model):
    """How found chunks are ranked and cut off: `ranking_options` (Tools, File search)."""

    ranker: Literal["auto", "default-2024-11-15"] | str | None | Unset = UNSET
    score_threshold: float | None | Unset = UNSET
    """From 0 to 1. A higher threshold returns fewer and better results."""
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
    """The approximate location of the user: `approximate` (Tools, Web search)."""

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
    """If false, only the cache of the search provider is used."""


@model
class WebSearchTool(_WebSearchTool):
    """Web search: `web_search` (Tools, Web search)."""

    type: ClassVar[Literal["web_search"]] = "web_search"


@model
class WebSearchTool20250826(_WebSearchTool):
    """Web search, version of 2025-08-26: `web_search_2025_08_26` (Tools, Web search)."""

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
    """The earlier web search, version of 2025-03-11: `web_search_preview_2025_03_11` (Tools, Web search)."""

    type: ClassVar[Literal["web_search_preview_2025_03_11"]] = "web_search_preview_2025_03_11"


# ---- remote MCP


@model
class McpToolFilter(Model):
    """Some of the tools of an MCP server, by name or because they are read-only (Tools, MCP)."""

    tool_names: Sequence[str] | None | Unset = UNSET
    read_only: bool | None | Unset = UNSET
    """Only tools that the server marks as read-only."""


@model
class McpApprovalFilter(Model):
    """Which tools of an MCP server need an approval, and which do not (Tools, MCP)."""

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
    """A predefined connector, used instead of `server_url`."""
    tunnel_id: str | None | Unset = UNSET
    allowed_callers: Sequence[AllowedCaller] | None | Unset = UNSET
    defer_loading: bool | None | Unset = UNSET
    """Whether the definitions are hidden from the model until a tool search finds them."""


# ---- containers


@model
class NetworkPolicyDisabled(Model):
    """A container without network: `disabled` (Tools, Containers)."""

    type: ClassVar[Literal["disabled"]] = "disabled"


@model
class DomainSecret(Model):
    """A secret that is added to requests to one domain and hidden from the model (Tools, Containers)."""

    domain: str
    name: str
    value: str = secret()


@model
class NetworkPolicyAllowlist(Model):
    """A container that reaches only some domains: `allowlist` (Tools, Containers)."""

    type: ClassVar[Literal["allowlist"]] = "allowlist"
    allowed_domains: Sequence[str]
    domain_secrets: Sequence[DomainSecret] | None | Unset = UNSET


NetworkPolicy: TypeAlias = NetworkPolicyDisabled | NetworkPolicyAllowlist | UnknownObject
"""What a container may reach; an open union."""


@model
class CodeInterpreterContainer(Model):
    """A new container for the code interpreter: `auto` (Tools, Code interpreter)."""

    type: ClassVar[Literal["auto"]] = "auto"
    file_ids: Sequence[str] | None | Unset = UNSET
    memory_limit: MemoryLimit | None | Unset = UNSET
    network_policy: NetworkPolicy | None | Unset = UNSET


@model
class CodeInterpreterTool(Model):
    """Runs Python in a container, existing (by id) or new: `code_interpreter` (Tools, Code interpreter)."""

    type: ClassVar[Literal["code_interpreter"]] = "code_interpreter"
    container: str | CodeInterpreterContainer | UnknownObject
    allowed_callers: Sequence[AllowedCaller] | None | Unset = UNSET


@model
class SkillReference(Model):
    """An uploaded skill: `skill_reference` (Tools, Shell, Skills)."""

    type: ClassVar[Literal["skill_reference"]] = "skill_reference"
    skill_id: str
    version: str | None | Unset = UNSET
    """A number or `latest`. If absent, the default version is used."""


@model
class InlineSkillSource(Model):
    """A zipped skill inside the request: `base64` (Tools, Shell, Skills)."""

    type: ClassVar[Literal["base64"]] = "base64"
    media_type: ClassVar[Literal["application/zip"]] = "application/zip"
    data: str


@model
class InlineSkill(Model):
    """A skill inside the request: `inline` (Tools, Shell, Skills)."""

    type: ClassVar[Literal["inline"]] = "inline"
    name: str
    description: str
    source: InlineSkillSource


Skill: TypeAlias = SkillReference | InlineSkill | UnknownObject
"""Instructions and files for a container; an open union."""


@model
class ContainerAuto(Model):
    """A new container for this request: `container_auto` (Tools, Shell)."""

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
    """A skill in a directory on the caller's machine (Tools, Shell, Skills)."""

    name: str
    description: str
    path: str


@model
class LocalEnvironment(Model):
    """The caller's machine: `local` (Tools, Shell)."""

    type: ClassVar[Literal["local"]] = "local"
    skills: Sequence[LocalSkill] | None | Unset = UNSET


ShellEnvironment: TypeAlias = ContainerAuto | ContainerReference | LocalEnvironment | UnknownObject
"""Where shell commands run: in a container of the server or on the caller's machine; an open union."""


@model
class ShellTool(Model):
    """Runs shell commands: `shell` (Tools, Shell)."""

    type: ClassVar[Literal["shell"]] = "shell"
    environment: ShellEnvironment | None | Unset = UNSET
    allowed_callers: Sequence[AllowedCaller] | None | Unset = UNSET


@model
class LocalShellTool(Model):
    """Runs commands on the caller's machine (earlier form): `local_shell` (Tools, Local shell)."""

    type: ClassVar[Literal["local_shell"]] = "local_shell"


@model
class ApplyPatchTool(Model):
    """Edits files with patches that the caller applies: `apply_patch` (Tools, Apply patch)."""

    type: ClassVar[Literal["apply_patch"]] = "apply_patch"
    allowed_callers: Sequence[AllowedCaller] | None | Unset = UNSET


# ---- screens and images


@model
class ComputerTool(Model):
    """Uses a computer with screenshots, clicks and keys: `computer` (Tools, Computer use)."""

    type: ClassVar[Literal["computer"]] = "computer"


@model
class ComputerUsePreviewTool(Model):
    """Uses a computer (earlier form): `computer_use_preview` (Tools, Computer use)."""

    type: ClassVar[Literal["computer_use_preview"]] = "computer_use_preview"
    display_width: int
    """Pixels."""
    display_height: int
    """Pixels."""
    environment: Literal["windows", "mac", "linux", "ubuntu", "browser"] | str


@model
class InputImageMask(Model):
    """The part of an image to paint over, by file or URL: `input_image_mask` (Tools, Image generation)."""

    file_id: str | None | Unset = UNSET
    image_url: str | None | Unset = UNSET


@model
class SvgReasoning(Model):
    """The reasoning of the model that draws in SVG: `reasoning` (Tools, Image generation, SVG)."""

    effort: ReasoningEffort | None | Unset = UNSET


@model
class SvgConfig(Model):
    """The model that draws in SVG: `svg` (Tools, Image generation)."""

    model: str | None | Unset = UNSET
    reasoning: SvgReasoning | None | Unset = UNSET


@model
class ImageGenerationTool(Model):
    """Generates and edits images: `image_generation` (Tools, Image generation)."""

    type: ClassVar[Literal["image_generation"]] = "image_generation"
    action: Literal["generate", "edit", "auto"] | str | None | Unset = UNSET
    model: str | None | Unset = UNSET
    size: Literal["1024x1024", "1024x1536", "1536x1024", "auto"] | str | None | Unset = UNSET
    quality: Literal["low", "medium", "high", "xhigh", "max", "auto"] | str | None | Unset = UNSET
    background: Literal["transparent", "opaque", "auto"] | str | None | Unset = UNSET
    output_format: Literal["png", "webp", "jpeg", "gif", "svg"] | str | None | Unset = UNSET
    output_compression: int | None | Unset = UNSET
    """The compression, in percent."""
    partial_images: int | None | Unset = UNSET
    """The number of previews to stream."""
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
"""Any tool; an open union."""

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
"""Wire ``type`` of a tool -> its class."""


# ---- tool choice


@model
class ToolChoiceFunction(Model):
    """Call this function: `function` (Tools, Tool choice)."""

    type: ClassVar[Literal["function"]] = "function"
    name: str | Unset = UNSET


@model
class ToolChoiceCustom(Model):
    """Call this custom tool: `custom` (Tools, Tool choice)."""

    type: ClassVar[Literal["custom"]] = "custom"
    name: str


@model
class ToolChoiceMcp(Model):
    """Call any tool of this MCP server, or the tool with this name: `mcp` (Tools, Tool choice)."""

    type: ClassVar[Literal["mcp"]] = "mcp"
    server_label: str
    name: str | None | Unset = UNSET


@model
class ToolChoiceHosted(Model):
    """Call the tool with this `type` (Tools, Tool choice).

    It is used for every `type` without a class, including unknown ones.
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
"""A tool by name. The union is open: `ToolChoiceHosted` accepts any `type`."""


@model
class ToolChoiceAllowed(Model):
    """Restrict the choice to these tools: `allowed_tools` (Tools, Tool choice)."""

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
"""Whether the model calls tools, and which. The union is open: `ToolChoiceHosted` accepts any `type`."""

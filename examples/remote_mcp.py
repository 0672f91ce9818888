"""Let the server call tools of an MCP server. Only two of its tools are allowed, and each call is approved here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from responses_proto.models import McpApprovalRequest, McpApprovalResponse, McpCall, McpListTools, McpTool, Message
from responses_proto.protocol import as_input
from responses_proto.scripted.demo import run

if TYPE_CHECKING:
    from responses_proto import ResponsesClient
    from responses_proto.models import Item

DOCS = McpTool(
    server_label="gitmcp",
    server_url="https://gitmcp.io/openai/tiktoken",
    allowed_tools=["search_tiktoken_documentation", "fetch_tiktoken_documentation"],
    require_approval="always",  # "never" lets the server call them without asking
)


async def main(client: ResponsesClient, model: str) -> None:
    """Ask a question that the documentation answers, and approve the calls."""
    items: list[Item] = [Message(role="user", content="How does tiktoken work?")]
    while True:
        response = await client.create(model=model, input=items, tools=[DOCS], store=False)
        items += as_input(response.output, client.dialect, stored=False)
        waiting: list[Item] = []
        for item in response.output:
            match item:
                case McpListTools(server_label=label, tools=tools):
                    print(f"{label} offers {', '.join(tool.name for tool in tools)}")
                case McpApprovalRequest(id=request, name=name, arguments=arguments):
                    print(f"approved: {name}({arguments})")
                    waiting.append(McpApprovalResponse(approval_request_id=request, approve=True))
                case McpCall(name=name, output=output):
                    print(f"{name} returned {len(output or '')} characters")
                case _:
                    pass
        if not waiting:
            print(response.output_text)
            return
        items += waiting


if __name__ == "__main__":
    run(main, model="moonshotai/Kimi-K2-Instruct-0905:groq")

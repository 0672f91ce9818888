from typing import Any, Self, TypeAlias

class _Meta(type): ...

class _Model(metaclass=_Meta):
    @classmethod
    def model_validate(cls, obj: Any) -> Self: ...
    def model_dump(
        self, *, by_alias: bool | None = None, mode: str = "python", exclude_unset: bool = False
    ) -> dict[str, Any]: ...

class Implementation(_Model):
    name: str
    def __init__(self, *, name: str, version: str) -> None: ...

class PaginatedRequestParams(_Model):
    cursor: str | None
    def __init__(self, *, cursor: str | None = None) -> None: ...

class ServerCapabilities(_Model):
    tools: ToolsCapability | None

class ToolsCapability(_Model): ...
class ToolListChangedNotification(_Model): ...

class ListToolsResult(_Model):
    next_cursor: str | None

class ListResourcesResult(_Model):
    next_cursor: str | None

class ReadResourceResult(_Model): ...

class CallToolResult(_Model):
    meta: Any

class InputRequiredResult(_Model): ...

class ErrorData(_Model):
    code: int
    message: str
    data: Any
    def __init__(self, *, code: int, message: str, data: Any = None) -> None: ...

class JSONRPCRequest(_Model):
    id: int | str
    method: str
    params: dict[str, Any] | None

class JSONRPCNotification(_Model):
    method: str
    params: dict[str, Any] | None

class JSONRPCResponse(_Model):
    id: int | str
    result: dict[str, Any]
    def __init__(self, *, jsonrpc: str, id: int | str, result: dict[str, Any]) -> None: ...  # noqa: A002 - the wire's name

class JSONRPCError(_Model):
    id: int | str | None
    error: ErrorData
    def __init__(self, *, jsonrpc: str, id: int | str | None, error: ErrorData) -> None: ...  # noqa: A002 - as above

JSONRPCMessage: TypeAlias = JSONRPCRequest | JSONRPCNotification | JSONRPCResponse | JSONRPCError
jsonrpc_message_adapter: Any

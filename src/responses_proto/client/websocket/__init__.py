"""The client's side of a WebSocket connection. ``ResponsesClient.connect()`` opens one; see :class:`session.WebSocketSession`."""

"""The client's side of a WebSocket connection. Open one with ``ResponsesClient.connect()``."""

"""The fake server and the parts it is made of: answers, faults, and its HTTP and WebSocket ends."""

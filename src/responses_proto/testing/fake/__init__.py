"""The fake server of :mod:`responses_proto.testing`, which exports its names.

Its parts are answers, faults, and one end each for HTTP, WebSocket and memory.
"""

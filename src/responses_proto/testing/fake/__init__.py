"""The fake server. Its public names are exported by :mod:`responses_proto.testing`.

It consists of answers, faults, and three server ends: for HTTP, for WebSocket and in memory.
"""

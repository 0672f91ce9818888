"""The part of the library that awaits: transports, the client, the server as an application.

Runs under asyncio and trio alike. Nothing is imported here, so that each part costs only what it needs itself.
"""

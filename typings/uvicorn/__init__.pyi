# The parts of uvicorn (extra `server`) that this project touches. tests/test_stubs.py proves them true.
from uvicorn.config import Config as Config
from uvicorn.server import Server as Server

__all__ = ["Config", "Server"]

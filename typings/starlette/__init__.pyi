# The parts of starlette (extra `server`) that this project touches. tests/test_stubs.py proves them true.

# The parts of starlette (extra `server`) that this project touches. tests/tools/check_stubs.py proves them.

# The parts of rich (extra `cli`) that this project touches. tests/test_stubs.py proves them true.

# The parts of jsonschema (tests only) that this project touches. tests/test_stubs.py proves them true.
from jsonschema.exceptions import ValidationError as ValidationError
from jsonschema.validators import Draft202012Validator as Draft202012Validator

__all__ = ["Draft202012Validator", "ValidationError"]

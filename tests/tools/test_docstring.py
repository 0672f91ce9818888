"""Descriptions of parameters in docstrings of each common style."""

from __future__ import annotations

import pytest

from responses_proto.tools._docstring import read_docstring

GOOGLE = """Tell the weather.

    It is always sunny:
    really.

    Args:
        city: The city
            of the user.

        units (str, optional): Which units: c or f.
        **more: Anything.

    Returns:
        city: The weather.

    Note:
        units: none.

    IMPORTANT: stay calm.
    """

NUMPY = """Tell the weather.

    It is always sunny:
    really.

    Parameters
    ----------
    city : str
        The city
        of the user.
    units : {'c', 'f'}, optional
        Which units: c or f.
    **more
        Anything.

    IMPORTANT: stay calm.

    Returns
    -------
    city
        The weather.
    """

SPHINX = """Tell the weather.

    It is always sunny:
    really.

    :param city: The city
        of the user.
    :param str units: Which units: c or f.
    :type city: str
    :param more: Anything.
    :returns: The weather.
    :raises ValueError: Never.

    IMPORTANT: stay calm.
    """


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        (GOOGLE, "Returns:\n    city: The weather.\n\nNote:\n    units: none.\n\nIMPORTANT: stay calm."),
        (NUMPY, "IMPORTANT: stay calm.\n\nReturns\n-------\ncity\n    The weather."),
        (SPHINX, ":returns: The weather.\n:raises ValueError: Never.\n\nIMPORTANT: stay calm."),
    ],
    ids=["google", "numpy", "sphinx"],
)
def test_parameters_are_read_from_each_docstring_style(text: str, rest: str) -> None:
    description, parameters = read_docstring(text)
    assert description == f"Tell the weather.\n\nIt is always sunny:\nreally.\n\n{rest}"
    assert parameters == {"city": "The city of the user.", "units": "Which units: c or f.", "more": "Anything."}


@pytest.mark.parametrize(
    ("text", "description", "parameters"),
    [
        ("", "", {}),
        ("Just a line.", "Just a line.", {}),
        ("A line.\n\nExample: it works.", "A line.\n\nExample: it works.", {}),
        ("A line.\n\n    Returns:\n        x: y\n    ", "A line.\n\nReturns:\n    x: y", {}),
        ("\n    Args:\n        x: y\n    ", "", {"x": "y"}),
        ("A line.\n\n    Args:\n        x: y\n    :param z: w\n", "A line.", {"x": "y", "z": "w"}),
        (
            "A line.\n\n    Args:\n        no entry\n        x: y\n    And more.\n",
            "A line.\n\nno entry\n\nAnd more.",
            {"x": "y"},
        ),
        ("A line.\n\nParameters\n----------\n", "A line.", {}),
        ("A line.\n\n:param: nothing\n", "A line.", {}),
        ("A line.\n---------\nwith a rule", "A line.\n---------\nwith a rule", {}),
    ],
)
def test_odd_docstrings(text: str, description: str, parameters: dict[str, str]) -> None:
    assert read_docstring(text) == (description, parameters)

"""The version, read by the build and sent as part of the user agent."""

__version__ = "0.2.0"

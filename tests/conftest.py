"""Hypothesis profiles: short and deterministic for `make test`, long and random for `make fuzz`."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# No deadlines: how fast something is, `make bench` says, beside its peers.
_SLOW = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much)
settings.register_profile("test", deadline=None, suppress_health_check=_SLOW, derandomize=True)
settings.register_profile("fuzz", deadline=None, suppress_health_check=_SLOW, max_examples=100_000)
settings.load_profile("test")  # --hypothesis-profile wins over this

"""Settings of the suite: signals, and Hypothesis profiles.

The profiles are short and deterministic for `make test`, long and random for `make fuzz`.
"""

from __future__ import annotations

import signal

from hypothesis import HealthCheck, settings

# No deadlines: `make bench` measures speed.
_SLOW = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much)
settings.register_profile("test", deadline=None, suppress_health_check=_SLOW, derandomize=True)
settings.register_profile("fuzz", deadline=None, suppress_health_check=_SLOW, max_examples=100_000)
settings.load_profile("test")  # --hypothesis-profile wins over this

# A shell starts background jobs with SIGINT ignored, and a process inherits that. The programs under test must receive it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

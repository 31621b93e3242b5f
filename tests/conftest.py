"""Settings of all tests."""

from __future__ import annotations

from hypothesis import settings

# A busy machine is no defect: timings are not assertions.
settings.register_profile("samlet", deadline=None)
settings.load_profile("samlet")

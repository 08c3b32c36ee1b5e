"""Fixed paces of the orchestrator's loops, in seconds. Not settings: changing them changes no behaviour that users see."""

TICK_S = 1.0
"""Membership, health key, generation, due timers: one round of everything that is cheap."""

LOOK_S = 2.0
"""A server that does not answer within this is away."""

REFILL_S = 0.1
"""Refilling while some queue holds tasks back."""

SWEEP_S = 5.0
"""Owed publications, overdue tasks, lost notices."""

TIDY_S = 600.0
CLOCK_S = 30.0
CLAIM_IDLE_MS = 10_000
"""Entries of a replica that is gone are taken over after this long; handling them twice is harmless."""

GAUGES_S = 30.0
TRIM_S = 60.0

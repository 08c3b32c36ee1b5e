"""Serving tasks: the loop that executors and the knowledge service share.

Theory of operation
-------------------
A queue is a stream with one consumer group. An entry is one try of a task (`TaskRequested`) or a request that is
answered on the caller's reply stream. Whoever reads an entry first takes its *claim*, a key that says which entry
stands for this try and who runs it:

| the claim is | then the entry that was read |
|---|---|
| absent | runs; the claim is taken |
| ours or another consumer's, for this entry | runs; the entry changed hands, so the claim is taken over |
| held for another entry | is a duplicate and goes away |
| `done` (of this generation) | was answered a moment ago and goes away |
| `cancelled` | nobody wants it any more: it goes away |

While a task runs its claim and its entry are refreshed; a claim that is somebody else's by then, or `cancelled`,
aborts the task. The result is published first, then the entry goes and the claim stays as `done` for one lease.
A crash anywhere leaves an entry that another consumer takes over after the lease; it says `worker lost` first.
So a try may run twice, its result is applied once, and claims only make the former rare.

`steps` and `claims` hold the decisions and know neither asyncio nor Redis: the simulation drives them too. `queue`
holds the loops around them, `redis_bus` and `store` the real ports, `memory_bus` the ones of tests and simulation.
"""

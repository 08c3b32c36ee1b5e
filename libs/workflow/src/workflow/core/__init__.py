"""The pure core: what an execution is, and how a turn changes it.

Theory of operation
-------------------
An execution is a value (`State`). A *turn* takes the state and the messages that arrived for it and gives the
next state together with the effects the outside world should carry out. Nothing here reads a clock, a socket or
a random source: time arrives in messages, jitter is derived from identifiers. The same state and the same
messages therefore give the same next state and the same effects, on any machine, every time.

Messages arrive at least once and sometimes late. A message about something that is not open any more (an answered
task, a fired timer, a closed child) is normal and changes nothing.

The state is control state only: cursors, tries, which branches are open. Values (inputs, outputs, `$context`)
are `Value`s: small ones live in the state, larger ones are stored once and referenced. A turn that needs a value
which is not loaded, or an expression that must run in a guarded process, stops and says so (`NeedValues`,
`NeedEvaluation`); the host supplies it and calls `resume`.

A turn is bounded: past `Limits.transitions_max` task transitions it stops with work left on the agenda, kept in the
state together with an open `continue` wait.

Where things are: `plan` compiles a definition to `nodes`; `state` is the tree of frames, `snapshot` its stored form;
`turn` is the door, `absorbing` takes messages in, `entering` and `flow` move control, with `immediate`, `calls`,
`loops`, `forks` and `catching` for the kinds of tasks; `recording` writes `history`; `rehearsal` runs whole
executions in virtual time.
"""

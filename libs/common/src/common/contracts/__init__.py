"""Message contracts: everything that travels on a stream, and nothing else.

Who sends what to whom, on which stream, and what answers it:

| Message | From → to | Stream | Answer |
|---|---|---|---|
| `execution.start.v1` | gateway → orchestrator | commands | reply: accepted execution |
| `workflow.register.v1`, `organization.create.v1`, `api-key.create.v1`, `api-key.revoke.v1`, `dead-letter.redrive.v1` | gateway → orchestrator | commands | reply |
| `events.publish.v1` | gateway → orchestrator | commands | reply |
| `functions.register.v1` | executor → orchestrator | commands | reply |
| `execution.cancel.v1`, `execution.suspend.v1`, `execution.resume.v1` | gateway, orchestrator → orchestrator | results | reply when asked for |
| `execution.continue.v1`, `child.closed.v1`, `events.arrived.v1` | orchestrator → orchestrator | results | none: nudges about what PostgreSQL holds |
| `task.requested.v1` | orchestrator → executor, knowledge | tasks | a result |
| `task.succeeded.v1`, `task.failed.v1`, `task.heartbeat.v1`, `task.worker-lost.v1`, `task.claim.v1` | executor, knowledge → orchestrator | results | claim only: reply |
| `collection.create.v1`, `collection.delete.v1`, `documents.add.v1`, `document.delete.v1`, `search.v1` | gateway → knowledge | tasks of `knowledge.*` | reply |
| `reply.v1` | owner → one caller | replies | none |

Every message has a schema, a version in its type, a stable id, the organisation, and `traceparent`. Readers ignore
fields they do not know; a message whose type they do not know is set aside, not dropped.
"""

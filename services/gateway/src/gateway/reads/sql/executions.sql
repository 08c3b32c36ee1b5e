-- name: get_execution
-- One execution, and every live reason why it is not moving, in one round trip.
SELECT e.id, e.workflow_id, e.semver, e.status, e.input_payload, e.output_payload, e.error, e.labels, e.parent_id,
       e.traceparent, e.created_at, e.updated_at, e.started_at, e.finished_at,
       CASE WHEN e.finished_at IS NULL THEN (
           SELECT jsonb_agg(jsonb_build_object(
                      'key', w.key, 'kind', w.kind, 'reference', w.reference, 'openedAt', w.opened_at,
                      'dueAt', w.due_at, 'queue', w.queue, 'published', w.published, 'lost', w.lost,
                      'childId', w.child_id)
                  ORDER BY w.opened_at, w.key)
           FROM workflow.waits AS w
           WHERE w.execution_id = e.id
       ) END AS waits
FROM workflow.workflow_executions AS e
WHERE e.organization_id = $1 AND e.id = $2;

-- name: get_facts
-- What the public events of an execution say about it, and whether more events can follow.
SELECT id, workflow_id, semver, traceparent, status, finished_at IS NOT NULL AS is_finished
FROM workflow.workflow_executions
WHERE organization_id = $1 AND id = $2;

-- name: list_executions
-- Newest first: ids are time-ordered, so one index serves the order and the cursor. Only the filters that are given
-- are in the statement (see `gateway.reads.executions`), because a plan that must suit all of them suits none.
SELECT e.id, e.workflow_id, e.semver, e.status, e.error, e.labels, e.parent_id, e.created_at, e.updated_at,
       e.started_at, e.finished_at
FROM workflow.workflow_executions AS e
WHERE e.organization_id = $1 /* filters */
ORDER BY e.id DESC
LIMIT $2;

-- name: find_idempotency_key
-- Whether a request whose answer never came was accepted after all.
SELECT execution_id, fingerprint
FROM workflow.idempotency
WHERE organization_id = $1 AND route = $2 AND key = $3 AND expires_at > now();

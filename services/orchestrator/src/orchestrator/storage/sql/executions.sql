-- name: load
-- Control state of the unfinished ones among these executions. No locks: the write compares versions.
SELECT state.id, state.organization_id, state.version, state.snapshot,
       execution.workflow_id, execution.workflow_version, execution.semver, execution.traceparent,
       execution.parent_id, execution.parent_key,
       state.version > 0 OR NOT EXISTS (
           SELECT FROM workflow.waits AS wait
           WHERE wait.execution_id = state.id AND wait.kind = 'admission'
       ) AS may_start
FROM workflow.execution_state AS state
JOIN workflow.workflow_executions AS execution ON execution.id = state.id
WHERE state.id = ANY ($1::uuid[]);

-- name: load_values
SELECT payload.id, payload.bytes
FROM unnest($1::uuid[], $2::uuid[]) AS wanted (owner_id, id)
JOIN workflow.payloads AS payload ON payload.owner_id = wanted.owner_id AND payload.id = wanted.id;

-- name: load_input
SELECT input_payload FROM workflow.workflow_executions WHERE id = $1;

-- name: acceptances
-- What these idempotency keys were first used for.
SELECT taken.organization_id, taken.route, taken.key, taken.fingerprint, taken.execution_id
FROM unnest($1::uuid[], $2::text[], $3::text[]) AS asked (organization_id, route, key)
JOIN workflow.idempotency AS taken USING (organization_id, route, key);

-- name: closed
-- How these executions ended; unfinished ones are left out.
SELECT id, organization_id, workflow_id, workflow_version, semver, traceparent, parent_id, parent_key,
       status, output_payload, error
FROM workflow.workflow_executions
WHERE id = ANY ($1::uuid[]) AND finished_at IS NOT NULL;

-- name: children
SELECT wait.execution_id, wait.key, wait.child_id
FROM unnest($1::uuid[], $2::text[]) AS asked (execution_id, key)
JOIN workflow.waits AS wait USING (execution_id, key)
WHERE wait.child_id IS NOT NULL;

-- name: levels_above
-- Executions that wait for this one, one for the other.
WITH RECURSIVE above AS (
    SELECT parent_id AS id, 1 AS level
    FROM workflow.workflow_executions
    WHERE id = $1 AND parent_id IS NOT NULL AND parent_key IS NOT NULL
    UNION ALL
    SELECT execution.parent_id, above.level + 1
    FROM above
    JOIN workflow.workflow_executions AS execution ON execution.id = above.id
    WHERE execution.parent_id IS NOT NULL AND execution.parent_key IS NOT NULL AND above.level < $2::integer
)
SELECT coalesce(max(level), 0) FROM above;

-- name: commit
-- One batch of turns; see migration 0002.
SELECT workflow.commit_batch(
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13,
    $14, $15, $16, $17, $18,
    $19, $20, $21, $22, $23, $24,
    $25, $26, $27, $28, $29,
    $30, $31, $32, $33, $34, $35, $36, $37, $38, $39, $40, $41, $42, $43,
    $44, $45, $46, $47,
    $48, $49, $50, $51,
    $52, $53, $54
);

-- name: commit_with_events
-- The same with a share that concerns events; see migration 0008. The functions are called from left to right.
SELECT workflow.commit_batch(
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13,
    $14, $15, $16, $17, $18,
    $19, $20, $21, $22, $23, $24,
    $25, $26, $27, $28, $29,
    $30, $31, $32, $33, $34, $35, $36, $37, $38, $39, $40, $41, $42, $43,
    $44, $45, $46, $47,
    $48, $49, $50, $51,
    $52, $53, $54
), workflow.commit_events(
    $55, $56, $57, $58, $59,
    $60, $61, $62, $63, $64, $65, $66,
    $67, $68, $69, $70,
    $71, $72, $73
);

-- name: condemn
-- Close an execution that cannot be advanced any more: its messages are kept as dead letters, it faults with the
-- reason, and every obligation of it goes, all in one transaction. Letters are kept even when there is no execution.
WITH letters AS (
    INSERT INTO workflow.dead_letters (id, organization_id, execution_id, stream, reason, detail, entry)
    SELECT letter.id, $5, $1, letter.stream, 'poisoned', letter.detail, letter.entry
    FROM unnest($6::uuid[], $7::text[], $8::text[], $9::bytea[]) AS letter (id, stream, detail, entry)
), gone AS (
    DELETE FROM workflow.execution_state WHERE id = $1
    RETURNING id, organization_id, version
), waits AS (
    DELETE FROM workflow.waits AS wait USING gone WHERE wait.execution_id = gone.id
), listeners AS (
    DELETE FROM workflow.listeners AS listener USING gone WHERE listener.execution_id = gone.id
), deliveries AS (
    DELETE FROM workflow.deliveries AS delivery USING gone WHERE delivery.execution_id = gone.id
), noted AS (
    INSERT INTO workflow.history (execution_id, organization_id, seq_from, seq_to, at, events)
    SELECT id, organization_id, version + 1, version + 1, now(), $2::bytea FROM gone
), owed AS (
    -- Its last public event: a sweep publishes it.
    INSERT INTO workflow.publications (id, body)
    SELECT $4, convert_to(json_build_object(
        'events', json_build_array(json_build_array(id, version + 1, version + 1)),
        'tasks', '[]'::json, 'direct', '[]'::json, 'cancelled', '[]'::json
    )::text, 'UTF8') FROM gone
)
UPDATE workflow.workflow_executions AS execution
SET status = 'faulted', error = $3::jsonb, updated_at = now(), finished_at = now(),
    started_at = coalesce(execution.started_at, now())
FROM gone
WHERE execution.id = gone.id
RETURNING gone.version + 1 AS sequence;

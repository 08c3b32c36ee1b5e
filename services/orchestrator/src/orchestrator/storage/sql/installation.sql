-- name: installation
SELECT partitions, redis_generation FROM workflow.installation;

-- name: settle_generation
-- The loss of Redis up to this generation is dealt with.
UPDATE workflow.installation SET redis_generation = $1, updated_at = now();

-- name: now_ms
SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint;

-- name: by_number
SELECT id, version, semver, config FROM workflow.workflows
WHERE organization_id = $1 AND id = $2 AND version = $3;

-- name: semvers
SELECT version, semver FROM workflow.workflows WHERE organization_id = $1 AND id = $2;

-- name: functions
SELECT name, version, queue, description, input_schema, output_schema, at_most_once FROM workflow.functions;

-- name: concurrency_limits
SELECT id, max_concurrent_executions FROM workflow.organizations WHERE max_concurrent_executions > 0;

-- name: waiting_for_admission
SELECT DISTINCT organization_id FROM workflow.waits WHERE kind = 'admission';

-- name: lock_organization
SELECT pg_advisory_xact_lock(hashtextextended('kwe.admission.' || $1::text, 0));

-- name: admit
-- As many as there is room for, oldest first. Running ones are counted from rows, never from a counter. Children that
-- are waited for hold no slot: their parent does.
WITH room AS (
    SELECT greatest($2::integer - count(*), 0) AS free
    FROM workflow.workflow_executions AS execution
    WHERE execution.organization_id = $1 AND execution.finished_at IS NULL AND execution.parent_key IS NULL
      AND NOT EXISTS (
          SELECT FROM workflow.waits AS wait
          WHERE wait.execution_id = execution.id AND wait.kind = 'admission'
      )
)
UPDATE workflow.waits AS wait
SET kind = 'continue', due_at = now()
FROM (
    SELECT held.execution_id
    FROM workflow.waits AS held
    WHERE held.organization_id = $1 AND held.kind = 'admission'
    ORDER BY held.opened_at, held.execution_id
    LIMIT (SELECT free FROM room)
) AS next
WHERE wait.execution_id = next.execution_id AND wait.kind = 'admission'
RETURNING wait.execution_id;

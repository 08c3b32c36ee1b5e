-- name: owed_publications
-- What some replica committed and did not get to publish. SKIP LOCKED: several sweepers share the work.
SELECT id, body FROM workflow.publications
WHERE created_at < now() - make_interval(secs => $1)
ORDER BY created_at
LIMIT $2
FOR UPDATE SKIP LOCKED;

-- name: delete_publications
DELETE FROM workflow.publications WHERE id = ANY ($1::uuid[]);

-- name: history_of
-- History rows with what is needed to make public events of them.
SELECT history.execution_id, history.seq_from, history.events,
       execution.organization_id, execution.workflow_id, execution.workflow_version, execution.semver,
       execution.traceparent, execution.parent_id, execution.parent_key, execution.id
FROM unnest($1::uuid[], $2::integer[], $3::integer[]) AS owed (execution_id, seq_from, seq_to)
JOIN workflow.history AS history
  ON history.execution_id = owed.execution_id AND history.seq_from BETWEEN owed.seq_from AND owed.seq_to
JOIN workflow.workflow_executions AS execution ON execution.id = owed.execution_id
ORDER BY history.execution_id, history.seq_from;

-- name: recent_history
-- Turns of the last while, page by page, for publishing again after Redis was lost. A page is bounded in bytes, too.
SELECT page.execution_id, page.seq_from, page.events,
       execution.organization_id, execution.workflow_id, execution.workflow_version, execution.semver,
       execution.traceparent, execution.parent_id, execution.parent_key, execution.id
FROM (
    SELECT found.*, sum(octet_length(events)) OVER (ORDER BY execution_id, seq_from) - octet_length(events) AS before
    FROM (
        SELECT execution_id, seq_from, events
        FROM workflow.history
        WHERE at > now() - make_interval(secs => $1) AND (execution_id, seq_from) > ($2, $3)
        ORDER BY execution_id, seq_from
        LIMIT $4
    ) AS found
) AS page
JOIN workflow.workflow_executions AS execution ON execution.id = page.execution_id
WHERE page.before < 1000000
ORDER BY page.execution_id, page.seq_from;

-- name: published_bodies
-- The requests of these tasks, if they are still wanted.
SELECT wait.execution_id, wait.key, wait.queue, wait.body
FROM unnest($1::uuid[], $2::text[]) AS owed (execution_id, key)
JOIN workflow.waits AS wait USING (execution_id, key)
WHERE wait.published AND wait.started_by IS NULL;

-- name: published_tasks
-- Every task that should be in a stream, page by page.
SELECT execution_id, key, queue, body
FROM workflow.waits
WHERE published AND started_by IS NULL AND (execution_id, key) > ($1, $2)
ORDER BY execution_id, key
LIMIT $3;

-- name: take_ready
-- Room in a queue's window, shared round-robin among organisations: first everybody's oldest task, then their second.
-- The cost follows the room and the number of organisations, never the number of tasks that wait: organisations are
-- found by skipping from one to the next in the index `waits_ready`, and only the oldest tasks of each are looked at.
WITH RECURSIVE tenant AS (
    (SELECT organization_id AS id FROM workflow.waits
     WHERE queue = $1 AND published = false ORDER BY organization_id LIMIT 1)
    UNION ALL
    SELECT (SELECT organization_id FROM workflow.waits
            WHERE queue = $1 AND published = false AND organization_id > tenant.id ORDER BY organization_id LIMIT 1)
    FROM tenant WHERE tenant.id IS NOT NULL
), turn AS (
    SELECT oldest.execution_id, oldest.key, oldest.place
    FROM tenant CROSS JOIN LATERAL (
        SELECT ready.*, row_number() OVER (ORDER BY opened_at, execution_id, key) AS place
        FROM (
            SELECT execution_id, key, opened_at FROM workflow.waits
            WHERE queue = $1 AND published = false AND organization_id = tenant.id
            ORDER BY opened_at, execution_id, key
            LIMIT $2
        ) AS ready
    ) AS oldest
    ORDER BY oldest.place, oldest.opened_at
    LIMIT $2
), chosen AS (
    SELECT wait.execution_id, wait.key
    FROM turn JOIN workflow.waits AS wait USING (execution_id, key)
    WHERE wait.published = false
    ORDER BY wait.execution_id, wait.key
    FOR UPDATE OF wait SKIP LOCKED
)
UPDATE workflow.waits AS wait
SET published = true, expected_by = now() + make_interval(secs => $3)
FROM chosen
WHERE wait.execution_id = chosen.execution_id AND wait.key = chosen.key
RETURNING wait.execution_id, wait.key, wait.queue, wait.body;

-- name: ready_queues
SELECT queue, count(*) AS waiting FROM workflow.waits WHERE published = false GROUP BY queue;

-- name: due
-- Timers whose instant has come, in these partitions. A suspended execution keeps them until it is resumed.
SELECT wait.execution_id, wait.organization_id, wait.key, wait.kind,
    extract(epoch FROM now() - wait.due_at)::float8 AS late_s
FROM workflow.waits AS wait
WHERE wait.partition = ANY ($1::smallint[])
  AND wait.due_at <= now() - make_interval(secs => $2)
  AND NOT EXISTS (
      SELECT FROM workflow.waits AS held
      WHERE held.execution_id = wait.execution_id AND held.kind = 'suspended'
  )
ORDER BY wait.due_at
LIMIT $3;

-- name: overdue_tasks
-- Published tasks of which nothing was heard by the time expected. The answer moves the time on, so that replicas
-- take turns and nothing is done twice at once.
WITH late AS (
    SELECT execution_id, key FROM workflow.waits
    WHERE published AND expected_by < now()
    ORDER BY execution_id, key
    LIMIT $1
    FOR UPDATE SKIP LOCKED
)
UPDATE workflow.waits AS wait
SET expected_by = now() + make_interval(secs => $2)
FROM late
WHERE wait.execution_id = late.execution_id AND wait.key = late.key
RETURNING wait.execution_id, wait.organization_id, wait.key, wait.queue, wait.body, wait.started_by,
          (extract(epoch FROM wait.opened_at) * 1000)::bigint AS opened_ms;

-- name: closed_children
-- Children that ended while their parent still waits: the notice was lost.
SELECT wait.execution_id, wait.organization_id, wait.key, wait.child_id
FROM workflow.waits AS wait
JOIN workflow.workflow_executions AS child ON child.id = wait.child_id
WHERE wait.kind = 'child' AND child.finished_at < now() - make_interval(secs => $1)
LIMIT $2;

-- name: missing_children
-- Child waits whose child could not be created: no such workflow.
SELECT wait.execution_id, wait.organization_id, wait.key
FROM workflow.waits AS wait
WHERE wait.kind = 'child' AND wait.opened_at < now() - make_interval(secs => $1)
  AND NOT EXISTS (SELECT FROM workflow.workflow_executions AS child WHERE child.id = wait.child_id)
LIMIT $2;

-- name: abandoned_children
-- Unfinished children of whom no wait speaks any more: their parent ended, or stopped waiting. They are cancelled.
SELECT child.id, child.organization_id
FROM workflow.workflow_executions AS child
WHERE child.parent_id IS NOT NULL AND child.parent_key IS NOT NULL AND child.finished_at IS NULL
  AND child.updated_at < now() - make_interval(secs => $1)
  AND NOT EXISTS (SELECT FROM workflow.waits AS wait WHERE wait.child_id = child.id)
LIMIT $2;

-- name: orphans
-- Promise 5 as a query: unfinished executions with no live reason. Young ones may be between two statements of ours.
SELECT execution.id
FROM workflow.workflow_executions AS execution
WHERE execution.finished_at IS NULL
  AND execution.updated_at < now() - make_interval(secs => $1)
  AND NOT EXISTS (SELECT FROM workflow.waits AS wait WHERE wait.execution_id = execution.id)
LIMIT $2;

-- name: owed_count
SELECT count(*) FROM workflow.publications WHERE created_at < now() - make_interval(secs => $1);

-- name: forget_idempotency
DELETE FROM workflow.idempotency WHERE expires_at < now();

-- name: forget_payloads
-- Bodies that were stored for a request which was never accepted, or whose document was taken over.
DELETE FROM workflow.payloads AS payload
WHERE payload.created_at < now() - interval '1 day'
  AND payload.created_at > now() - interval '8 days'
  AND NOT EXISTS (SELECT FROM workflow.workflow_executions AS owner WHERE owner.id = payload.owner_id);

-- name: forget_events
SELECT workflow.forget_events($1, $2, $3) AS count;

-- name: ensure_partitions
SELECT workflow.ensure_partitions();

-- name: settle_months
-- Reads each month once, when it has become old.
SELECT workflow.settle_months($1);

-- name: drop_expired_table
SELECT workflow.drop_expired_table($1) AS name;

-- name: delete_expired_strays
SELECT workflow.delete_expired_strays($1, $2) AS count;

-- name: delete_expired_letters
SELECT workflow.delete_expired_letters($1, $2) AS count;

-- name: waits_by_kind
SELECT kind, count(*) AS count FROM workflow.waits GROUP BY kind;

-- name: unfinished_count
SELECT count(*) FROM workflow.execution_state;

-- name: connections
-- Of other users one sees little more than that they are there.
SELECT count(*) AS connections, current_setting('max_connections')::int AS connections_max
FROM pg_stat_activity WHERE datid IS NOT NULL AND usesysid IS NOT NULL;

-- name: backed_up_at
SELECT coalesce(extract(epoch FROM backed_up_at), 0)::float8 AS at FROM workflow.installation;

-- name: database_bytes
-- Walks the files of the database, so it is not asked often.
SELECT pg_database_size(current_database()) AS bytes;

-- name: organizations
SELECT id FROM workflow.organizations;

-- name: heartbeats
-- Still at work: put off the moment at which these tasks would be looked after.
UPDATE workflow.waits AS wait
SET expected_by = now() + make_interval(secs => $3)
FROM (
    SELECT held.execution_id, held.key
    FROM unnest($1::uuid[], $2::text[]) AS beat (execution_id, key)
    JOIN workflow.waits AS held USING (execution_id, key)
    WHERE held.published
    ORDER BY held.execution_id, held.key
    FOR UPDATE OF held
) AS beating
WHERE wait.execution_id = beating.execution_id AND wait.key = beating.key;

-- name: worker_lost
-- One more executor died with this try. Counted here, so that a task that kills its workers is found out.
UPDATE workflow.waits SET lost = lost + 1
WHERE execution_id = $1 AND key = $2 AND kind = 'task'
RETURNING lost, started_by;

-- name: grant
-- At most once: the first nonce gets the task, for ever; asking again with it gets the same answer.
UPDATE workflow.waits SET started_by = $3, expected_by = now() + make_interval(secs => $4)
WHERE execution_id = $1 AND key = $2 AND kind = 'task' AND (started_by IS NULL OR started_by = $3)
RETURNING true;

-- name: open_tasks
-- Which of these tries the database waits for.
SELECT wait.execution_id, wait.key
FROM unnest($1::uuid[], $2::text[]) AS told (execution_id, key)
JOIN workflow.waits AS wait USING (execution_id, key)
WHERE wait.kind = 'task';

-- name: stored_payloads
-- Which of these bodies the database has.
SELECT payload.id
FROM unnest($1::uuid[], $2::uuid[]) AS told (owner_id, id)
JOIN workflow.payloads AS payload USING (owner_id, id);

-- name: queues
-- Queues that tasks have been sent to, as far as the database knows.
SELECT queue FROM workflow.functions
UNION
SELECT queue FROM workflow.waits WHERE queue IS NOT NULL;

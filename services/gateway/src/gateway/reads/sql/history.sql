-- name: turns_after
-- Turns with events after sequence $3. A turn may begin before it, so the first row is found by its beginning:
-- only that is in the key. At most $4 turns and about $5 bytes of events, but never none; `found` is without the latter.
SELECT seq_from, events, found
FROM (
    SELECT seq_from, events, count(*) OVER () AS found,
           sum(octet_length(events)) OVER (ORDER BY seq_from) - octet_length(events) AS bytes_before
    FROM (
        SELECT seq_from, events
        FROM workflow.history
        WHERE organization_id = $1 AND execution_id = $2 AND seq_to > $3
          AND seq_from >= coalesce(
              (SELECT max(seq_from) FROM workflow.history WHERE execution_id = $2 AND seq_from <= $3 + 1), 0)
        ORDER BY seq_from
        LIMIT $4
    ) AS turn
) AS page
WHERE bytes_before < $5
ORDER BY seq_from;

-- name: feed_after
-- The organisation's turns from an instant on, in an order that pages can follow: (at, execution, sequence).
SELECT h.execution_id, h.seq_from, h.at, h.events, e.workflow_id, e.semver, e.traceparent
FROM (
    SELECT execution_id, seq_from, at, events
    FROM workflow.history
    WHERE organization_id = $1 AND at >= $2 AND at <= $6 AND (at, execution_id, seq_from) > ($2, $3, $4)
    ORDER BY at, execution_id, seq_from
    LIMIT $5
) AS h
JOIN workflow.workflow_executions AS e ON e.id = h.execution_id
ORDER BY h.at, h.execution_id, h.seq_from;

-- name: feed_clock
-- PostgreSQL's clock: turns carry its time, and nobody else's.
SELECT now() AS now;

-- name: payloads
-- Stored values of one execution.
SELECT id, bytes
FROM workflow.payloads
WHERE organization_id = $1 AND owner_id = $2 AND id = ANY ($3);

-- name: keep
-- In the order given: that is the order of arrival.
WITH kept AS (
    INSERT INTO workflow.events (organization_id, fingerprint, type, raw)
    SELECT event.organization_id, event.fingerprint, event.type, event.raw
    FROM unnest($1::uuid[], $2::bytea[], $3::text[], $4::bytea[]) WITH ORDINALITY
        AS event (organization_id, fingerprint, type, raw, place)
    ORDER BY event.place
    ON CONFLICT DO NOTHING
    RETURNING 1
)
SELECT count(*) FROM kept;

-- name: to_match
SELECT event.number, event.organization_id, event.type, event.raw
FROM unnest($1::uuid[], $2::bytea[]) AS asked (organization_id, fingerprint)
JOIN workflow.events AS event USING (organization_id, fingerprint)
WHERE NOT event.matched
ORDER BY event.number;

-- name: correlations
-- The programs by which listeners of these types correlate: found by skipping from one to the next in the index, however
-- many listeners have the same one.
WITH RECURSIVE asked AS (
    SELECT DISTINCT organization_id, type FROM unnest($1::uuid[], $2::text[]) AS a (organization_id, type)
), program AS (
    SELECT asked.organization_id, asked.type, (
        SELECT min(l.correlation) FROM workflow.listeners AS l
        WHERE l.organization_id = asked.organization_id AND l.type = asked.type AND l.correlation > ''
    ) AS correlation
    FROM asked
    UNION ALL
    SELECT program.organization_id, program.type, (
        SELECT min(l.correlation) FROM workflow.listeners AS l
        WHERE l.organization_id = program.organization_id AND l.type = program.type AND l.correlation > program.correlation
    )
    FROM program WHERE program.correlation IS NOT NULL
)
SELECT organization_id, type, correlation FROM program WHERE correlation IS NOT NULL;

-- name: offer
-- Events (number, and each type and correlation by which it may be found) to listeners. An unknown value fits any.
WITH fitting AS (
    SELECT listener.execution_id, listener.listener, event.number, listener.key, listener.organization_id
    FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[]) AS sought (number, type, correlation, value)
    JOIN workflow.events AS event ON event.number = sought.number
    JOIN workflow.listeners AS listener
      ON listener.organization_id = event.organization_id AND listener.type = sought.type
     AND listener.correlation = sought.correlation AND listener.expected = sought.value
    WHERE event.received_at >= listener.since
    UNION
    SELECT listener.execution_id, listener.listener, event.number, listener.key, listener.organization_id
    FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[]) AS sought (number, type, correlation, value)
    JOIN workflow.events AS event ON event.number = sought.number
    JOIN workflow.listeners AS listener
      ON listener.organization_id = event.organization_id AND listener.type = sought.type
     AND listener.correlation = sought.correlation
    WHERE sought.value IS NULL AND event.received_at >= listener.since
)
INSERT INTO workflow.deliveries AS delivery (execution_id, listener, number, key, organization_id)
SELECT DISTINCT ON (execution_id, listener, number) execution_id, listener, number, key, organization_id
FROM fitting
ORDER BY execution_id, listener, number
ON CONFLICT (execution_id, listener, number) DO UPDATE SET key = excluded.key, state = 'open', offered_at = now()
WHERE delivery.state <> 'consumed' AND delivery.key <> excluded.key
RETURNING delivery.organization_id, delivery.execution_id;

-- name: mark_matched
UPDATE workflow.events SET matched = true WHERE number = ANY ($1::bigint[]);

-- name: look
-- Stored events for listeners that have just begun.
WITH beginning AS (
    SELECT listener.*
    FROM unnest($1::uuid[], $2::text[]) AS asked (execution_id, key)
    JOIN workflow.listeners AS listener USING (execution_id, key)
), fitting AS (
    SELECT listener.execution_id, listener.listener, event.number, listener.key, listener.organization_id
    FROM beginning AS listener
    JOIN workflow.events AS event
      ON event.organization_id = listener.organization_id AND event.type = listener.type
     AND event.received_at >= listener.since
    WHERE listener.type <> ''
    UNION
    SELECT listener.execution_id, listener.listener, event.number, listener.key, listener.organization_id
    FROM beginning AS listener
    JOIN workflow.events AS event
      ON event.organization_id = listener.organization_id AND event.received_at >= listener.since
    WHERE listener.type = ''
)
INSERT INTO workflow.deliveries AS delivery (execution_id, listener, number, key, organization_id)
SELECT execution_id, listener, number, key, organization_id
FROM fitting
ORDER BY execution_id, listener, number
ON CONFLICT (execution_id, listener, number) DO UPDATE SET key = excluded.key, state = 'open', offered_at = now()
WHERE delivery.state <> 'consumed' AND delivery.key <> excluded.key
RETURNING delivery.organization_id, delivery.execution_id;

-- name: mark_looked
UPDATE workflow.listeners AS listener SET looked = true
FROM unnest($1::uuid[], $2::text[]) AS asked (execution_id, key)
WHERE listener.execution_id = asked.execution_id AND listener.key = asked.key;

-- name: arrivals
SELECT open.execution_id, open.key, open.number, event.raw
FROM unnest($1::uuid[]) AS asked (execution_id)
CROSS JOIN LATERAL (
    SELECT delivery.execution_id, delivery.key, delivery.number FROM workflow.deliveries AS delivery
    WHERE delivery.execution_id = asked.execution_id AND delivery.state = 'open'
    ORDER BY delivery.number
    LIMIT $2
) AS open
JOIN workflow.events AS event ON event.number = open.number
ORDER BY open.execution_id, open.number;

-- name: offered
SELECT DISTINCT organization_id, execution_id FROM workflow.deliveries
WHERE execution_id = ANY ($1::uuid[]) AND state = 'open';

-- name: unmatched
SELECT organization_id, fingerprint FROM workflow.events
WHERE NOT matched AND received_at < now() - make_interval(secs => $1)
ORDER BY received_at
LIMIT $2;

-- name: unlooked
SELECT execution_id, key FROM workflow.listeners
WHERE NOT looked AND opened_at < now() - make_interval(secs => $1)
ORDER BY opened_at
LIMIT $2;

-- name: unanswered
-- The answer moves the time on, so that replicas take turns. A suspended execution answers when it is resumed.
WITH late AS (
    SELECT delivery.execution_id, delivery.listener, delivery.number
    FROM workflow.deliveries AS delivery
    WHERE delivery.state = 'open' AND delivery.offered_at < now() - make_interval(secs => $1)
      AND EXISTS (SELECT FROM workflow.listeners AS listener
                  WHERE listener.execution_id = delivery.execution_id AND listener.key = delivery.key)
      AND NOT EXISTS (SELECT FROM workflow.waits AS held
                      WHERE held.execution_id = delivery.execution_id AND held.kind = 'suspended')
    ORDER BY delivery.offered_at
    LIMIT $2
    FOR UPDATE OF delivery SKIP LOCKED
), moved AS (
    UPDATE workflow.deliveries AS delivery SET offered_at = now()
    FROM late
    WHERE delivery.execution_id = late.execution_id AND delivery.listener = late.listener
      AND delivery.number = late.number
    RETURNING delivery.organization_id, delivery.execution_id
)
SELECT DISTINCT organization_id, execution_id FROM moved;

-- name: body
SELECT bytes FROM workflow.payloads WHERE owner_id = $1 AND id = $2 AND organization_id = $3;

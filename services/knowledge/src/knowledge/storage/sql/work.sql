-- The work of ingestion: who may do it, how far it is, how it ended.

-- name: backlog
-- From the partial index alone.
SELECT count(*) AS unfinished, coalesce(extract(epoch FROM now() - min(updated_at)), 0)::float8 AS waiting_s
FROM knowledge.documents WHERE status NOT IN ('ready', 'failed');

-- name: collections_with_work
-- A few collections that have something due, at random, so that one tenant's import does not stand before
-- everybody's. The recursion hops over the partial index from collection to collection.
WITH RECURSIVE unfinished AS (
    (SELECT collection_id
     FROM knowledge.documents
     WHERE status NOT IN ('ready', 'failed')
     ORDER BY collection_id
     LIMIT 1)
    UNION ALL
    SELECT (SELECT d.collection_id
            FROM knowledge.documents d
            WHERE d.status NOT IN ('ready', 'failed')
              AND d.collection_id > u.collection_id
            ORDER BY d.collection_id
            LIMIT 1)
    FROM unfinished u
    WHERE u.collection_id IS NOT NULL
)
SELECT collection_id
FROM unfinished
WHERE collection_id IS NOT NULL
ORDER BY random()
LIMIT 8;

-- name: claim
-- Take the documents of one collection that nobody is working on. `attempts` counts before the work begins, so
-- that a document that kills its worker is given up too.
WITH due AS (
    SELECT organization_id, collection_id, id
    FROM knowledge.documents
    WHERE collection_id = $1
      AND status NOT IN ('ready', 'failed')
      AND (claimed_until IS NULL OR claimed_until < now())
      AND (retry_at IS NULL OR retry_at <= now())
    ORDER BY updated_at, id
    LIMIT $2
    FOR UPDATE SKIP LOCKED
), taken AS (
    UPDATE knowledge.documents d
    SET claim         = $3,
        claimed_until = now() + $4::interval,
        attempts      = attempts + 1,
        status        = CASE WHEN d.status = 'pending' THEN 'parsing' ELSE d.status END,
        updated_at    = now()
    FROM due
    WHERE d.organization_id = due.organization_id
      AND d.collection_id = due.collection_id
      AND d.id = due.id
    RETURNING d.organization_id, d.collection_id, d.id, d.version, d.status, d.attempts
)
SELECT t.id, t.version, t.status, t.attempts, r.id AS revision_id, octet_length(r.body) AS bytes
FROM taken t
JOIN knowledge.revisions r
    ON r.collection_id = t.collection_id AND r.document_id = t.id AND r.version = t.version
ORDER BY t.id;

-- name: sources
SELECT id AS revision_id, title, media_type, body
FROM knowledge.revisions
WHERE id = ANY ($1::bigint[]);

-- name: lock_claimed
-- Which of the documents are still ours. Locked in order, so that whoever replaces them meanwhile waits.
SELECT id
FROM knowledge.documents
WHERE organization_id = $1
  AND collection_id = $2
  AND id = ANY ($3::text[])
  AND claim = $4
ORDER BY id
FOR UPDATE;

-- name: set_stage
UPDATE knowledge.documents
SET status        = $4,
    claimed_until = now() + $5::interval,
    updated_at    = now()
WHERE organization_id = $1
  AND collection_id = $2
  AND id = ANY ($3::text[]);

-- name: record_progress
UPDATE knowledge.documents d
SET chunks   = u.total,
    progress = u.progress
FROM unnest($3::text[], $4::integer[], $5::real[]) AS u (id, total, progress)
WHERE d.organization_id = $1
  AND d.collection_id = $2
  AND d.id = u.id;

-- name: finish
UPDATE knowledge.documents
SET status        = 'ready',
    progress      = 1,
    error         = NULL,
    claim         = NULL,
    claimed_until = NULL,
    retry_at      = NULL,
    attempts      = 0,
    updated_at    = now()
WHERE organization_id = $1
  AND collection_id = $2
  AND id = ANY ($3::text[]);

-- name: fail
UPDATE knowledge.documents
SET status        = 'failed',
    error         = $5,
    claim         = NULL,
    claimed_until = NULL,
    retry_at      = NULL,
    updated_at    = now()
WHERE organization_id = $1
  AND collection_id = $2
  AND id = $3
  AND claim = $4;

-- name: retry_later
-- The stage stays; the reason is shown while it waits.
UPDATE knowledge.documents
SET error         = $5,
    claim         = NULL,
    claimed_until = NULL,
    retry_at      = now() + $6::interval,
    updated_at    = now()
WHERE organization_id = $1
  AND collection_id = $2
  AND id = $3
  AND claim = $4;

-- name: release
-- A worker that stops in good order gives back what it holds, and the attempt with it.
UPDATE knowledge.documents
SET claim         = NULL,
    claimed_until = NULL,
    attempts      = greatest(attempts - 1, 0)
WHERE organization_id = $1
  AND collection_id = $2
  AND id = ANY ($3::text[])
  AND claim = $4;

-- Vectors of the pgvector store.

-- name: put
INSERT INTO knowledge.embeddings (organization_id, index_version_id, ordinal, embedding)
SELECT $1, $2, u.ordinal, u.embedding::halfvec
FROM unnest($3::integer[], $4::text[]) AS u (ordinal, embedding)
ON CONFLICT (index_version_id, ordinal) DO UPDATE
SET embedding = excluded.embedding;

-- name: copy
INSERT INTO knowledge.embeddings (organization_id, index_version_id, ordinal, embedding)
SELECT $1, $2, u.target, e.embedding
FROM unnest($3::integer[], $4::integer[]) AS u (target, source)
JOIN knowledge.embeddings e ON e.index_version_id = $2 AND e.ordinal = u.source
ON CONFLICT (index_version_id, ordinal) DO UPDATE
SET embedding = excluded.embedding;

-- name: nearest
-- Distances first, in a CTE of their own: no index can then come between, and only numbers are carried on.
-- Chunks that are not live yet are few, and have an index of their own; those that are gone took their vectors along.
WITH candidates AS MATERIALIZED (
    SELECT e.ordinal, e.embedding <#> $2::text::halfvec AS distance
    FROM knowledge.embeddings e
    WHERE e.index_version_id = $1
      AND e.ordinal NOT IN (
          SELECT c.ordinal
          FROM knowledge.chunks c
          WHERE c.index_version_id = $1
            AND NOT c.live)
      {condition}
)
SELECT ordinal, -distance AS similarity
FROM candidates
ORDER BY distance, ordinal
LIMIT $3;

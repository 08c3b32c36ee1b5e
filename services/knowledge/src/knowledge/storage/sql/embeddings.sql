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
WITH candidates AS MATERIALIZED (
    SELECT e.ordinal, e.embedding
    FROM knowledge.embeddings e
    JOIN knowledge.chunks c ON c.index_version_id = e.index_version_id AND c.ordinal = e.ordinal
    WHERE e.index_version_id = $1
      AND c.index_version_id = $1
      AND c.live
      {condition}
)
SELECT ordinal, -(embedding <#> $2::text::halfvec) AS similarity
FROM candidates
ORDER BY embedding <#> $2::text::halfvec, ordinal
LIMIT $3;

-- Chunks on their way to being live.

-- name: discard
-- What an earlier attempt cut and did not finish.
DELETE FROM knowledge.chunks
WHERE index_version_id = $1
  AND revision_id = ANY ($2::bigint[])
  AND NOT live;

-- name: insert
INSERT INTO knowledge.chunks (
    organization_id, index_version_id, ordinal, revision_id, position, start_offset, end_offset, context, text, text_hash)
SELECT $1, $2, u.ordinal, u.revision_id, u.position, u.start_offset, u.end_offset, u.context, u.text, u.text_hash
FROM unnest($3::integer[], $4::bigint[], $5::integer[], $6::integer[], $7::integer[], $8::text[], $9::text[], $10::bytea[])
    AS u (ordinal, revision_id, position, start_offset, end_offset, context, text, text_hash);

-- name: unembedded
SELECT c.ordinal, c.context, c.text, c.text_hash
FROM knowledge.chunks c
WHERE c.index_version_id = $1
  AND c.revision_id = ANY ($2::bigint[])
  AND NOT c.embedded
ORDER BY c.ordinal
LIMIT $3;

-- name: embedded_already
-- One chunk with a vector for each of the texts that has one.
SELECT DISTINCT ON (text_hash) text_hash, ordinal
FROM knowledge.chunks
WHERE index_version_id = $1
  AND text_hash = ANY ($2::bytea[])
  AND embedded
ORDER BY text_hash, ordinal;

-- name: mark_embedded
UPDATE knowledge.chunks
SET embedded = true
WHERE index_version_id = $1
  AND ordinal = ANY ($2::integer[]);

-- name: progress
SELECT revision_id, count(*)::integer AS chunks, (count(*) FILTER (WHERE embedded))::integer AS embedded
FROM knowledge.chunks
WHERE index_version_id = $1
  AND revision_id = ANY ($2::bigint[])
GROUP BY revision_id;

-- name: contents
SELECT ordinal, context, text
FROM knowledge.chunks
WHERE index_version_id = $1
  AND revision_id = ANY ($2::bigint[])
ORDER BY ordinal;

-- name: passages
-- What an answer shows of a chunk.
SELECT c.ordinal, c.position, c.start_offset, c.end_offset, c.context, c.text,
       r.document_id, r.version, r.title, r.metadata::text AS metadata
FROM knowledge.chunks c
JOIN knowledge.revisions r ON r.id = c.revision_id
WHERE c.index_version_id = $1
  AND c.ordinal = ANY ($2::integer[]);

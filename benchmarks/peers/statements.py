"""The SQL of the bare peer: what each request comes to, in one statement."""

_IS_KEPT = """deleted_at IS NULL AND status <> 'deleted'
    AND (retain_until IS NULL OR retain_until > now() OR legal_hold)"""

_APPEND = f"""
WITH head AS (
    UPDATE conversations
    SET last_seq = last_seq + 1, version = version + 1, message_count = message_count + 1,
        token_count = token_count + coalesce($7, 0),
        tool_call_count = tool_call_count + json_array_length($8),
        preview = coalesce(left($5, 200), preview),
        last_activity_at = greatest(last_activity_at, $3)
    WHERE id = $1 AND status = 'active' AND {_IS_KEPT}
    RETURNING last_seq, language
), message AS (
    INSERT INTO messages (id, conversation_id, seq, role, text, model, token_count, language,
                          created_at)
    SELECT $2, $1, head.last_seq, $4, $5, $6, $7, head.language, $3 FROM head
), calls AS (
    INSERT INTO tool_calls (id, conversation_id, message_id, index, call_id, name, arguments,
                            created_at, updated_at)
    SELECT c.id, $1, $2, c.index, c.call_id, c.name, c.arguments, $3, $3
    FROM head, json_to_recordset($8) AS c (id uuid, index smallint, call_id text, name text,
                                           arguments jsonb)
)"""
# Gives the position; no row if there is no such conversation to append to.
APPEND = _APPEND + "SELECT last_seq, true AS is_new FROM head"
# The same, and keeps what is answered: the bytes $11, the position, and the bytes $12. Whoever
# comes second with a digest waits at its index for the first, and finds that it isn't new.
APPEND_ONCE = f"""{_APPEND}, kept AS (
    INSERT INTO answered_requests AS a
        (digest, fingerprint, status, body, conversation_id, created_at)
    SELECT $9, $10, 201, $11::bytea || convert_to(last_seq::text, 'UTF8') || $12::bytea, $1, $3
    FROM head
    ON CONFLICT (digest) DO UPDATE
    SET fingerprint = excluded.fingerprint, status = excluded.status, body = excluded.body,
        conversation_id = excluded.conversation_id, created_at = excluded.created_at
    WHERE a.created_at < $13
    RETURNING true
)
SELECT last_seq, EXISTS (SELECT FROM kept) AS is_new FROM head"""
FIND_ANSWER = """
SELECT fingerprint, status, body FROM answered_requests WHERE digest = $1 AND created_at >= $2"""

PAGE = f"""
SELECT m.id, m.seq, m.role, m.kind, m.status, m.content, m.text, m.call_id, m.external_id, m.model,
       m.token_count, m.input_tokens, m.output_tokens, m.cached_tokens, m.reasoning_tokens, m.cost,
       m.created_at,
       (SELECT json_agg(json_build_object(
            'id', 'call_' || replace(t.id::text, '-', ''), 'call_id', t.call_id, 'name', t.name,
            'arguments', t.arguments, 'status', t.status, 'error', t.error,
            'attempts', t.attempts, 'deadline', to_char(t.deadline AT TIME ZONE 'UTC', $3),
            'decided_by', t.decided_by,
            'decided_at', to_char(t.decided_at AT TIME ZONE 'UTC', $3), 'reason', t.reason,
            'output_message_id', 'msg_' || replace(t.output_message_id::text, '-', ''),
            'created_at', to_char(t.created_at AT TIME ZONE 'UTC', $3),
            'updated_at', to_char(t.updated_at AT TIME ZONE 'UTC', $3))
            ORDER BY t.index)
        FROM tool_calls t WHERE t.message_id = m.id AND t.deleted_at IS NULL) AS tool_calls
FROM (SELECT id FROM conversations WHERE id = $1 AND {_IS_KEPT}) c LEFT JOIN LATERAL (
    SELECT * FROM messages WHERE conversation_id = $1 AND seq > 0 AND deleted_at IS NULL
    ORDER BY seq LIMIT $2
) m ON true
ORDER BY m.seq
"""
MOMENT = 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'

LIST = f"""
SELECT id, user_id, agent_id, title, language, status, metadata, retain_until, legal_hold,
       parent_id, fork_seq, preview, last_seq, read_seq, version, message_count, tool_call_count,
       token_count, input_tokens, output_tokens, cached_tokens, reasoning_tokens, cost, created_at,
       updated_at, last_activity_at
FROM conversations WHERE {_IS_KEPT}
ORDER BY last_activity_at DESC, id DESC LIMIT $1
"""

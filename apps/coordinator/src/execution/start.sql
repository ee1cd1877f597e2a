-- The node has executed a tool: its run is `running` and its effective time counts. Takes the session's lock before the
-- run's, like everything else that changes both. Said twice, or after the receipt, it changes nothing.
--
-- returns {session, sequence}, or null when nothing changed
create or replace function execution_start(run text, provider text) returns jsonb
language plpgsql as $$
declare
  s sessions%rowtype;
  e executions%rowtype;
begin
  select sessions.* into s from sessions
    where id = (select session_id from executions where id = run) and provider_id = provider for update;
  if not found then
    return null;
  end if;
  update executions set status = 'running', started_at = clock_timestamp() where id = run and status = 'pending'
    returning * into e;
  if not found then
    return null;
  end if;
  update sessions set last_event = last_event + 1 where id = s.id;
  insert into events (session_id, sequence, type, data) values (s.id, s.last_event + 1, 'execution.started',
    jsonb_build_object('executionId', e.id, 'tool', e.tool, 'deadlineMs', e.deadline_ms));
  return jsonb_build_object('session', s.id, 'sequence', s.last_event + 1);
end $$;

-- Ends the lease of runs whose node never came back: `lost`, charged nothing, hold released. Judged by the database's
-- clock. A receipt that comes later is still recorded, as far as there is cover for it.
--
-- returns [{session, execution, sequence, drained}]
create or replace function execution_expire(max_items int) returns jsonb
language plpgsql as $$
declare
  e record;
  s sessions%rowtype;
  answers jsonb := '[]'::jsonb;
begin
  for e in
    select id, session_id, hold_micros from executions
      where hold_status = 'open' and lease_until < clock_timestamp()
      order by session_id, id limit max_items
  loop
    select * into s from sessions where id = e.session_id for update;
    update executions set status = 'failed', reason = 'lost', hold_status = 'expired', ended_at = clock_timestamp()
      where id = e.id and hold_status = 'open';
    continue when not found;
    update sessions set held_micros = held_micros - e.hold_micros, open_executions = open_executions - 1,
      last_event = last_event + 1 where id = s.id;
    insert into events (session_id, sequence, type, data) values (s.id, s.last_event + 1, 'execution.failed',
      jsonb_build_object('executionId', e.id, 'reason', 'lost', 'costMicros', '0',
        'heldMicros', (s.held_micros - e.hold_micros)::text));
    answers := answers || jsonb_build_object('session', s.id, 'execution', e.id, 'sequence', s.last_event + 1,
      'drained', s.status = 'ending' and s.open_executions - 1 = 0);
  end loop;
  return answers;
end $$;

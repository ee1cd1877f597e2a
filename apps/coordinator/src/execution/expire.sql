-- Ends the lease of runs whose node never came back: `lost`, charged nothing, hold released. Judged by the database's
-- clock. A receipt that comes later is still recorded, as far as there is cover for it.
--
-- No index knows which leases are over: it would have to be changed by every run that ends. A session says instead
-- before when none of its leases ends, and its runs are looked at when that time has come.
--
-- max_sessions: looked at in one call
-- returns {looked, runs: [{session, execution, sequence, drained}]}; `looked` counts sessions
create or replace function execution_expire(max_sessions int) returns jsonb
language plpgsql as $$
declare
  candidate text;
  s sessions%rowtype;
  e record;
  looked int := 0;
  runs jsonb := '[]'::jsonb;
begin
  for candidate in
    select id from sessions
      where (status in ('active', 'ending', 'completed') or status = 'failed' and ended_at > clock_timestamp() - interval '30 days')
        and open_executions > 0 and leases_from < clock_timestamp()
      order by id limit max_sessions
  loop
    looked := looked + 1;
    select * into s from sessions where id = candidate for update;
    for e in
      select id, hold_micros from executions
        where session_id = s.id and hold_status = 'open' and lease_until < clock_timestamp()
        order by id
    loop
      update executions set status = 'failed', reason = 'lost', hold_status = 'expired', ended_at = clock_timestamp()
        where id = e.id;
      s.held_micros := s.held_micros - e.hold_micros;
      s.open_executions := s.open_executions - 1;
      s.last_event := s.last_event + 1;
      insert into events (session_id, sequence, type, data) values (s.id, s.last_event, 'execution.failed',
        jsonb_build_object('executionId', e.id, 'reason', 'lost', 'costMicros', '0', 'heldMicros', s.held_micros::text));
      runs := runs || jsonb_build_object('session', s.id, 'execution', e.id, 'sequence', s.last_event,
        'drained', s.status = 'ending' and s.open_executions = 0);
    end loop;
    update sessions set held_micros = s.held_micros, open_executions = s.open_executions, last_event = s.last_event,
        leases_from = coalesce(
          (select min(lease_until) from executions where session_id = s.id and hold_status = 'open'), clock_timestamp())
      where id = s.id;
  end loop;
  return jsonb_build_object('looked', looked, 'runs', runs);
end $$;

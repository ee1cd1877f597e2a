-- Raises the grant of a run by its session's step, if what is authorised covers it, or asks the agent for the voucher
-- that would. Takes the session's lock before the run's, like everything else that changes both: a micro-USDC of a
-- voucher is held for one run only.
--
-- known_ms: the deadline that the node runs under. A node that has not heard of the present grant is told of it again,
--   and not of a further one.
-- used_ms: how long the run has gone on; before half of its grant nothing happens. Null: that is known already.
-- returns {session, provider, hold, deadlineMs, beforeMs, voucher, voucherSignature, sequence}; `sequence` is null unless an event
--   was written; null when the run is not this provider's, has one grant, or may have no more
create or replace function execution_extend(run text, owner text, known_ms bigint, used_ms bigint) returns jsonb
language plpgsql as $$
declare
  s sessions%rowtype;
  e executions%rowtype;
  raised bigint;
  later bigint;
  before bigint;
  required bigint;
  sequence int;
begin
  select sessions.* into s from sessions where id = (select session_id from executions where id = run) for update;
  if not found or s.provider_id <> owner then
    return null;
  end if;
  select * into e from executions where id = run;
  if e.most_micros is null or e.hold_status <> 'open' or e.dispute is not null or e.cancel_requested_at is not null
     or s.status <> 'active' or s.channel_status <> 'open' then
    return null;
  end if;

  before := coalesce((e.earlier_grants -> -1 ->> 1)::bigint, 0);
  raised := least(e.hold_micros::numeric + s.step_micros, e.most_micros,
    e.hold_micros + s.budget_micros - s.spent_micros - s.held_micros);
  later := least(div(raised::numeric * 60000, s.rate_micros_per_minute), (e.limits ->> 'timeMs')::bigint);
  required := s.spent_micros + s.held_micros + raised - e.hold_micros;
  if e.deadline_ms > known_ms or later <= e.deadline_ms
     or used_ms * 2 < before + e.deadline_ms then
    null;
  elsif s.authorised_micros >= required then
    sequence := s.last_event + 1;
    update executions set hold_micros = raised, deadline_ms = later, requested_micros = null,
        earlier_grants = earlier_grants || jsonb_build_array(jsonb_build_array(e.hold_micros::text, e.deadline_ms)),
        voucher_micros = s.authorised_micros, voucher_signature = s.voucher_signature,
        lease_until = lease_until + make_interval(secs => (later - e.deadline_ms) / 1000.0)
      where id = run returning * into e;
    update sessions set held_micros = required - spent_micros, last_event = sequence where id = s.id;
    insert into events (session_id, sequence, type, data) values (s.id, sequence, 'execution.extended',
      jsonb_build_object('executionId', run, 'holdMicros', raised::text, 'deadlineMs', later,
        'heldMicros', (required - s.spent_micros)::text, 'consumedMicros', s.spent_micros::text));
  elsif e.requested_micros is distinct from required then
    sequence := s.last_event + 1;
    update executions set requested_micros = required where id = run;
    update sessions set last_event = sequence where id = s.id;
    insert into events (session_id, sequence, type, data) values (s.id, sequence, 'voucher.requested',
      jsonb_build_object('executionId', run, 'requiredCumulativeMicros', required::text, 'holdMicros', raised::text,
        'deadlineMs', later));
  end if;
  return jsonb_build_object('session', s.id, 'provider', s.provider_id, 'hold', e.hold_micros::text,
    'deadlineMs', e.deadline_ms, 'beforeMs', coalesce((e.earlier_grants -> -1 ->> 1)::bigint, 0),
    'voucher', e.voucher_micros::text, 'voucherSignature', e.voucher_signature, 'sequence', sequence);
end $$;

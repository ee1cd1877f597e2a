-- Records receipts, captures their cost and releases the rest of their holds, a batch at a time. The caller has
-- verified each signature; what is decided here needs the rows: does the receipt belong to this run, is it the next
-- of its chain, can its time be true, and is there cover for its cost.
--
-- items: [{execution, session, provider, channel, sequence, previous, hash, jws, countersignature, tool, manifest, grant, rate, hold,
--          deadlineMs, status, reason?, cost, cumulative, effectiveMs, cpuMs, maxRss, exitCode, startedAt, endedAt,
--          observedMs?, toleranceMs, tolerancePerMille}], amounts as decimal strings
-- returns, in the same order: [{outcome: accepted | replayed | refused | disputed, code?, detail?, countersignature?,
--          session, sequence?, drained?}]
create or replace function receipt_record(items jsonb) returns jsonb
language plpgsql as $$
declare
  item jsonb;
  s sessions%rowtype;
  e executions%rowtype;
  known receipts%rowtype;
  answers jsonb := '[]'::jsonb;
  cost bigint;
  released bigint;
  observed numeric;
  code text;
  detail text;
  transfer bigint;
  next_status text;
  drained boolean;
begin
  perform 1 from sessions
    where id in (select value ->> 'session' from jsonb_array_elements(items))
    order by id for update;

  for item in select value from jsonb_array_elements(items) loop
    select * into known from receipts where execution_id = item ->> 'execution';
    if found then
      answers := answers || case when known.hash = item ->> 'hash'
        then jsonb_build_object('outcome', 'replayed', 'countersignature', known.countersignature, 'session', known.session_id)
        else jsonb_build_object('outcome', 'refused', 'code', 'receipt_replayed', 'session', known.session_id,
          'detail', 'another receipt of this run was recorded') end;
      continue;
    end if;

    select * into s from sessions where id = item ->> 'session';
    select * into e from executions where id = item ->> 'execution' and session_id = item ->> 'session';
    code := null;
    detail := '';
    cost := (item ->> 'cost')::bigint;
    if s.id is null or e.id is null then
      code := 'receipt_mismatch';
      detail := 'there is no such run in this session';
    elsif s.provider_id <> item ->> 'provider' then
      -- Its signature is right, but for another node: whoever knows a dispatch could otherwise bill for it.
      code := 'receipt_mismatch';
      detail := 'the run was sent to another provider';
    elsif e.tool <> item ->> 'tool' or e.manifest_hash <> item ->> 'manifest' or e.grant_number <> (item ->> 'grant')::int
       or e.hold_micros <> (item ->> 'hold')::bigint or e.deadline_ms <> (item ->> 'deadlineMs')::int
       or s.rate_micros_per_minute <> (item ->> 'rate')::bigint or s.channel_id is distinct from item ->> 'channel' then
      code := 'receipt_mismatch';
      detail := 'tool, grant, hold, deadline, rate or channel differ from the dispatch';
    elsif exists (select 1 from disputes where execution_id = e.id) then
      code := 'receipt_disputed';
      detail := 'a receipt of this run is in dispute';
    elsif s.receipt_sequence + 1 <> (item ->> 'sequence')::int or s.receipt_head <> item ->> 'previous' then
      code := 'receipt_out_of_order';
      detail := 'the next receipt of the session is number ' || (s.receipt_sequence + 1);
    elsif s.spent_micros + cost <> (item ->> 'cumulative')::bigint then
      code := 'receipt_mismatch';
      detail := 'the cumulative amount is not the sum so far';
    end if;
    if code is not null then
      answers := answers || jsonb_build_object('outcome', 'refused', 'code', code, 'detail', detail, 'session', item ->> 'session');
      continue;
    end if;

    -- The caller's own clock from dispatch to receipt; after a restart only the row remembers when it began.
    observed := coalesce((item ->> 'observedMs')::numeric, extract(epoch from clock_timestamp() - e.created_at) * 1000);
    released := case when e.hold_status = 'open' then e.hold_micros else 0 end;
    if (item ->> 'effectiveMs')::numeric
       > observed + (item ->> 'toleranceMs')::numeric + observed * (item ->> 'tolerancePerMille')::numeric / 1000 then
      code := 'implausible_duration';
      detail := format('%s ms were reported, %s ms were observed', item ->> 'effectiveMs', round(observed));
    elsif s.spent_micros + s.held_micros - released + cost > least(s.budget_micros, s.authorised_micros) then
      code := 'uncovered';
      detail := 'the hold had expired and what is left does not cover the cost';
    end if;
    if code is not null then
      insert into disputes (execution_id, session_id, code, detail, jws) values (e.id, s.id, code, detail, item ->> 'jws');
      update executions set dispute = jsonb_build_object('code', code, 'detail', detail) where id = e.id;
      update sessions set last_event = last_event + 1 where id = s.id;
      insert into events (session_id, sequence, type, data) values (s.id, s.last_event + 1, 'execution.disputed',
        jsonb_build_object('executionId', e.id, 'code', code, 'detail', detail));
      answers := answers || jsonb_build_object('outcome', 'disputed', 'code', code, 'detail', detail, 'session', s.id,
        'sequence', s.last_event + 1);
      continue;
    end if;

    insert into receipts (execution_id, session_id, sequence, hash, jws, countersignature, cost_micros, cumulative_micros)
      values (e.id, s.id, (item ->> 'sequence')::int, item ->> 'hash', item ->> 'jws', item ->> 'countersignature', cost,
        (item ->> 'cumulative')::bigint);
    if cost > 0 then
      insert into ledger_transfers (kind, reference, session_id) values ('capture', e.id, s.id) returning id into transfer;
      insert into ledger_entries (transfer_id, account, amount_micros) values
        (transfer, 'sessions:' || s.id || ':budget', -cost), (transfer, 'sessions:' || s.id || ':payable', cost);
    end if;
    next_status := item ->> 'status';
    update executions set
      status = next_status, reason = item ->> 'reason', hold_status = case when cost > 0 then 'captured' else 'released' end,
      cost_micros = cost, effective_ms = (item ->> 'effectiveMs')::int, cpu_ms = (item ->> 'cpuMs')::int,
      max_rss_bytes = (item ->> 'maxRss')::bigint, exit_code = (item ->> 'exitCode')::int,
      started_at = (item ->> 'startedAt')::timestamptz, ended_at = (item ->> 'endedAt')::timestamptz
      where id = e.id;
    drained := s.status = 'ending' and s.open_executions - (case when e.hold_status = 'open' then 1 else 0 end) = 0;
    update sessions set
      spent_micros = spent_micros + cost,
      held_micros = held_micros - released,
      open_executions = open_executions - (case when e.hold_status = 'open' then 1 else 0 end),
      effective_ms = effective_ms + (item ->> 'effectiveMs')::bigint,
      receipt_sequence = receipt_sequence + 1,
      receipt_head = item ->> 'hash',
      last_event = last_event + 1
      where id = s.id;
    insert into events (session_id, sequence, type, data) values (s.id, s.last_event + 1, 'execution.' || next_status,
      jsonb_strip_nulls(jsonb_build_object(
        'executionId', e.id, 'tool', e.tool, 'reason', item ->> 'reason', 'effectiveMs', (item ->> 'effectiveMs')::int,
        'cpuMs', (item ->> 'cpuMs')::int, 'costMicros', cost::text, 'consumedMicros', (s.spent_micros + cost)::text,
        'heldMicros', (s.held_micros - released)::text, 'receiptHash', item ->> 'hash')));
    answers := answers || jsonb_build_object('outcome', 'accepted', 'session', s.id, 'sequence', s.last_event + 1,
      'drained', drained);
  end loop;
  return answers;
end $$;

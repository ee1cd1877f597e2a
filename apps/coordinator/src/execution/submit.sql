-- Sizes, authorises and records runs, a batch at a time. Items of one session are decided one after the other under
-- the session's row lock, so no interleaving can spend a budget or a voucher twice. A refusal is recorded under its
-- key: a late duplicate of a refused request must not slip through once budget has been freed.
--
-- items: [{session, execution, key, body, tool, manifest, args, salt, limits, limitMs, maxCost?, voucher?, voucherSignature?,
--          minimumGrantMs, leaseMs, maxOpen}], amounts as decimal strings
-- returns, in the same order: [{outcome, execution?, code?, facts?, event?}]
create or replace function execution_submit(items jsonb) returns jsonb
language plpgsql as $$
declare
  item jsonb;
  s sessions%rowtype;
  found_execution record;
  refused refusals%rowtype;
  answers jsonb := '[]'::jsonb;
  answer jsonb;
  unheld bigint;
  hold bigint;
  deadline bigint;
  code text;
  facts jsonb;
  authorised bigint;
  signature text;
begin
  perform 1 from sessions
    where id in (select value ->> 'session' from jsonb_array_elements(items))
    order by id for update;

  for item in select value from jsonb_array_elements(items) loop
    answer := null;
    select * into s from sessions where id = item ->> 'session';
    if not found then
      answers := answers || jsonb_build_object('outcome', 'refused', 'code', 'not_found', 'facts', '{}'::jsonb);
      continue;
    end if;

    select id, body_hash into found_execution from executions
      where session_id = s.id and idempotency_key = item ->> 'key';
    if found then
      if found_execution.body_hash = item ->> 'body' then
        answer := jsonb_build_object('outcome', 'replayed', 'execution', found_execution.id);
      else
        answer := jsonb_build_object('outcome', 'refused', 'code', 'idempotency_conflict', 'facts', '{}'::jsonb);
      end if;
    else
      select * into refused from refusals where session_id = s.id and idempotency_key = item ->> 'key';
      if found then
        if refused.body_hash = item ->> 'body' then
          answer := jsonb_build_object('outcome', 'refused', 'code', refused.code, 'facts', refused.facts);
        else
          answer := jsonb_build_object('outcome', 'refused', 'code', 'idempotency_conflict', 'facts', '{}'::jsonb);
        end if;
      end if;
    end if;
    if answer is not null then
      answers := answers || answer;
      continue;
    end if;

    authorised := s.authorised_micros;
    signature := s.voucher_signature;
    if (item ->> 'voucher')::bigint > authorised then
      authorised := (item ->> 'voucher')::bigint;
      signature := item ->> 'voucherSignature';
    end if;

    code := null;
    facts := '{}'::jsonb;
    unheld := s.budget_micros - s.spent_micros - s.held_micros;
    -- ceil(rate × limit) may exceed int8 for absurd rates; numeric does not.
    hold := least(
      div(s.rate_micros_per_minute::numeric * (item ->> 'limitMs')::numeric + 59999, 60000),
      coalesce((item ->> 'maxCost')::numeric, 9223372036854775807),
      unheld);
    deadline := least(div(hold::numeric * 60000, s.rate_micros_per_minute), (item ->> 'limitMs')::numeric);
    if s.status <> 'active' then
      code := 'session_not_active';
      facts := jsonb_build_object('status', s.status);
    elsif s.open_executions >= (item ->> 'maxOpen')::int then
      code := 'rate_limited';
      facts := jsonb_build_object('openExecutions', s.open_executions);
    elsif deadline < least((item ->> 'minimumGrantMs')::bigint, (item ->> 'limitMs')::bigint) then
      code := 'budget_exhausted';
      facts := jsonb_build_object('remainingMicros', unheld::text, 'minimumGrantMs', (item ->> 'minimumGrantMs')::int);
    end if;

    if code is not null then
      -- Too many open runs is no decision about this request: it may be asked again.
      if code <> 'rate_limited' then
        insert into refusals (session_id, idempotency_key, body_hash, code, facts)
          values (s.id, item ->> 'key', item ->> 'body', code, facts);
        update sessions set last_event = last_event + 1 where id = s.id;
        insert into events (session_id, sequence, type, data)
          values (s.id, s.last_event + 1, 'execution.refused',
            jsonb_build_object('tool', item ->> 'tool', 'code', code));
        answer := jsonb_build_object('event', jsonb_build_object('session', s.id, 'sequence', s.last_event + 1));
      end if;
      answers := answers || jsonb_build_array(
        coalesce(answer, '{}'::jsonb) || jsonb_build_object('outcome', 'refused', 'code', code, 'facts', facts));
      continue;
    end if;

    if authorised < s.spent_micros + s.held_micros + hold then
      answers := answers || jsonb_build_object('outcome', 'refused', 'code', 'voucher_required', 'facts',
        jsonb_build_object('requiredCumulativeMicros', (s.spent_micros + s.held_micros + hold)::text));
      continue;
    end if;

    update sessions set
      held_micros = held_micros + hold,
      authorised_micros = authorised,
      voucher_signature = signature,
      open_executions = open_executions + 1,
      executions = executions + 1,
      last_event = last_event + 1
      where id = s.id;
    insert into executions (id, session_id, idempotency_key, body_hash, tool, manifest_hash, args, arguments_salt, limits,
        status, grant_number, hold_micros, hold_status, deadline_ms, voucher_micros, voucher_signature, lease_until)
      values (item ->> 'execution', s.id, item ->> 'key', item ->> 'body', item ->> 'tool', item ->> 'manifest',
        item -> 'args', item ->> 'salt', item -> 'limits', 'pending', s.executions + 1, hold, 'open', deadline,
        authorised, signature,
        clock_timestamp() + make_interval(secs => (deadline + (item ->> 'leaseMs')::bigint) / 1000.0));
    insert into events (session_id, sequence, type, data)
      values (s.id, s.last_event + 1, 'execution.accepted', jsonb_build_object(
        'executionId', item ->> 'execution', 'tool', item ->> 'tool', 'holdMicros', hold::text, 'deadlineMs', deadline,
        'heldMicros', (s.held_micros + hold)::text, 'consumedMicros', s.spent_micros::text));
    answers := answers || jsonb_build_object('outcome', 'accepted', 'execution', item ->> 'execution', 'event',
      jsonb_build_object('session', s.id, 'sequence', s.last_event + 1));
  end loop;
  return answers;
end $$;

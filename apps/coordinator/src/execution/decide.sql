-- Decides about runs, item by item in the order given, and changes nothing; submit.sql holds the locks and writes.
-- What one item takes is gone for the next one of its session: the session's figures run on in the output columns.
--
-- Keys are distinct within a batch; a key twice breaks a unique index when it is written, and the batch is split.
create or replace function execution_decide(items json)
returns table (
  ordinal bigint, outcome text, code text, facts jsonb, execution text, hold bigint, deadline bigint, most bigint,
  -- The session after this item. `sequence` is the number of its last event, `is_told` whether that is this item's.
  session text, channel text, spent bigint, held bigint, authorised bigint, signature text, open_runs int, runs int,
  sequence int, is_told boolean,
  -- As it was asked for.
  key text, body text, tool text, manifest text, args jsonb, salt text, limits jsonb, lease_ms bigint
)
language plpgsql stable
set plan_cache_mode = force_generic_plan set enable_hashjoin = off set enable_mergejoin = off set enable_seqscan = off
as $$
declare
  item record;
  unheld bigint;
begin
  for item in
    select i.*, s.id as found, s.status, s.channel_status, s.rate_micros_per_minute, s.budget_micros, s.spent_micros,
        s.held_micros, s.step_micros, s.authorised_micros, s.voucher_signature as known_signature, s.open_executions, s.executions,
        s.last_event, e.id as known, coalesce(e.body_hash, r.body_hash) as known_body, r.code as refused_code,
        r.facts as refused_facts
      from rows from (json_to_recordset(items) as (
          session text, execution text, key text, body text, tool text, manifest text, args jsonb, salt text,
          limits jsonb, "limitMs" numeric, "maxCost" numeric, voucher bigint, "voucherSignature" text,
          "minimumGrantMs" bigint, "oneGrantMs" bigint, "leaseMs" bigint, "maxOpen" int))
        with ordinality as i (session, execution, key, body, tool, manifest, args, salt, limits, limit_ms, max_cost,
          voucher, voucher_signature, minimum_grant_ms, one_grant_ms, lease_ms, max_open, ordinal)
      left join sessions s on s.id = i.session
      left join executions e on e.session_id || ' ' || e.idempotency_key = i.session || ' ' || i.key
      left join refusals r on r.session_id = i.session and r.idempotency_key = i.key
      order by i.session, i.ordinal
  loop
    ordinal := item.ordinal; execution := item.execution; key := item.key; body := item.body; tool := item.tool;
    manifest := item.manifest; args := item.args; salt := item.salt; limits := item.limits; lease_ms := item.lease_ms;
    outcome := 'refused'; code := null; facts := '{}'; is_told := false;

    if item.found is null then
      code := 'not_found';
      return next;
      continue;
    end if;
    if session is distinct from item.session then
      session := item.session; channel := item.channel_status; spent := item.spent_micros; held := item.held_micros;
      authorised := item.authorised_micros; signature := item.known_signature; open_runs := item.open_executions;
      runs := item.executions; sequence := item.last_event;
    end if;

    if item.known_body is not null then
      if item.known_body <> item.body then
        code := 'idempotency_conflict';
      elsif item.known is not null then
        outcome := 'replayed';
        execution := item.known;
      else
        code := item.refused_code;
        facts := item.refused_facts;
      end if;
      return next;
      continue;
    end if;

    unheld := item.budget_micros - spent - held;
    -- ceil(rate × limit) may exceed int8 for absurd rates; numeric does not.
    hold := least(div(item.rate_micros_per_minute * item.limit_ms + 59999, 60000), item.max_cost, unheld);
    deadline := least(div(hold::numeric * 60000, item.rate_micros_per_minute), item.limit_ms);
    most := null;
    if item.step_micros < hold and deadline > item.one_grant_ms then
      most := hold;
      hold := item.step_micros;
      deadline := div(item.step_micros::numeric * 60000, item.rate_micros_per_minute);
    end if;
    if item.status <> 'active' then
      code := 'session_not_active';
      facts := jsonb_build_object('status', item.status);
    elsif open_runs >= item.max_open then
      -- No decision about this request: it may be asked again, so nothing is kept of it.
      code := 'rate_limited';
      facts := jsonb_build_object('openExecutions', open_runs);
      return next;
      continue;
    elsif deadline < least(item.minimum_grant_ms, item.limit_ms) then
      code := 'budget_exhausted';
      facts := jsonb_build_object('remainingMicros', unheld::text, 'minimumGrantMs', item.minimum_grant_ms);
    elsif greatest(authorised, item.voucher) < spent + held + hold then
      code := 'voucher_required';
      facts := jsonb_build_object('requiredCumulativeMicros', (spent + held + hold)::text);
      return next;
      continue;
    end if;

    sequence := sequence + 1;
    is_told := true;
    if code is null then
      outcome := 'accepted';
      held := held + hold;
      open_runs := open_runs + 1;
      runs := runs + 1;
      if item.voucher > authorised then
        authorised := item.voucher;
        signature := item.voucher_signature;
      end if;
    end if;
    return next;
  end loop;
end $$;

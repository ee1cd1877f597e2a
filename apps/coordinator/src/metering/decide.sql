-- Decides about receipts, item by item in the order given, and changes nothing; record.sql holds the locks and writes.
-- What one receipt captures and releases is counted for the next one of its session: the session's figures run on in
-- the output columns. Runs are distinct within a batch; one twice breaks a unique index, and the batch is split.
create or replace function receipt_decide(items json)
returns table (
  ordinal bigint, outcome text, code text, detail text, countersignature text, execution text,
  -- The session after this item. `event` is the number of its last event, `is_told` whether that is this item's, and
  -- `is_start_told` whether the one before is this item's as well: the start that was reported shortly before.
  session text, spent bigint, held bigint, open_runs int, effective_total bigint, chain int, head text, event int,
  is_told boolean, is_start_told boolean, drained boolean,
  -- As it was reported.
  jws text, tool text, deadline_ms bigint, status text, reason text, cost bigint, effective_ms int, cpu_ms int, max_rss bigint, read_bytes bigint,
  written_bytes bigint, exit_code int,
  started_at timestamptz, ended_at timestamptz
)
language plpgsql stable
set plan_cache_mode = force_generic_plan set enable_hashjoin = off set enable_mergejoin = off set enable_seqscan = off
as $$
declare
  item record;
  observed numeric;
  released bigint;
begin
  for item in
    select i.*, p.node_key as registered_key, k.hash as known_hash, k.countersignature as known_countersignature,
        s.id as found, s.status as session_status, s.provider_id, s.channel_id, s.rate_micros_per_minute,
        s.channel_status, s.budget_micros, s.authorised_micros, s.spent_micros, s.held_micros, s.open_executions,
        s.effective_ms as session_effective_ms, s.receipt_sequence, s.receipt_head, s.last_event,
        e.session_id as run_session, e.tool as run_tool, e.manifest_hash, e.grant_number, e.hold_micros, e.deadline_ms,
        e.hold_status, e.earlier_grants, e.status as run_status, e.created_at, e.dispute is not null as is_disputed
      from rows from (json_to_recordset(items) as (
          execution text, session text, provider text, "nodeKey" text, channel text, sequence bigint, previous text,
          hash text, jws text, countersignature text, tool text, manifest text, "grant" bigint, rate bigint, hold bigint,
          "deadlineMs" bigint, status text, reason text, cost bigint, cumulative bigint, "effectiveMs" int, "cpuMs" int,
          "maxRss" bigint, "readBytes" bigint, "writtenBytes" bigint, "exitCode" int, "startedAt" timestamptz, "endedAt" timestamptz, "observedMs" numeric,
          "wasStarted" boolean,           "toleranceMs" numeric, "tolerancePerMille" numeric))
        with ordinality as i (execution, session, provider, node_key, channel, sequence, previous, hash, jws,
          countersignature, tool, manifest, grant_claimed, rate, hold, deadline_claimed, status, reason, cost, cumulative,
          effective_ms, cpu_ms, max_rss, read_bytes, written_bytes, exit_code, started_at, ended_at, observed_ms, was_started, tolerance_ms,
          tolerance_per_mille, ordinal)
      left join providers p on p.id = i.provider
      left join sessions s on s.id = i.session
      left join executions e on e.id = i.execution
      -- A run that goes on has no receipt: it is looked for where there can be one.
      left join receipts k on k.execution_id = case when e.status in ('pending', 'running') then null else i.execution end
      order by i.session, i.ordinal
  loop
    ordinal := item.ordinal; execution := item.execution; countersignature := item.countersignature; jws := item.jws;
    tool := item.tool; deadline_ms := item.deadline_claimed; status := item.status; reason := item.reason; cost := item.cost;
    effective_ms := item.effective_ms; cpu_ms := item.cpu_ms; max_rss := item.max_rss;
    read_bytes := item.read_bytes; written_bytes := item.written_bytes; exit_code := item.exit_code;
    started_at := item.started_at; ended_at := item.ended_at;
    outcome := 'refused'; code := null; detail := ''; is_told := false; is_start_told := false; drained := false;
    if session is distinct from item.session then
      session := item.session; spent := item.spent_micros; held := item.held_micros; open_runs := item.open_executions;
      effective_total := item.session_effective_ms; chain := item.receipt_sequence; head := item.receipt_head;
      event := item.last_event;
    end if;

    if item.registered_key is distinct from item.node_key then
      code := 'signature_invalid';
      detail := 'The receipt is not signed by the node of its provider';
    elsif item.known_hash = item.hash then
      outcome := 'replayed';
      countersignature := item.known_countersignature;
      return next;
      continue;
    elsif item.known_hash is not null then
      code := 'receipt_replayed';
      detail := 'another receipt of this run was recorded';
    elsif item.found is null or item.run_session is distinct from item.session then
      code := 'receipt_mismatch';
      detail := 'there is no such run in this session';
    elsif item.provider_id <> item.provider then
      -- Its signature is right, but for another node: whoever knows a dispatch could otherwise bill for it.
      code := 'receipt_mismatch';
      detail := 'the run was sent to another provider';
    elsif item.run_tool <> item.tool or item.manifest_hash <> item.manifest or item.grant_number <> item.grant_claimed
       -- A node that was not told in time of its raised grant stopped on the one before.
       or (item.hold_micros <> item.hold or item.deadline_ms <> item.deadline_claimed)
          and not item.earlier_grants @> jsonb_build_array(jsonb_build_array(item.hold::text, item.deadline_claimed))
       or item.rate_micros_per_minute <> item.rate or item.channel_id is distinct from item.channel then
      code := 'receipt_mismatch';
      detail := 'tool, grant, hold, deadline, rate or channel differ from the dispatch';
    elsif item.is_disputed then
      code := 'receipt_disputed';
      detail := 'a receipt of this run is in dispute';
    elsif chain + 1 <> item.sequence or head <> item.previous then
      code := 'receipt_out_of_order';
      detail := 'the next receipt of the session is number ' || (chain + 1);
    elsif spent::numeric + cost <> item.cumulative then
      code := 'receipt_mismatch';
      detail := 'the cumulative amount is not the sum so far';
    end if;
    released := case when item.hold_status = 'open' then item.hold_micros else 0 end;
    if code is null and held > released and spent::numeric + cost <= least(item.budget_micros, item.authorised_micros)
       and spent::numeric + held - released + cost > least(item.budget_micros, item.authorised_micros) then
      -- Its own hold has expired, and a later run holds what would cover it: that is over soon, a dispute never.
      code := 'receipt_deferred';
      detail := 'its hold has expired, and later runs hold what would cover it';
    end if;
    if code is not null then
      return next;
      continue;
    end if;

    -- The caller's own clock from dispatch to receipt; after a restart only the row remembers when it began.
    observed := coalesce(item.observed_ms, extract(epoch from clock_timestamp() - item.created_at) * 1000);
    if effective_ms > observed + item.tolerance_ms + observed * item.tolerance_per_mille / 1000 then
      code := 'implausible_duration';
      detail := format('%s ms were reported, %s ms were observed', effective_ms, round(observed));
    elsif cost > 0 and item.channel_status <> 'open' then
      -- Recorded after the claim, it would be owed for ever, and the settlement on the chain would be another one than
      -- the ledger's. An honest node signs no claim below its receipts.
      code := 'uncovered';
      detail := 'the channel is not open, so nothing can be claimed for it';
    elsif spent::numeric + held - released + cost > least(item.budget_micros, item.authorised_micros) then
      code := 'uncovered';
      detail := 'the hold had expired and what is left does not cover the cost';
    end if;
    is_told := true;
    is_start_told := item.was_started and item.run_status = 'pending';
    event := event + case when is_start_told then 2 else 1 end;
    if code is not null then
      outcome := 'disputed';
      return next;
      continue;
    end if;

    outcome := 'accepted';
    spent := spent + cost;
    held := held - released;
    effective_total := effective_total + effective_ms;
    chain := item.sequence;
    head := item.hash;
    if item.hold_status = 'open' then
      open_runs := open_runs - 1;
    end if;
    drained := item.session_status = 'ending' and open_runs = 0;
    return next;
  end loop;
end $$;

-- Sizes, authorises and records runs, a batch at a time. Items of one session are decided one after the other under
-- the session's row lock, so no interleaving can spend a budget or a voucher twice. A refusal is recorded under its
-- key: a late duplicate of a refused request must not slip through once budget has been freed.
--
-- session_ids: of all items. `json`, not `jsonb`: each value is read once, so sorting and packing them costs more than it gives.
-- items: [{session, execution, key, body, tool, manifest, args, salt, limits, limitMs, maxCost?, voucher?, voucherSignature?,
--          minimumGrantMs, oneGrantMs, leaseMs, maxOpen}], amounts as decimal strings
-- returns, in the same order: [{outcome, execution, code, facts, sequence, grant, hold, deadlineMs, most, voucher, voucherSignature,
--          channelStatus, createdAt}], amounts as decimal strings; `sequence` is null unless an event was written
create or replace function execution_submit(items json, session_ids text[]) returns json
language plpgsql
-- Plans must not depend on statistics: a batch is small, its tables are not, and both begin empty.
set plan_cache_mode = force_generic_plan set enable_hashjoin = off set enable_mergejoin = off set enable_seqscan = off
as $$
declare
  answers json;
begin
  -- A statement of its own: what is decided next must see what was committed while this one waited.
  perform 1 from sessions
    where id = any (session_ids)
    order by id for update;

  with decided as materialized (
    select * from execution_decide(items)
  ), accepted as (
    insert into executions (id, session_id, idempotency_key, body_hash, tool, manifest_hash, args, arguments_salt, limits,
        status, grant_number, hold_micros, hold_status, deadline_ms, most_micros, voucher_micros, voucher_signature, lease_until)
      select execution, session, key, body, tool, manifest, args, salt, limits, 'pending', runs, hold, 'open', deadline, most,
          authorised, signature, clock_timestamp() + make_interval(secs => (deadline + lease_ms) / 1000.0)
        from decided where outcome = 'accepted'
  ), refused as (
    insert into refusals (session_id, idempotency_key, body_hash, code, facts)
      select session, key, body, code, facts from decided where outcome = 'refused' and is_told
  ), told as (
    insert into events (session_id, sequence, type, data)
      select session, sequence, 'execution.' || outcome,
          case outcome when 'accepted' then json_build_object(
            'executionId', execution, 'tool', tool, 'holdMicros', hold::text, 'deadlineMs', deadline,
            'heldMicros', held::text, 'consumedMicros', spent::text)
          else json_build_object('tool', tool, 'code', code) end
        from decided where is_told
  ), moved as (
    update sessions s set held_micros = d.held, authorised_micros = d.authorised, voucher_signature = d.signature,
        open_executions = d.open_runs, executions = d.runs, last_event = d.sequence,
        -- Where nothing is open, the leases of before say nothing any more.
        leases_from = case when d.open_runs = 0 then s.leases_from
          when s.open_executions = 0 then now() + make_interval(secs => d.lease_ms / 1000.0)
          else least(s.leases_from, now() + make_interval(secs => d.lease_ms / 1000.0)) end
      from (select distinct on (session) session, held, authorised, signature, open_runs, runs, sequence, lease_ms
          from decided where is_told order by session, decided.sequence desc) d
      where s.id = d.session
  )
  select json_agg(json_build_object(
        'outcome', outcome, 'execution', execution, 'code', code, 'facts', facts,
        'sequence', case when is_told then sequence end, 'grant', runs, 'hold', hold::text, 'deadlineMs', deadline,
        'most', most::text, 'voucher', authorised::text, 'voucherSignature', signature, 'channelStatus', channel,
        'createdAt', now()::timestamptz(3)) order by ordinal)
    into answers from decided;
  return answers;
end $$;

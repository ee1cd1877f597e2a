-- Records receipts, captures their cost and releases the rest of their holds, a batch at a time. The caller has
-- verified each signature with the key that the receipt names; what is decided here needs the rows: is that the key of
-- its provider, does it belong to this run, is it the next of its chain, can its time be true, is there cover for it.
--
-- session_ids: of all items
-- items: [{execution, session, provider, nodeKey, channel, sequence, previous, hash, jws, countersignature, tool, manifest, grant,
--          rate, hold, deadlineMs, status, reason?, cost, cumulative, effectiveMs, cpuMs, maxRss, readBytes?, writtenBytes?, exitCode, startedAt,
--          endedAt, observedMs?, wasStarted, toleranceMs, tolerancePerMille}], amounts as decimal strings
-- returns, in the same order: [{outcome: accepted | replayed | refused | disputed, code, detail, countersignature,
--          session, sequence, drained}]; `sequence` is null unless an event was written
create or replace function receipt_record(items json, session_ids text[]) returns json
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
    select * from receipt_decide(items)
  ), recorded as (
    insert into receipts (execution_id, session_id, sequence, hash, jws, countersignature, cost_micros, cumulative_micros)
      select execution, session, chain, head, jws, countersignature, cost, spent from decided where outcome = 'accepted'
  ), posted as (
    insert into ledger_transfers (kind, reference, session_id, accounts, amounts_micros)
      select 'capture', execution, session, array['sessions:' || session || ':budget', 'sessions:' || session || ':payable'],
          array[-cost, cost]
        from decided where outcome = 'accepted' and cost > 0
  ), ended as (
    update executions e set
        status = d.status, reason = d.reason, hold_status = case when d.cost > 0 then 'captured' else 'released' end,
        cost_micros = d.cost, effective_ms = d.effective_ms, cpu_ms = d.cpu_ms, max_rss_bytes = d.max_rss,
        read_bytes = d.read_bytes, written_bytes = d.written_bytes,
        exit_code = d.exit_code, started_at = d.started_at, ended_at = d.ended_at
      from decided d where e.id = d.execution and d.outcome = 'accepted'
  ), disputed as (
    insert into disputes (execution_id, session_id, code, detail, jws)
      select execution, session, code, detail, jws from decided where outcome = 'disputed'
  ), marked as (
    update executions e set dispute = jsonb_build_object('code', d.code, 'detail', d.detail),
        status = case when d.is_start_told then 'running' else e.status end
      from decided d where e.id = d.execution and d.outcome = 'disputed'
  ), told as (
    insert into events (session_id, sequence, type, data)
      select session, event, 'execution.' || case outcome when 'accepted' then status else outcome end,
          case outcome when 'accepted' then json_strip_nulls(json_build_object(
            'executionId', execution, 'tool', tool, 'reason', reason, 'effectiveMs', effective_ms, 'cpuMs', cpu_ms,
            'costMicros', cost::text, 'consumedMicros', spent::text, 'heldMicros', held::text, 'receiptHash', head))
          else json_build_object('executionId', execution, 'code', code, 'detail', detail) end
        from decided where is_told
      union all
      select session, event - 1, 'execution.started', json_build_object(
            'executionId', execution, 'tool', tool, 'deadlineMs', deadline_ms)
        from decided where is_start_told
  ), totalled as (
    update sessions s set spent_micros = d.spent, held_micros = d.held, open_executions = d.open_runs,
        effective_ms = d.effective_total, receipt_sequence = d.chain, receipt_head = d.head, last_event = d.event
      from (select distinct on (session) session, spent, held, open_runs, effective_total, chain, head, event
          from decided where is_told order by session, decided.event desc) d
      where s.id = d.session
  )
  select json_agg(json_build_object(
        'outcome', outcome, 'code', code, 'detail', detail, 'countersignature', countersignature, 'session', session,
        'sequence', case when is_told then event end, 'drained', drained) order by ordinal)
    into answers from decided;
  return answers;
end $$;

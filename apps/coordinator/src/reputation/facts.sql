-- What reputation is computed from, for some providers: counts, fees by payer, response times, time with heartbeats.
-- Fees are the shares that do not come back; the provider's is floored, as on the chain.
create or replace function reputation_facts(ids text[], days int, uptime_days int) returns table (
  provider text, completed_sessions bigint, completed bigint, failed bigint, failures jsonb, disputes bigint,
  fees numeric, payers jsonb, responses bigint, p50_ms float8, p95_ms float8, online_ms numeric, observed_ms numeric)
language sql stable as $$
  with s as materialized (
    select id, provider_id, coalesce(payer, agent_id) as payer, status, spent_micros,
        spent_micros - spent_micros * 9000 / 10000 as fee
      from sessions where provider_id = any (ids) and created_at > now() - make_interval(days => days)),
  e as materialized (
    select s.provider_id, s.payer, e.status, e.reason, d.execution_id is not null as is_disputed,
        e.hold_micros - e.hold_micros * 9000 / 10000 as fee,
        case when e.grant_number > 1 and e.ended_at is not null and e.reason is distinct from 'lost'
          then greatest(0, extract(epoch from e.ended_at - e.created_at) * 1000 - e.effective_ms) end as response_ms
      from s join executions e on e.session_id = s.id left join disputes d on d.execution_id = e.id),
  money as (
    select provider_id, payer, sum(good) as good, sum(bad) as bad from (
      select provider_id, payer, fee as good, 0 as bad from s where status = 'settled'
      union all
      select provider_id, payer, 0, fee from e where is_disputed or reason in ('lost', 'sandbox_error')) m
      group by 1, 2)
  select p.id,
    (select count(*) from s where s.provider_id = p.id and s.status = 'settled'),
    (select count(*) from e where e.provider_id = p.id and e.status = 'completed'),
    (select count(*) from e where e.provider_id = p.id and e.status = 'failed'),
    (select coalesce(jsonb_object_agg(f.reason, f.n), '{}') from
      (select e.reason, count(*) as n from e where e.provider_id = p.id and e.status = 'failed' group by 1) f),
    (select count(*) from e where e.provider_id = p.id and e.is_disputed),
    (select coalesce(sum(good), 0) from money where money.provider_id = p.id),
    (select coalesce(jsonb_agg(jsonb_build_object('good', good::text, 'bad', bad::text)), '[]') from money
      where money.provider_id = p.id and good + bad > 0),
    r.n, r.p50, r.p95,
    (select coalesce(sum(u.online_ms), 0) from provider_uptime u
      where u.provider_id = p.id and u.day > current_date - uptime_days),
    extract(epoch from least(now() - p.registered_at, make_interval(days => uptime_days))) * 1000
  from providers p cross join lateral (
    select count(response_ms) as n, percentile_cont(0.5) within group (order by response_ms) as p50,
        percentile_cont(0.95) within group (order by response_ms) as p95
      from e where e.provider_id = p.id) r
  where p.id = any (ids);
$$;

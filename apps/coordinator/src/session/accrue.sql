-- Takes vouchers in, a batch at a time. The caller has verified each signature; what is decided here needs the row: a
-- voucher only ever raises what is authorised, never above the budget, and only while the session is active. Of several
-- for one session the highest that fits counts, since each covers those below it.
--
-- items: [{session, cumulative, signature}], amounts as decimal strings
-- returns, in the same order: [{status?, budget?, event?}]; without a status there is no such session, with an event
-- something was raised
create or replace function voucher_accrue(items jsonb) returns jsonb
language plpgsql as $$
declare
  answers jsonb;
begin
  perform 1 from sessions
    where id in (select value ->> 'session' from jsonb_array_elements(items))
    order by id for update;

  with given as (
    select ordinality, value ->> 'session' as session, (value ->> 'cumulative')::bigint as cumulative,
           value ->> 'signature' as signature
    from jsonb_array_elements(items) with ordinality
  ), highest as (
    select distinct on (given.session) given.*
    from given join sessions s on s.id = given.session
    where s.status = 'active' and given.cumulative > s.authorised_micros and given.cumulative <= s.budget_micros
    order by given.session, given.cumulative desc
  ), raised as (
    update sessions s
    set authorised_micros = highest.cumulative, voucher_signature = highest.signature, last_event = s.last_event + 1
    from highest
    where s.id = highest.session
    returning s.id, s.last_event, s.authorised_micros
  ), told as (
    insert into events (session_id, sequence, type, data)
    select id, last_event, 'voucher.accepted', jsonb_build_object('authorisedMicros', authorised_micros::text)
    from raised
  )
  select jsonb_agg(
    jsonb_strip_nulls(jsonb_build_object('status', s.status, 'budget', s.budget_micros::text, 'event', raised.last_event))
    order by given.ordinality)
  into answers
  from given
  left join sessions s on s.id = given.session
  left join raised on raised.id = given.session and raised.authorised_micros = given.cumulative;

  return coalesce(answers, '[]'::jsonb);
end $$;

-- A node was heard of: the time since the last time counts as online, as far as silence of that length is no absence.
create or replace function reputation_beat(provider text, silence_ms bigint) returns void
language plpgsql as $$
declare
  before timestamptz;
  heard timestamptz := clock_timestamp();
begin
  select last_seen_at into before from providers where id = provider for update;
  update providers set last_seen_at = heard where id = provider;
  if before is null or heard <= before or heard - before > silence_ms * interval '1 millisecond' then
    return;
  end if;
  insert into provider_uptime as u (provider_id, day, online_ms)
    values (provider, (heard at time zone 'utc')::date, extract(epoch from heard - before) * 1000)
    on conflict (provider_id, day) do update set online_ms = u.online_ms + excluded.online_ms;
end $$;

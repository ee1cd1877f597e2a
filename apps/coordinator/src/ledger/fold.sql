-- Folds transfers into balances, in the order of their numbers and without a gap: whatever is numbered up to the highest
-- `through_transfer` is folded, and what is above it is pending.
--
-- Numbers are taken before transfers are committed, so one that is missing may still come. Therefore a cut is made:
-- the newest number, and after it this transaction's own. Who has a number up to the cut had begun by then (see the
-- default of `ledger_transfers.id`), so it is over once every transaction up to ours is. Then the cut is folded, the
-- next time this is called or later, and the next cut is made. Nobody waits for anybody.
--
-- max_transfers: folded in one call
create or replace function ledger_fold(max_transfers int) returns void
language plpgsql as $$
declare
  newest bigint;
  cut jsonb;
  folded bigint;
  upto bigint;
begin
  if pg_current_xact_id_if_assigned() is not null then
    raise exception 'ledger_fold needs a transaction of its own';
  end if;
  select last_value into newest from ledger_transfers_id_seq;
  -- Of several replicas one folds at a time; each sees what the last one did.
  perform pg_advisory_xact_lock(hashtext('ledger_fold'));
  select value into cut from facts where name = 'ledger.cut';
  if (cut ->> 'before')::xid8 < pg_snapshot_xmin(pg_current_snapshot()) then
    select coalesce(max(through_transfer), 0) into folded from ledger_accounts;
    select id into upto from ledger_transfers
      where id > folded and id <= (cut ->> 'transfer')::bigint
      order by id offset max_transfers - 1 limit 1;
    insert into ledger_accounts as a (account, balance_micros, through_transfer)
      select leg.account, sum(leg.amount_micros), max(t.id)
        from ledger_transfers t, unnest(t.accounts, t.amounts_micros) as leg (account, amount_micros)
        where t.id > folded and t.id <= coalesce(upto, (cut ->> 'transfer')::bigint)
        group by leg.account
      on conflict (account) do update set
        balance_micros = a.balance_micros + excluded.balance_micros, through_transfer = excluded.through_transfer;
    if upto is not null then
      return;
    end if;
  elsif (cut ->> 'before')::xid8 < pg_current_xact_id() then
    return;
  end if;
  -- None yet, it is folded, or it is of another cluster, from which this database was restored.
  insert into facts (name, value)
    values ('ledger.cut', jsonb_build_object('transfer', newest, 'before', pg_current_xact_id()::text))
    on conflict (name) do update set value = excluded.value, at = now();
end $$;

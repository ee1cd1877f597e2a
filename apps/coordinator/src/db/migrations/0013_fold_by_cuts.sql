-- A transaction has its own number before it takes one for a transfer.
ALTER TABLE "ledger_transfers" ALTER COLUMN "id" SET DEFAULT case when pg_current_xact_id() is not null then nextval('ledger_transfers_id_seq') end;--> statement-breakpoint
-- Folded again from the start: a transfer that was committed after a later one may have been left out.
DELETE FROM "ledger_accounts";--> statement-breakpoint
CREATE INDEX "ledger_accounts_through" ON "ledger_accounts" USING btree ("through_transfer");
--> statement-breakpoint
-- Of a session that runs much, several versions are still seen by somebody: with room for them no index is written.
ALTER TABLE "sessions" SET (fillfactor = 25);

-- A transfer is one row with its legs in it, instead of a row of its own for each leg.
CREATE FUNCTION "ledger_is_balanced"("amounts" bigint[]) RETURNS boolean LANGUAGE sql IMMUTABLE
  AS $$ SELECT coalesce(sum("amount"), 0) = 0 AND coalesce(bool_and("amount" <> 0), true) FROM unnest("amounts") "amount" $$;--> statement-breakpoint
ALTER TABLE "ledger_transfers" ADD COLUMN "accounts" text[] DEFAULT '{}' NOT NULL;--> statement-breakpoint
ALTER TABLE "ledger_transfers" ADD COLUMN "amounts_micros" bigint[] DEFAULT '{}' NOT NULL;--> statement-breakpoint
UPDATE "ledger_transfers" t SET "accounts" = e."accounts", "amounts_micros" = e."amounts"
  FROM (SELECT "transfer_id", array_agg("account" ORDER BY "id") AS "accounts", array_agg("amount_micros" ORDER BY "id") AS "amounts"
    FROM "ledger_entries" GROUP BY "transfer_id") e WHERE e."transfer_id" = t."id";--> statement-breakpoint
-- Folded again from the start: what it was folded through were the numbers of entries.
DELETE FROM "ledger_accounts";--> statement-breakpoint
ALTER TABLE "ledger_accounts" RENAME COLUMN "through_entry" TO "through_transfer";--> statement-breakpoint
DROP TABLE "ledger_entries" CASCADE;--> statement-breakpoint
ALTER TABLE "ledger_transfers" ALTER COLUMN "accounts" DROP DEFAULT;--> statement-breakpoint
ALTER TABLE "ledger_transfers" ALTER COLUMN "amounts_micros" DROP DEFAULT;--> statement-breakpoint
ALTER TABLE "ledger_transfers" ADD CONSTRAINT "ledger_transfers_balanced" CHECK (case when cardinality("ledger_transfers"."amounts_micros") = 2
        then "ledger_transfers"."amounts_micros"[1] = -"ledger_transfers"."amounts_micros"[2] and "ledger_transfers"."amounts_micros"[1] <> 0
        else ledger_is_balanced("ledger_transfers"."amounts_micros") end
        and cardinality("ledger_transfers"."accounts") = cardinality("ledger_transfers"."amounts_micros"));--> statement-breakpoint
CREATE INDEX "ledger_transfers_session" ON "ledger_transfers" USING btree ("session_id") WHERE "ledger_transfers"."kind" <> 'capture';--> statement-breakpoint
CREATE INDEX "ledger_transfers_accounts" ON "ledger_transfers" USING gin ("accounts") WHERE "ledger_transfers"."kind" <> 'capture';--> statement-breakpoint
CREATE VIEW "ledger_entries" AS SELECT t."id" AS "transfer_id", leg."account", leg."amount_micros"
  FROM "ledger_transfers" t, unnest(t."accounts", t."amounts_micros") AS leg ("account", "amount_micros");--> statement-breakpoint
-- An index whose condition changes with a row keeps every update of it from staying on its page.
DROP INDEX "executions_lease";--> statement-breakpoint
ALTER TABLE "executions" SET (fillfactor = 45);--> statement-breakpoint
ALTER TABLE "sessions" ADD COLUMN "leases_from" timestamp (3) with time zone DEFAULT 'epoch' NOT NULL;--> statement-breakpoint
DROP INDEX "sessions_unsettled";--> statement-breakpoint
CREATE INDEX "sessions_unsettled" ON "sessions" USING btree ("status","ended_at") WHERE "sessions"."status" <> 'settled';--> statement-breakpoint
ALTER TABLE "events" ALTER COLUMN "data" SET DATA TYPE json;--> statement-breakpoint
ALTER TABLE "executions" DROP CONSTRAINT "executions_session_id_sessions_id_fk";--> statement-breakpoint
ALTER TABLE "receipts" DROP CONSTRAINT "receipts_execution_id_executions_id_fk";

ALTER TABLE "receipts" DROP CONSTRAINT "receipts_hash_unique";--> statement-breakpoint
DROP INDEX "executions_key";--> statement-breakpoint
CREATE UNIQUE INDEX "executions_key" ON "executions" USING btree (("session_id" || ' ' || "idempotency_key"));--> statement-breakpoint
-- Every run changes its session four times and its own row twice: room on the page spares every index a new entry.
ALTER TABLE "sessions" SET (fillfactor = 50);--> statement-breakpoint
ALTER TABLE "executions" SET (fillfactor = 80);

CREATE TABLE "relayed_calls" (
	"reference" text PRIMARY KEY NOT NULL,
	"payer" text NOT NULL,
	"session_id" text,
	"gas" bigint NOT NULL,
	"is_newcomer" boolean NOT NULL,
	"reserved_at" timestamp (3) with time zone DEFAULT clock_timestamp() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "transaction_variants" (
	"tx_hash" text PRIMARY KEY NOT NULL,
	"transaction_id" text NOT NULL,
	"raw" text NOT NULL,
	"signed_block" bigint,
	"signed_at" timestamp (3) with time zone DEFAULT clock_timestamp() NOT NULL
);
--> statement-breakpoint
ALTER TABLE "transactions" ADD COLUMN "gas_used" bigint;--> statement-breakpoint
ALTER TABLE "transactions" ADD COLUMN "fee_wei" numeric(78, 0);--> statement-breakpoint
ALTER TABLE "transactions" ADD COLUMN "stuck_at" timestamp (3) with time zone;--> statement-breakpoint
CREATE INDEX "relayed_calls_payer" ON "relayed_calls" USING btree ("payer","reserved_at");--> statement-breakpoint
CREATE INDEX "relayed_calls_newcomers" ON "relayed_calls" USING btree ("reserved_at") WHERE "relayed_calls"."is_newcomer";--> statement-breakpoint
CREATE INDEX "transaction_variants_transaction" ON "transaction_variants" USING btree ("transaction_id");--> statement-breakpoint
CREATE INDEX "transactions_paid" ON "transactions" USING btree ("updated_at") WHERE "transactions"."gas_used" is not null;--> statement-breakpoint
INSERT INTO "transaction_variants" ("tx_hash", "transaction_id", "raw", "signed_at")
  SELECT "tx_hash", "id", "raw", "updated_at" FROM "transactions"
    WHERE "raw" IS NOT NULL AND "tx_hash" IS NOT NULL ON CONFLICT DO NOTHING;

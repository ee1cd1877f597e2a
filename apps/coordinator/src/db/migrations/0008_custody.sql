ALTER TABLE "sessions" ADD COLUMN "is_custodial" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "transactions" ADD COLUMN "agent_id" text;--> statement-breakpoint
CREATE INDEX "transactions_agent" ON "transactions" USING btree ("agent_id");
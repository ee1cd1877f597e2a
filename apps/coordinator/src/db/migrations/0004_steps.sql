ALTER TABLE "executions" ADD COLUMN "most_micros" bigint;--> statement-breakpoint
ALTER TABLE "executions" ADD COLUMN "requested_micros" bigint;--> statement-breakpoint
ALTER TABLE "executions" ADD COLUMN "earlier_grants" jsonb DEFAULT '[]'::jsonb NOT NULL;--> statement-breakpoint
ALTER TABLE "sessions" ADD COLUMN "step_micros" bigint;
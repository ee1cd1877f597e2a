ALTER TABLE "sessions" ADD COLUMN "exit" jsonb;--> statement-breakpoint
ALTER TABLE "sessions" ADD COLUMN "close_requested_at" timestamp (3) with time zone;
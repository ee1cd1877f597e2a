ALTER TABLE "executions" ADD COLUMN "read_bytes" bigint;--> statement-breakpoint
ALTER TABLE "executions" ADD COLUMN "written_bytes" bigint;
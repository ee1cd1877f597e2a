CREATE TABLE "enrolments" (
	"code" text PRIMARY KEY NOT NULL,
	"payout" text NOT NULL,
	"draft" jsonb,
	"signatures" jsonb,
	"expires_at" timestamp (3) with time zone NOT NULL
);

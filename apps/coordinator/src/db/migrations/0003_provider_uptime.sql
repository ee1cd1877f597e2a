CREATE TABLE "provider_uptime" (
	"provider_id" text NOT NULL,
	"day" date NOT NULL,
	"online_ms" bigint NOT NULL,
	CONSTRAINT "provider_uptime_provider_id_day_pk" PRIMARY KEY("provider_id","day")
);
--> statement-breakpoint
ALTER TABLE "provider_uptime" ADD CONSTRAINT "provider_uptime_provider_id_providers_id_fk" FOREIGN KEY ("provider_id") REFERENCES "public"."providers"("id") ON DELETE no action ON UPDATE no action;
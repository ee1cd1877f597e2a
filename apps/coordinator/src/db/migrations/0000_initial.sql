CREATE TABLE "agents" (
	"id" text PRIMARY KEY NOT NULL,
	"wallet" text NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "agents_wallet_unique" UNIQUE("wallet")
);
--> statement-breakpoint
CREATE TABLE "auth_challenges" (
	"nonce" text PRIMARY KEY NOT NULL,
	"address" text NOT NULL,
	"expires_at" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "credentials" (
	"id" text PRIMARY KEY NOT NULL,
	"kind" text NOT NULL,
	"secret_hash" text NOT NULL,
	"agent_id" text NOT NULL,
	"name" text DEFAULT '' NOT NULL,
	"scopes" text[] NOT NULL,
	"spend_cap_micros" bigint,
	"spent_micros" bigint DEFAULT 0 NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"expires_at" timestamp (3) with time zone,
	"revoked_at" timestamp (3) with time zone,
	CONSTRAINT "credentials_secret_hash_unique" UNIQUE("secret_hash"),
	CONSTRAINT "credentials_within_cap" CHECK ("credentials"."spend_cap_micros" is null or "credentials"."spent_micros" <= "credentials"."spend_cap_micros")
);
--> statement-breakpoint
CREATE TABLE "disputes" (
	"execution_id" text PRIMARY KEY NOT NULL,
	"session_id" text NOT NULL,
	"code" text NOT NULL,
	"detail" text NOT NULL,
	"jws" text NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "events" (
	"session_id" text NOT NULL,
	"sequence" integer NOT NULL,
	"type" text NOT NULL,
	"data" jsonb NOT NULL,
	"at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "events_session_id_sequence_pk" PRIMARY KEY("session_id","sequence")
);
--> statement-breakpoint
CREATE TABLE "executions" (
	"id" text PRIMARY KEY NOT NULL,
	"session_id" text NOT NULL,
	"idempotency_key" text NOT NULL,
	"body_hash" text NOT NULL,
	"tool" text NOT NULL,
	"manifest_hash" text NOT NULL,
	"args" jsonb NOT NULL,
	"arguments_salt" text NOT NULL,
	"limits" jsonb NOT NULL,
	"status" text NOT NULL,
	"reason" text,
	"grant_number" integer NOT NULL,
	"hold_micros" bigint NOT NULL,
	"hold_status" text NOT NULL,
	"deadline_ms" integer NOT NULL,
	"voucher_micros" bigint NOT NULL,
	"voucher_signature" text NOT NULL,
	"cost_micros" bigint DEFAULT 0 NOT NULL,
	"effective_ms" integer DEFAULT 0 NOT NULL,
	"cpu_ms" integer DEFAULT 0 NOT NULL,
	"max_rss_bytes" bigint DEFAULT 0 NOT NULL,
	"exit_code" integer,
	"dispute" jsonb,
	"cancel_requested_at" timestamp (3) with time zone,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"started_at" timestamp (3) with time zone,
	"ended_at" timestamp (3) with time zone,
	"lease_until" timestamp (3) with time zone NOT NULL,
	CONSTRAINT "executions_within_hold" CHECK ("executions"."hold_status" <> 'captured' or "executions"."cost_micros" <= "executions"."hold_micros")
);
--> statement-breakpoint
CREATE TABLE "facts" (
	"name" text PRIMARY KEY NOT NULL,
	"value" jsonb NOT NULL,
	"at" timestamp (3) with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "idempotency" (
	"actor" text NOT NULL,
	"key" text NOT NULL,
	"operation" text NOT NULL,
	"body_hash" text NOT NULL,
	"answer" jsonb,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "idempotency_actor_key_pk" PRIMARY KEY("actor","key")
);
--> statement-breakpoint
CREATE TABLE "ledger_accounts" (
	"account" text PRIMARY KEY NOT NULL,
	"balance_micros" bigint NOT NULL,
	"through_entry" bigint NOT NULL
);
--> statement-breakpoint
CREATE TABLE "ledger_entries" (
	"id" bigserial PRIMARY KEY NOT NULL,
	"transfer_id" bigint NOT NULL,
	"account" text NOT NULL,
	"amount_micros" bigint NOT NULL,
	CONSTRAINT "ledger_entries_not_zero" CHECK ("ledger_entries"."amount_micros" <> 0)
);
--> statement-breakpoint
CREATE TABLE "ledger_transfers" (
	"id" bigserial PRIMARY KEY NOT NULL,
	"kind" text NOT NULL,
	"reference" text NOT NULL,
	"session_id" text NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "log_chunks" (
	"execution_id" text NOT NULL,
	"offset" bigint NOT NULL,
	"stream" text NOT NULL,
	"data" "bytea" NOT NULL,
	"at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "log_chunks_execution_id_offset_pk" PRIMARY KEY("execution_id","offset")
);
--> statement-breakpoint
CREATE TABLE "providers" (
	"id" text PRIMARY KEY NOT NULL,
	"name" text NOT NULL,
	"payout" text NOT NULL,
	"operator" text NOT NULL,
	"node_key" text NOT NULL,
	"rate_micros_per_minute" bigint NOT NULL,
	"tools" jsonb NOT NULL,
	"isolation" text NOT NULL,
	"registration" jsonb NOT NULL,
	"registration_issued_at" bigint NOT NULL,
	"offer" text,
	"offer_hash" text,
	"is_operator_authorised" boolean DEFAULT false NOT NULL,
	"is_disabled" boolean DEFAULT false NOT NULL,
	"deleted_at" timestamp (3) with time zone,
	"registered_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"last_seen_at" timestamp (3) with time zone,
	CONSTRAINT "providers_node_key_unique" UNIQUE("node_key"),
	CONSTRAINT "providers_rate" CHECK ("providers"."rate_micros_per_minute" > 0)
);
--> statement-breakpoint
CREATE TABLE "receipts" (
	"execution_id" text PRIMARY KEY NOT NULL,
	"session_id" text NOT NULL,
	"sequence" integer NOT NULL,
	"hash" text NOT NULL,
	"jws" text NOT NULL,
	"countersignature" text NOT NULL,
	"cost_micros" bigint NOT NULL,
	"cumulative_micros" bigint NOT NULL,
	"recorded_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "receipts_hash_unique" UNIQUE("hash")
);
--> statement-breakpoint
CREATE TABLE "refusals" (
	"session_id" text NOT NULL,
	"idempotency_key" text NOT NULL,
	"body_hash" text NOT NULL,
	"code" text NOT NULL,
	"facts" jsonb NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "refusals_session_id_idempotency_key_pk" PRIMARY KEY("session_id","idempotency_key")
);
--> statement-breakpoint
CREATE TABLE "sessions" (
	"id" text PRIMARY KEY NOT NULL,
	"agent_id" text NOT NULL,
	"provider_id" text NOT NULL,
	"credential_id" text,
	"status" text NOT NULL,
	"rail" text NOT NULL,
	"mission" text,
	"rate_micros_per_minute" bigint NOT NULL,
	"budget_micros" bigint NOT NULL,
	"spent_micros" bigint DEFAULT 0 NOT NULL,
	"held_micros" bigint DEFAULT 0 NOT NULL,
	"authorised_micros" bigint DEFAULT 0 NOT NULL,
	"deposit_micros" bigint DEFAULT 0 NOT NULL,
	"voucher_signature" text,
	"effective_ms" bigint DEFAULT 0 NOT NULL,
	"open_executions" integer DEFAULT 0 NOT NULL,
	"executions" integer DEFAULT 0 NOT NULL,
	"last_event" integer DEFAULT 0 NOT NULL,
	"receipt_sequence" integer DEFAULT 0 NOT NULL,
	"receipt_head" text NOT NULL,
	"offer" text NOT NULL,
	"offer_hash" text NOT NULL,
	"registration" jsonb NOT NULL,
	"payee" text NOT NULL,
	"payer" text,
	"authorized_signer" text,
	"salt" text NOT NULL,
	"channel_id" text,
	"channel_status" text DEFAULT 'none' NOT NULL,
	"deposit" jsonb,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"started_at" timestamp (3) with time zone,
	"ended_at" timestamp (3) with time zone,
	"settled_at" timestamp (3) with time zone,
	CONSTRAINT "sessions_channel_id_unique" UNIQUE("channel_id"),
	CONSTRAINT "sessions_within_budget" CHECK ("sessions"."spent_micros" + "sessions"."held_micros" <= "sessions"."budget_micros"),
	CONSTRAINT "sessions_within_voucher" CHECK ("sessions"."spent_micros" + "sessions"."held_micros" <= "sessions"."authorised_micros"),
	CONSTRAINT "sessions_not_negative" CHECK ("sessions"."spent_micros" >= 0 and "sessions"."held_micros" >= 0 and "sessions"."open_executions" >= 0)
);
--> statement-breakpoint
CREATE TABLE "transactions" (
	"id" text PRIMARY KEY NOT NULL,
	"kind" text NOT NULL,
	"reference" text NOT NULL,
	"session_id" text,
	"provider_id" text,
	"amount_micros" bigint DEFAULT 0 NOT NULL,
	"detail" jsonb NOT NULL,
	"status" text NOT NULL,
	"to" text NOT NULL,
	"data" text NOT NULL,
	"nonce" bigint,
	"raw" text,
	"tx_hash" text,
	"block_number" bigint,
	"block_hash" text,
	"error" text,
	"attempts" integer DEFAULT 0 NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp (3) with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
ALTER TABLE "credentials" ADD CONSTRAINT "credentials_agent_id_agents_id_fk" FOREIGN KEY ("agent_id") REFERENCES "public"."agents"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "executions" ADD CONSTRAINT "executions_session_id_sessions_id_fk" FOREIGN KEY ("session_id") REFERENCES "public"."sessions"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "ledger_entries" ADD CONSTRAINT "ledger_entries_transfer_id_ledger_transfers_id_fk" FOREIGN KEY ("transfer_id") REFERENCES "public"."ledger_transfers"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "receipts" ADD CONSTRAINT "receipts_execution_id_executions_id_fk" FOREIGN KEY ("execution_id") REFERENCES "public"."executions"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "sessions" ADD CONSTRAINT "sessions_agent_id_agents_id_fk" FOREIGN KEY ("agent_id") REFERENCES "public"."agents"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "sessions" ADD CONSTRAINT "sessions_provider_id_providers_id_fk" FOREIGN KEY ("provider_id") REFERENCES "public"."providers"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "credentials_agent" ON "credentials" USING btree ("agent_id","kind");--> statement-breakpoint
CREATE INDEX "disputes_session" ON "disputes" USING btree ("session_id");--> statement-breakpoint
CREATE UNIQUE INDEX "executions_key" ON "executions" USING btree ("session_id","idempotency_key");--> statement-breakpoint
CREATE INDEX "executions_session" ON "executions" USING btree ("session_id","id");--> statement-breakpoint
CREATE INDEX "executions_lease" ON "executions" USING btree ("lease_until") WHERE "executions"."hold_status" = 'open';--> statement-breakpoint
CREATE INDEX "ledger_entries_account" ON "ledger_entries" USING btree ("account","id");--> statement-breakpoint
CREATE INDEX "ledger_entries_transfer" ON "ledger_entries" USING btree ("transfer_id");--> statement-breakpoint
CREATE UNIQUE INDEX "ledger_transfers_once" ON "ledger_transfers" USING btree ("kind","reference");--> statement-breakpoint
CREATE INDEX "log_chunks_age" ON "log_chunks" USING btree ("at");--> statement-breakpoint
CREATE INDEX "providers_payout" ON "providers" USING btree ("payout");--> statement-breakpoint
CREATE UNIQUE INDEX "receipts_chain" ON "receipts" USING btree ("session_id","sequence");--> statement-breakpoint
CREATE INDEX "sessions_agent" ON "sessions" USING btree ("agent_id","id");--> statement-breakpoint
CREATE INDEX "sessions_provider" ON "sessions" USING btree ("provider_id","status");--> statement-breakpoint
CREATE INDEX "sessions_unsettled" ON "sessions" USING btree ("status") WHERE "sessions"."status" in ('ending', 'completed');--> statement-breakpoint
CREATE UNIQUE INDEX "transactions_once" ON "transactions" USING btree ("kind","reference") WHERE "transactions"."status" <> 'failed';--> statement-breakpoint
CREATE UNIQUE INDEX "transactions_nonce" ON "transactions" USING btree ("nonce") WHERE "transactions"."nonce" is not null;--> statement-breakpoint
CREATE INDEX "transactions_open" ON "transactions" USING btree ("status") WHERE "transactions"."status" not in ('final', 'failed');--> statement-breakpoint
CREATE INDEX "transactions_session" ON "transactions" USING btree ("session_id");
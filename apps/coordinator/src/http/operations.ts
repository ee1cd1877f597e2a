import * as api from '@orien/protocol'
import type { FastifyInstance, FastifyReply } from 'fastify'
import { z } from 'zod'
import { createKey, listKeys, revokeKey } from '../access/keys.ts'
import { createChallenge, verifyChallenge } from '../access/signIn.ts'
import { viewBalance } from '../custody/balance.ts'
import type { Unit } from '../db/executor.ts'
import { getEarnings } from '../earnings/read.ts'
import { draftEnrolment } from '../enrolment/draft.ts'
import { openEnrolment } from '../enrolment/open.ts'
import { getEnrolment } from '../enrolment/read.ts'
import { signEnrolment } from '../enrolment/sign.ts'
import { cancelExecution } from '../execution/cancel.ts'
import { extendRequested } from '../execution/extend.ts'
import { getExecution, listExecutions } from '../execution/read.ts'
import { type Submitter, submitExecution } from '../execution/submit.ts'
import { viewExecution } from '../execution/view.ts'
import { submitAndWait } from '../execution/wait.ts'
import { getMetering } from '../metering/read.ts'
import { type Recorder, recordReceipt, reportError } from '../metering/record.ts'
import { deleteProvider, recordHeartbeat, setProviderDisabled } from '../provider/change.ts'
import { getProvider, listProviders } from '../provider/read.ts'
import { registerProvider } from '../provider/register.ts'
import { refundSession } from '../refunds/refundSession.ts'
import type { Accruer } from '../session/accrue.ts'
import { endSession } from '../session/end.ts'
import type { Ender } from '../session/ender.ts'
import { openSession } from '../session/open.ts'
import { getSession, listSessions } from '../session/read.ts'
import { startSession } from '../session/start.ts'
import { topUpSession } from '../session/topUp.ts'
import { acceptVoucher } from '../session/voucher.ts'
import { makeBill } from '../settlement/bill.ts'
import { listPayments, pay } from '../settlement/payments.ts'
import { createSolvencyReader } from '../solvency/read.ts'
import { readIdempotencyKey, readPart, readWaitMs } from './input.ts'
import { traceparentOf } from './observe.ts'
import { authorise, type Call, type HttpParts, serve, serveOnce } from './route.ts'

/** What the routes of executions and receipts need besides the context. */
export type Batches = { submitter: Submitter; recorder: Recorder; accruer: Accruer; ender: Ender }

type Act = typeof api.actOnSession
type ActVerb = (unit: Unit, input: api.OperationInput<Act>, call: Call) => Promise<api.OperationOutput<Act>>

export function serveAccess(app: FastifyInstance, parts: HttpParts): void {
  const { ctx, authenticator } = parts
  serve(app, parts, api.createChallenge, ({ body }) => createChallenge(ctx, body.address))
  serve(app, parts, api.verifyChallenge, ({ body }) => verifyChallenge(ctx, body))
  // No Idempotency-Key: keeping the answer would keep the secret.
  serve(app, parts, api.createKey, ({ body }, { caller }) =>
    ctx.db.write((unit) => createKey(ctx, unit, caller, body)),
  )
  serve(app, parts, api.listKeys, ({ query }, { caller }) => listKeys(ctx, caller, query))
  serve(app, parts, api.revokeKey, async ({ params }, { caller }) => {
    const revoked = await revokeKey(ctx, caller, params.id)
    authenticator.forget(params.id)
    return revoked
  })
}

export function serveProviders(app: FastifyInstance, parts: HttpParts): void {
  const { ctx } = parts
  serve(app, parts, api.listProviders, ({ query }) => listProviders(ctx, query))
  serve(app, parts, api.registerProvider, ({ body }) => registerProvider(ctx, body))
  serve(app, parts, api.getProvider, ({ params }) => getProvider(ctx, params))
  serve(app, parts, api.updateProvider, ({ params, body }, { caller }) =>
    setProviderDisabled(ctx, caller, { id: params.id, disabled: body.disabled }),
  )
  serve(app, parts, api.deleteProvider, ({ params }, { caller }) => deleteProvider(ctx, caller, params.id))
  serve(app, parts, api.heartbeat, ({ params, body }) =>
    recordHeartbeat(ctx, { id: params.id, proof: body.proof }),
  )
}

export function serveEnrolments(app: FastifyInstance, parts: HttpParts): void {
  const { ctx } = parts
  serve(app, parts, api.createEnrolment, (_input, { caller }) => openEnrolment(ctx, caller))
  serve(app, parts, api.getEnrolment, ({ params }) => getEnrolment(ctx, params.code))
  serve(app, parts, api.actOnEnrolment, ({ params, body }) =>
    body.action === 'draft'
      ? draftEnrolment(ctx, params.code, body.draft)
      : signEnrolment(ctx, params.code, body.signatures),
  )
}

export function serveSessions(app: FastifyInstance, parts: HttpParts, { accruer, ender }: Batches): void {
  const { ctx } = parts
  serve(app, parts, api.listSessions, ({ query }, { caller }) => listSessions(ctx, caller, query))
  serveOnce(app, parts, api.openSession, (unit, { body }, { caller }) => openSession(ctx, unit, caller, body))
  serve(app, parts, api.getSession, ({ params }, { caller }) => getSession(ctx, caller, params.id))
  serveOnce(app, parts, api.refundSession, (unit, { params }, { caller }) =>
    refundSession(ctx, unit, caller, params.id),
  )
  const act: ActVerb = (unit, { params: { id }, body }, { caller }) => {
    switch (body.action) {
      case 'start':
        return startSession(ctx, unit, caller, id, body)
      case 'voucher':
        // What is not raised now, because something fails here, is at the next tick of its meter.
        unit.after(
          () =>
            void extendRequested(ctx, id).catch((err) => ctx.log.warn({ event: 'run.unextended', id, err })),
        )
        return acceptVoucher(ctx, unit, caller, id, body.voucher)
      case 'topUp':
        return topUpSession(ctx, unit, caller, id, body)
      case 'end':
        return endSession(ctx, unit, caller, id)
    }
  }
  // A voucher is cumulative, so it needs no key to be safe to repeat; without one it shares a commit with others.
  serveOnce(app, parts, api.actOnSession, act, ({ params: { id }, body }, { caller }) =>
    body.action === 'voucher'
      ? accruer.accrue(caller, id, body.voucher).then(() => getSession(ctx, caller, id))
      : undefined,
  )
  serve(app, parts, api.endSession, ({ params }, { caller }) => ender.end(caller, params.id))
  app.get(api.getBill.path, async (request, reply) => {
    const caller = await authorise(parts, request)
    const { id } = readPart('params', api.getBill.params, request.params) as { id: api.Id<'session'> }
    // The text itself is the contract: serialising it again could only spoil it.
    return reply.type('application/json; charset=utf-8').send(await makeBill(ctx, caller, id))
  })
}

export function serveExecutions(app: FastifyInstance, parts: HttpParts, { submitter }: Batches): void {
  const { ctx } = parts
  app.post(api.execute.path, async (request, reply) => {
    const caller = await authorise(parts, request)
    const params = readPart('params', api.execute.params, request.params) as { id: string }
    const body = readPart('body', api.execute.body, request.body) as api.OperationInput<
      typeof api.execute
    >['body']
    const key = readIdempotencyKey(request.headers['idempotency-key']) ?? ctx.random.id('request')
    const traceparent = traceparentOf(request)
    const asked = { sessionId: params.id, key, body, traceparent }
    const submit = () => submitExecution(ctx, submitter, caller, asked)
    const waitMs = readWaitMs(request.headers.prefer)
    const wait = { sessionId: params.id, waitMs, signal: goneSignal(reply) }
    const view = waitMs > 0 ? await submitAndWait(ctx, caller, wait, submit) : viewExecution(await submit())
    const isOver = view.status === 'completed' || view.status === 'failed'
    reply.code(isOver ? 200 : 202).header('location', `/api/executions/${view.id}`)
    if (waitMs > 0) reply.header('preference-applied', `wait=${Math.ceil(waitMs / 1_000)}`)
    return sendView(reply, view)
  })
  serve(app, parts, api.listExecutions, (input, { caller }) => listExecutions(ctx, caller, input))
  serve(app, parts, api.getExecution, ({ params }, { caller }) => getExecution(ctx, caller, params.id))
  serve(app, parts, api.cancelExecution, ({ params }, { caller }) => cancelExecution(ctx, caller, params.id))
}

/** Aborted when the caller has hung up. */
function goneSignal(reply: FastifyReply): AbortSignal {
  const gone = new AbortController()
  reply.raw.once('close', () => gone.abort())
  return gone.signal
}

function sendView(reply: FastifyReply, view: api.ExecutionView) {
  return reply
    .type('application/json; charset=utf-8')
    .send(JSON.stringify(z.encode(api.execute.output, view)))
}

export function serveMoney(app: FastifyInstance, parts: HttpParts, { recorder }: Batches): void {
  const { ctx } = parts
  serve(app, parts, api.reportUsage, async ({ body }) => {
    const results = []
    for (const jws of body.receipts) results.push(await recordReceipt(ctx, recorder, jws))
    const [only] = results
    if (results.length === 1 && only && !only.accepted) throw reportError(only)
    return { results }
  })
  serve(app, parts, api.getMetering, ({ query }, { caller }) => getMetering(ctx, caller, query))
  serveOnce(app, parts, api.pay, (unit, { body }, { caller }) => pay(ctx, unit, caller, body))
  serve(app, parts, api.getBalance, (_, { caller }) => viewBalance(ctx, ctx.db.read, caller))
  serve(app, parts, api.listPayments, ({ query }, { caller }) => listPayments(ctx, caller, query))
  serve(app, parts, api.getSolvency, createSolvencyReader(ctx))
  serve(app, parts, api.getEarnings, ({ query }, { caller }) => getEarnings(ctx, caller, query))
}

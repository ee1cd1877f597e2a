import { z } from 'zod'
import { voucher } from '../channel.ts'
import { executionStatus } from '../execution.ts'
import { executionId, sessionId } from '../ids.ts'
import { toolId } from '../manifest.ts'
import { usdcMicros } from '../money.ts'
import { executionView } from '../views.ts'
import { operation, page, pageQuery } from './operation.ts'

const params = z.strictObject({ id: executionId })

/** `POST /api/sessions/:id/execute` */
export const execute = operation({
  id: 'execute',
  method: 'POST',
  path: '/api/sessions/:id/execute',
  tag: 'executions',
  summary: 'Runs a tool; with `Prefer: wait=N` the answer is the result',
  actor: 'agent',
  status: 202,
  idempotent: true,
  params: z.strictObject({ id: sessionId }),
  body: z.strictObject({
    tool: toolId,
    args: z.record(z.string().max(100), z.unknown()).default({}),
    /** The run stops when it has cost this much. */
    maxCostMicros: usdcMicros.optional(),
    voucher: voucher.optional(),
  }),
  output: executionView,
  errors: [
    'not_found',
    'session_not_active',
    'tool_not_offered',
    'budget_exhausted',
    'voucher_required',
    'voucher_invalid',
    'insufficient_funds',
    'deposit_refused',
    'relay_limit_reached',
    'provider_offline',
    'provider_closed',
    'payer_blocked',
    'rate_limited',
    'chain_unavailable',
    'overloaded',
  ],
})

/** `GET /api/sessions/:id/executions` */
export const listExecutions = operation({
  id: 'listExecutions',
  method: 'GET',
  path: '/api/sessions/:id/executions',
  tag: 'executions',
  summary: 'The executions of a session, newest first',
  actor: 'agent',
  params: z.strictObject({ id: sessionId }),
  query: z.strictObject({ ...pageQuery, status: executionStatus.optional() }),
  output: page(executionView),
  errors: ['not_found'],
})

/** `GET /api/executions/:id` */
export const getExecution = operation({
  id: 'getExecution',
  method: 'GET',
  path: '/api/executions/:id',
  tag: 'executions',
  summary: 'One execution with its receipt',
  actor: 'agent',
  params,
  output: executionView,
  errors: ['not_found'],
})

/** `DELETE /api/executions/:id` */
export const cancelExecution = operation({
  id: 'cancelExecution',
  method: 'DELETE',
  path: '/api/executions/:id',
  tag: 'executions',
  summary: 'Stops a run; what it used so far is billed',
  actor: 'agent',
  status: 202,
  params,
  output: executionView,
  errors: ['not_found', 'execution_finished'],
})

import { z } from 'zod'
import type { ErrorCode } from '../errors.ts'
import { LIMITS } from '../limits.ts'

/** Who may call: anyone, a signed-in agent, the owner of a provider, or whoever holds a valid signature in the body. */
export type Actor = 'public' | 'agent' | 'owner' | 'signature'

type AnyObject = z.ZodObject | z.ZodDiscriminatedUnion

/**
 * One use case, declared once. Routes, the OpenAPI document, the SDK and the command line are derived from it.
 * `Body` of `undefined` means that the call has none.
 */
export type Operation<
  Params extends z.ZodObject | undefined = z.ZodObject | undefined,
  Query extends z.ZodObject | undefined = z.ZodObject | undefined,
  Body extends AnyObject | undefined = AnyObject | undefined,
  Output extends z.ZodType = z.ZodType,
> = {
  id: string
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** With `:name` for each member of `params`. */
  path: string
  tag: string
  summary: string
  actor: Actor
  params: Params
  query: Query
  body: Body
  output: Output
  status: 200 | 201 | 202
  errors: readonly ErrorCode[]
  /** Takes an Idempotency-Key. */
  idempotent: boolean
}

type Draft<P, Q, B, O> = {
  id: string
  method: Operation['method']
  path: string
  tag: string
  summary: string
  actor: Actor
  output: O
  params?: P
  query?: Q
  body?: B
  status?: 200 | 201 | 202
  errors?: readonly ErrorCode[]
  idempotent?: boolean
}

/** Declares an operation; what is left out has its plain default. */
export function operation<
  O extends z.ZodType,
  P extends z.ZodObject | undefined = undefined,
  Q extends z.ZodObject | undefined = undefined,
  B extends AnyObject | undefined = undefined,
>(draft: Draft<P, Q, B, O>): Operation<P, Q, B, O> {
  return {
    ...draft,
    params: draft.params as P,
    query: draft.query as Q,
    body: draft.body as B,
    status: draft.status ?? 200,
    errors: draft.errors ?? [],
    idempotent: draft.idempotent ?? false,
  }
}

/** `?limit=&cursor=` of every list. */
export const pageQuery = {
  limit: z.coerce.number().int().min(1).max(LIMITS.pageItems).default(20),
  cursor: z.string().max(200).optional(),
}

/** A page of a list. */
export const page = <Item extends z.ZodType>(item: Item) =>
  z.strictObject({ items: z.array(item), nextCursor: z.string().optional() })

type Decoded<S> = S extends z.ZodType ? z.output<S> : undefined
type Encoded<S> = S extends z.ZodType ? z.input<S> : undefined

/** What a verb receives: decoded and checked. */
export type OperationInput<Op extends Operation> = {
  params: Decoded<Op['params']>
  query: Decoded<Op['query']>
  body: Decoded<Op['body']>
}

/** What a verb returns. */
export type OperationOutput<Op extends Operation> = z.output<Op['output']>

/** What a client sends, before encoding: amounts as `bigint`. */
export type OperationRequest<Op extends Operation> = OperationInput<Op>

/** What travels. */
export type OperationWire<Op extends Operation> = { body: Encoded<Op['body']>; answer: z.input<Op['output']> }

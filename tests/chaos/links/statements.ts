/** One message of PostgreSQL's protocol. */
export type Message = { type: string; body: Buffer }

/** What statements do, by their text; the first match names them. */
const NAMES: readonly (readonly [text: RegExp, name: string])[] = [
  [/execution_submit\(/, 'submit'],
  [/receipt_record\(/, 'record'],
  [/execution_expire\(/, 'expire'],
  [/pg_try_advisory_lock/, 'lead'],
  [/insert into "sessions"/, 'open session'],
  [/insert into "transactions"/, 'plan'],
  [/insert into "transaction_variants"/, 'keep bytes'],
  [/update "transactions"/, 'move'],
  [/insert into "ledger_transfers"/, 'post'],
  [/insert into "answers"|insert into "idempotency/, 'keep answer'],
  [/update "executions" set "status"/, 'mark started'],
  [/insert into "log_chunks"/, 'log'],
  [/update "sessions"/, 'change session'],
  [/update "providers"/, 'touch provider'],
  [/^commit/i, 'commit'],
  [/^rollback/i, 'rollback'],
  [/^begin/i, 'begin'],
]

/** Of a transaction, the first of these names it; changes of the session's row come with most of them. */
const TELLING = new Set(['open session', 'plan', 'move', 'post', 'mark started', 'change session'])

/** The states that the relayer moves its transactions to. */
const MOVES = ['signed', 'broadcast', 'mined', 'final', 'failed', 'reorged']

const textUpTo = (body: Buffer, from: number): [text: string, end: number] => {
  const end = body.indexOf(0, from)
  return [body.toString('utf8', from, end), end + 1]
}

/** @returns a reader for one connection: it remembers prepared statements and what its transaction has done so far */
export function readStatements(): (messages: readonly Message[]) => string | null {
  const prepared = new Map<string, string>()
  let transaction: string | null = null
  return (messages) => {
    const last = messages.at(-1)?.type
    if (last !== 'S' && last !== 'Q') return null
    const name = nameOf(messages, prepared)
    if (name === 'begin') transaction = ''
    else if (name === 'commit' || name === 'rollback') {
      const of = transaction || 'other'
      transaction = null
      return `${name} of ${of}`
    } else if (transaction !== null && isMoreTelling(name, transaction)) transaction = name
    return name
  }
}

function isMoreTelling(name: string, before: string): boolean {
  if (before === '') return TELLING.has(name.replace(/ to .*/, ''))
  return before === 'change session' && TELLING.has(name.replace(/ to .*/, ''))
}

function nameOf(messages: readonly Message[], prepared: Map<string, string>): string {
  let text = ''
  let values: Buffer = Buffer.alloc(0)
  for (const { type, body } of messages) {
    if (type === 'Q') [text] = textUpTo(body, 0)
    if (type === 'P') {
      const [statement, at] = textUpTo(body, 0)
      ;[text] = textUpTo(body, at)
      prepared.set(statement, text)
    }
    if (type === 'B') {
      const [, at] = textUpTo(body, 0)
      const [statement, end] = textUpTo(body, at)
      text = prepared.get(statement) ?? text
      values = body.subarray(end)
    }
  }
  const name = NAMES.find(([pattern]) => pattern.test(text.trimStart()))?.[1] ?? 'other'
  if (name !== 'move') return name
  return `move to ${firstOf(MOVES, values) ?? 'other'}`
}

/** What is written comes before what was there: an update's own values before those of its condition. */
function firstOf(words: readonly string[], values: Buffer): string | undefined {
  const found = words.map((word) => ({ word, at: values.indexOf(word) })).filter(({ at }) => at >= 0)
  return found.toSorted((a, b) => a.at - b.at)[0]?.word
}

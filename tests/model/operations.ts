import fc from 'fast-check'

/** How an amount is chosen, seen from what the session needs or has at that moment. */
export type Amount = 'none' | 'lower' | 'equal' | 'needed' | 'short' | 'whole' | 'over'
export type Cap = 'none' | 'one' | 'tooSmall' | 'smallest' | 'half' | 'endless'
export type Lie =
  | 'none'
  | 'again'
  | 'sequence'
  | 'previous'
  | 'cumulative'
  | 'cost'
  | 'hold'
  | 'slow'
  | 'impossible'
  | 'earlier'
/** How much of its grant a run has used up, seen from its half. */
type Used = 'early' | 'half' | 'late'
export type Effort = 'rejected' | 'nothing' | 'one' | 'half' | 'all'

/** One thing that somebody does. Sessions and runs are named by turn, so that every history can be carried out. */
export type Operation =
  | { do: 'start'; session: number }
  | { do: 'submit'; session: number; key: number; tool: number; note: string; cap: Cap; voucher: Amount }
  | { do: 'voucher'; session: number; amount: Amount; isStreamed: boolean }
  | { do: 'topUp'; session: number; amount: bigint; salt: number }
  | { do: 'started'; session: number; run: number }
  | { do: 'tick'; session: number; run: number; used: Used; knows: 'present' | 'earlier' }
  | { do: 'stretch'; session: number; key: number; amount: Amount; used: Used; knows: 'present' | 'earlier' }
  | { do: 'cancel'; session: number; run: number }
  | { do: 'receipt'; session: number; run: number; effort: Effort; lie: Lie; wasStarted: boolean }
  | { do: 'late'; session: number; run: number; key: number }
  | { do: 'inflate'; session: number; key: number }
  | { do: 'end'; session: number }
  | { do: 'pass'; ms: number }
  | { do: 'lease'; session: number; run: number; isOver: boolean }
  | { do: 'sweep' }
  | { do: 'claim' }
  | { do: 'chain'; session: number; isSuccess: boolean }
  | { do: 'restart' }

/** Most happens in the first sessions, so that their histories get deep. */
const turn = fc.constantFrom(0, 0, 0, 1, 1, 2, 3)
const run = fc.nat({ max: 7 })
const most = <T>(usual: T, ...others: T[]): fc.Arbitrary<T> =>
  fc.oneof(
    { weight: 2 * others.length, arbitrary: fc.constant(usual) },
    { weight: others.length, arbitrary: fc.constantFrom(...others) },
  )

const submit = fc.record({
  do: fc.constant('submit' as const),
  session: turn,
  key: fc.nat({ max: 11 }),
  tool: fc.nat({ max: 2 }),
  note: most('', 'other'),
  cap: most<Cap>('none', 'one', 'tooSmall', 'smallest', 'half', 'endless'),
  voucher: most<Amount>('needed', 'none', 'lower', 'equal', 'short', 'whole', 'over'),
})

const receipt = fc.record({
  do: fc.constant('receipt' as const),
  session: turn,
  run,
  wasStarted: most(false, true),
  effort: fc.constantFrom<Effort>('rejected', 'nothing', 'one', 'half', 'all'),
  lie: fc.oneof(
    { weight: 6, arbitrary: fc.constant<Lie>('none') },
    { weight: 2, arbitrary: fc.constant<Lie>('again') },
    {
      weight: 8,
      arbitrary: fc.constantFrom<Lie>(
        'sequence',
        'previous',
        'cumulative',
        'cost',
        'hold',
        'slow',
        'earlier',
      ),
    },
  ),
})

/** Everything that can happen, what happens most most often. */
export const OPERATIONS: readonly { weight: number; arbitrary: fc.Arbitrary<Operation> }[] = [
  { weight: 12, arbitrary: submit },
  { weight: 9, arbitrary: receipt },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('late' as const), session: turn, run, key: fc.nat({ max: 11 }) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('chain' as const),
      session: turn,
      isSuccess: most(true, true, true, false),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('voucher' as const),
      session: turn,
      amount: fc.constantFrom<Amount>('none', 'lower', 'equal', 'needed', 'whole', 'over'),
      isStreamed: fc.boolean(),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('topUp' as const),
      session: turn,
      amount: fc.constantFrom(1n, 777n, 1_000_000n),
      salt: fc.nat({ max: 1 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('inflate' as const), session: turn, key: fc.nat({ max: 11 }) }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('started' as const), session: turn, run }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('stretch' as const),
      session: turn,
      key: fc.nat({ max: 11 }),
      amount: fc.constantFrom<Amount>('needed', 'short', 'whole', 'whole'),
      used: fc.constantFrom<Used>('half', 'early'),
      knows: fc.constantFrom('present', 'earlier'),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('tick' as const),
      session: turn,
      run,
      used: most<Used>('half', 'early', 'late'),
      knows: most<'present' | 'earlier'>('present', 'earlier'),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('cancel' as const), session: turn, run }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('start' as const), session: turn }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('end' as const), session: turn }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('pass' as const),
      ms: fc.constantFrom(1, 60, 500, 5_000, 70_000),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('lease' as const), session: turn, run, isOver: fc.boolean() }),
  },
  { weight: 2, arbitrary: fc.constant({ do: 'sweep' as const }) },
  { weight: 2, arbitrary: fc.constant({ do: 'claim' as const }) },
  { weight: 1, arbitrary: fc.constant({ do: 'restart' as const }) },
]

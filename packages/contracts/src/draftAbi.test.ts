import { type AbiFunction, toEventSelector, toFunctionSelector, toFunctionSignature } from 'viem'
import { describe, expect, test } from 'vitest'
import { orienEscrowAbi } from './index.ts'

// Typed from the text of draft-evm-session-00, not from our source.
const draftFunctions = [
  'open(address,address,uint128,bytes32,address)',
  'openWithAuthorization(address,address,uint128,bytes32,address,address,uint256,uint256,bytes32,bytes)',
  'settle(bytes32,uint128,bytes)',
  'topUp(bytes32,uint128)',
  'topUpWithAuthorization(bytes32,uint128,address,bytes32,uint256,uint256,bytes32,bytes)',
  'close(bytes32,uint128,bytes)',
  'requestClose(bytes32)',
  'withdraw(bytes32)',
  'settleWithAuthorization(bytes32,uint128,uint256,uint256,bytes,bytes)',
  'closeWithAuthorization(bytes32,uint128,uint256,uint256,bytes,bytes)',
  'computeChannelId(address,address,address,bytes32,address)',
  'getChannel(bytes32)',
  'CLOSE_GRACE_PERIOD()',
]
const draftErrors = [
  ...['ChannelAlreadyExists', 'ChannelNotFound', 'ChannelFinalized', 'NotPayee', 'NotPayer'],
  ...['AmountNotIncreasing', 'AmountExceedsDeposit', 'InvalidSignature', 'NonceMismatch', 'NonceAlreadyUsed'],
  ...['AuthorizationExpired', 'CloseNotReady', 'ZeroDeposit', 'DepositOverflow'],
]
const providerBatches = '(address,uint256,bytes32,bytes32,(bytes32,uint128,uint128,bytes32,bytes32)[])[]'
const functions: AbiFunction[] = orienEscrowAbi.filter((item) => item.type === 'function')

describe('the draft, word for word', () => {
  test.each(draftFunctions)('%s has the selector that the draft gives it', (signature) => {
    expect(functions.map(toFunctionSelector)).toContain(toFunctionSelector(`function ${signature}`))
  })

  test('every error that the draft names exists, without arguments', () => {
    const bare = orienEscrowAbi.filter((item) => item.type === 'error' && item.inputs.length === 0)
    expect(bare.map((item) => ('name' in item ? item.name : ''))).toEqual(expect.arrayContaining(draftErrors))
  })

  test('getChannel returns the fields of the draft in its order', () => {
    const [channel] = functions.find((item) => item.name === 'getChannel')?.outputs ?? []
    expect(channel).toMatchObject({
      components: [
        { name: 'payer', type: 'address' },
        { name: 'payee', type: 'address' },
        { name: 'token', type: 'address' },
        { name: 'authorizedSigner', type: 'address' },
        { name: 'deposit', type: 'uint128' },
        { name: 'settled', type: 'uint128' },
        { name: 'closeRequestedAt', type: 'uint64' },
        { name: 'finalized', type: 'bool' },
      ],
    })
  })

  test('nothing but the listed functions changes state', () => {
    const writing = functions.filter(
      (item) => item.stateMutability !== 'view' && item.stateMutability !== 'pure',
    )
    const ours = [
      'claim(bytes32,uint128,uint128,bytes)',
      'claimAndClose(bytes32,uint128,uint128,bytes)',
      'claimWithAuthorization(bytes32,uint128,uint128,bytes,uint256,uint256,bytes)',
      'claimAndCloseWithAuthorization(bytes32,uint128,uint128,bytes,uint256,uint256,bytes)',
      `claimBatch(${providerBatches})`,
      `closeBatch(${providerBatches})`,
      'tryAll(bytes[],uint256)',
      'requestCloseWithAuthorization(bytes32,uint256,uint256,bytes)',
      'setOperator(address,bool)',
      'setOperatorWithAuthorization(address,address,bool,uint256,uint256,bytes)',
      'withdrawCredit(address)',
      'deliverCredit(address)',
    ]
    const draftWriting = draftFunctions.slice(0, 10)
    expect(writing.map(toFunctionSignature).sort()).toEqual([...draftWriting, ...ours].sort())
  })

  test('events carry what a bill needs, indexed by channel', () => {
    const settled = 'event ChannelSettled(bytes32 indexed,uint128,uint128,uint128,uint128)'
    const closed = 'event ChannelClosed(bytes32 indexed,address indexed,address indexed,uint128,uint128)'
    const selectors = orienEscrowAbi
      .filter((item) => item.type === 'event')
      .map((item) => toEventSelector(item))
    expect(selectors).toEqual(expect.arrayContaining([toEventSelector(settled), toEventSelector(closed)]))
  })
})

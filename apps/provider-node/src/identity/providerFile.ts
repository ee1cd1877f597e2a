import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { address, OrienError, operatorAuthorization, signedRegistration, usdcMicros } from '@orien/protocol'
import { endpointsOf } from '@orien/sdk'
import { z } from 'zod'

/** What a provider is, beside its keys: signed by its owner once, kept on the node, nothing in it is secret. */
const providerFile = z.strictObject({
  v: z.literal(1),
  ...signedRegistration.shape,
  operatorAuthorization,
  rateMicrosPerMinute: usdcMicros.refine((rate) => rate > 0n, 'must be above zero'),
  chain: z.strictObject({ chainId: z.int().positive(), escrow: address, token: address }),
  /** The node's own way to the chain: it believes no one else about a channel. */
  rpcUrl: z
    .string()
    .refine((list) => {
      const urls = endpointsOf(list)
      return urls.length > 0 && urls.every((url) => URL.canParse(url))
    }, 'must be one URL, or several with commas between them')
    .optional(),
  coordinatorUrl: z.url().optional(),
})
/** See {@link providerFile}. */
export type Provider = z.output<typeof providerFile>

const NAME = 'provider.json'

/** @throws OrienError `setup_failed` when it is absent or not one */
export async function loadProvider(dataDir: string): Promise<Provider> {
  const text = await readFile(join(dataDir, NAME), 'utf8').catch((cause: unknown) => {
    throw new OrienError('setup_failed', `no ${NAME} here: run \`orien provider init\` first`, {}, { cause })
  })
  const parsed = providerFile.safeDecode(parseJson(text))
  if (parsed.success) return parsed.data
  const issues = parsed.error.issues.map(({ path, message }) => ({ path: path.join('.'), message }))
  throw new OrienError('setup_failed', `${NAME} is not valid`, { issues })
}

function parseJson(text: string): z.input<typeof providerFile> {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new OrienError('setup_failed', `${NAME} is not JSON`, {}, { cause })
  }
}

/** Replaces it in one step, so that a crash leaves the old or the new one. */
export async function saveProvider(dataDir: string, provider: Provider): Promise<void> {
  const path = join(dataDir, NAME)
  const next = `${path}.new`
  await writeFile(next, `${JSON.stringify(providerFile.encode(provider), null, 2)}\n`, {
    mode: 0o600,
    flush: true,
  })
  await rename(next, path)
}

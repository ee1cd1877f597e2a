import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'

async function post(url: string, body: unknown): Promise<Record<string, string>> {
  const answer = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  return (await answer.json()) as Record<string, string>
}

/** Signs a wallet in as any agent does; a fresh one unless told. */
export async function signIn(
  baseUrl: string,
  account = privateKeyToAccount(generatePrivateKey()),
): Promise<{ token: string; agentId: string }> {
  const { message = '' } = await post(`${baseUrl}/api/auth/challenge`, { address: account.address })
  const signature = await account.signMessage({ message })
  const { token = '', agentId = '' } = await post(`${baseUrl}/api/auth/verify`, { message, signature })
  return { token, agentId }
}

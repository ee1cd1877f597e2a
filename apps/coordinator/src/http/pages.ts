import { BILLABLE_STATES, ERRORS, type ErrorCode, OPERATIONS, STREAMS } from '@orien/protocol'
import type { Context } from '../context.ts'

/** Text in HTML. */
function escapeHtml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
}

const STYLE = `
:root { color-scheme: light dark; --ink: #14161a; --dim: #5b6370; --line: #e3e6ea; --paper: #fff; --soft: #f6f7f9; --accent: #2257d6; }
@media (prefers-color-scheme: dark) { :root { --ink: #eceef2; --dim: #9aa3b2; --line: #262b34; --paper: #0d0f13; --soft: #14181f; --accent: #86a8ff; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.6 ui-sans-serif, system-ui, -apple-system, "Segoe UI", sans-serif; }
main { max-width: 60rem; margin: 0 auto; padding: 4rem 1.25rem; }
h1 { font-size: clamp(1.9rem, 5vw, 3rem); line-height: 1.12; letter-spacing: -.025em; margin: 0 0 1rem; max-width: 22ch; }
h2 { font-size: 1.15rem; margin: 3rem 0 .75rem; } p { max-width: 42rem; } a { color: var(--accent); }
.lead { font-size: 1.15rem; color: var(--dim); } .brand { font-weight: 650; letter-spacing: .08em; margin-bottom: 3rem; }
pre, code { font: .875rem/1.6 ui-monospace, "SF Mono", Menlo, Consolas, monospace; }
pre { background: var(--soft); border: 1px solid var(--line); border-radius: 10px; padding: 1rem; overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .925rem; } td, th { text-align: left; padding: .5rem .75rem .5rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { color: var(--dim); font-weight: 500; } .scroll { overflow-x: auto; } tr:target { background: var(--soft); }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: 1px; background: var(--line); border: 1px solid var(--line); border-radius: 12px; overflow: hidden; margin: 2.5rem 0; }
.figures div { background: var(--paper); padding: 1.1rem 1.25rem; } .figures b { display: block; font-size: 1.5rem; letter-spacing: -.02em; font-variant-numeric: tabular-nums; } .figures span { color: var(--dim); font-size: .875rem; }
.method { font-weight: 600; display: inline-block; min-width: 4.2em; }
`

function page(title: string, body: string): string {
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><title>${escapeHtml(title)}</title><style>${STYLE}</style></head><body><main><p class="brand">ORIEN</p>${body}</main></body></html>`
}

// Live figures come from the API that everyone has; there are none that only this page knows.
const LIVE = `
const show = (id, text) => { document.getElementById(id).textContent = text }
const read = async (path) => (await fetch(path)).json()
const refresh = async () => {
  try {
    const [health, providers] = await Promise.all([read('/api/health'), read('/api/providers?online=true&limit=100')])
    show('status', health.status); show('online', String(health.providersOnline))
    show('tools', String(new Set(providers.items.flatMap((p) => p.tools.map((t) => t.id))).size))
    const rates = providers.items.map((p) => Number(p.rateMicrosPerMinute)).sort((a, b) => a - b)
    show('price', rates.length ? (rates[0] / 1e6).toString() + ' USDC' : 'none')
  } catch { show('status', 'unreachable') }
}
refresh(); setInterval(refresh, 5000)`

/** The first page: what this is, what is live, and the first command. */
export function homePage({ config, chain }: Pick<Context, 'config' | 'chain'>): string {
  const body = `
<h1>The compute marketplace for agents</h1>
<p class="lead">Agents rent execution time of whitelisted tools on other people’s machines. They pay in USDC for effective execution time only, and anyone can recompute every bill.</p>
<div class="figures" aria-live="polite">
<div><b id="status">…</b><span>coordinator</span></div><div><b id="online">…</b><span>providers online</span></div>
<div><b id="tools">…</b><span>tools on offer</span></div><div><b id="price">…</b><span>lowest price per effective minute</span></div></div>
<h2>Run a tool</h2>
<pre>orien providers
orien run prv_… execute_script --arg language=python --arg code='print(6*7)' --budget 0.10</pre>
<h2>Rent out a machine</h2>
<pre>orien provider init --name "my machine" --rate 0.60 --new-owner ~/owner.key
orien provider start</pre>
<h2>Look closer</h2>
<p><a href="/api/docs">API reference</a> · <a href="/api/openapi.json">OpenAPI document</a> · <a href="/metrics">metrics</a> · <a href="/api/solvency">solvency</a> · settles on chain ${chain.chainId}, escrow <code>${chain.escrow}</code></p>
<p><small>Version ${escapeHtml(config.version)}. ${chain.chainId === 31337 ? 'This chain is a local stand-in: its USDC is Circle’s contract with worthless money.' : ''}</small></p>
<script>${LIVE}</script>`
  return page('ORIEN: the compute marketplace for agents', body)
}

/** The reference, derived from the tables that also serve the calls. */
export function referencePage(baseUrl: string, version: string, code?: ErrorCode): string {
  const calls = [
    ...OPERATIONS.map((op) => ({ method: op.method, path: op.path, text: op.summary })),
    ...STREAMS.map((stream) => ({
      method: stream.method,
      path: stream.path,
      text: String(stream.description.summary),
    })),
  ]
  const rows = calls
    .sort((a, b) => a.path.localeCompare(b.path))
    .map(
      ({ method, path, text }) =>
        `<tr><td><code><span class="method">${method}</span>${escapeHtml(path)}</code></td><td>${escapeHtml(text).replaceAll(/`([^`]+)`/g, '<code>$1</code>')}</td></tr>`,
    )
  const errors = Object.entries(ERRORS)
    .filter(([name]) => code === undefined || name === code)
    .map(
      ([name, row]) =>
        `<tr id="${name}"><td><code>${name}</code></td><td>${row.status}</td><td>${escapeHtml(row.title)}. ${escapeHtml(row.hint)}</td><td>${row.retryable ? 'yes' : 'no'}</td></tr>`,
    )
  const errorTable = `<div class="scroll"><table><tr><th>code</th><th>status</th><th>what, and what to do</th><th>retry</th></tr>${errors.join('')}</table></div>`
  if (code)
    return page(
      `${code} · ORIEN`,
      `<h1><code>${code}</code></h1>${errorTable}<p><a href="/api/docs">All calls and errors</a></p>`,
    )
  const states = BILLABLE_STATES.map(
    (row) =>
      `<tr><td>${row.thing}</td><td><code>${row.status}</code></td><td>${row.bills ? 'yes' : 'no'}</td><td>${escapeHtml(row.why)}</td></tr>`,
  )
  return page(
    'API reference · ORIEN',
    `<h1>API reference</h1><p class="lead">JSON over HTTP at <code>${escapeHtml(baseUrl)}</code>, version ${escapeHtml(version)}. Amounts are decimal strings of micro-USDC (1 USDC = "1000000"), durations integer milliseconds. The schemas of every call are in the <a href="/api/openapi.json">OpenAPI document</a>.</p>
<h2>Calls</h2><div class="scroll"><table><tr><th>call</th><th>what</th></tr>${rows.join('')}</table></div>
<h2>What bills, and what does not</h2><div class="scroll"><table><tr><th></th><th>status</th><th>bills</th><th>why</th></tr>${states.join('')}</table></div>
<h2 id="errors">Errors</h2><p>Every error is <code>application/problem+json</code> (RFC 9457) with one of these codes.</p>${errorTable}`,
  )
}

import type { View } from './protocol'

const base = '/face/print/api/'

/** The server answered that it will not; code says why. */
export class Refusal extends Error {
  constructor(readonly code: string) {
    super(code)
  }
}

/** The server could not be reached, or its answer not be read. */
export class Unreachable extends Error {}

const patience = 15_000 // ms for one call

async function call(path: string, init: RequestInit): Promise<View> {
  const abort = new AbortController()
  const timer = setTimeout(() => abort.abort(), patience)
  let body: unknown
  let ok: boolean
  try {
    const r = await fetch(base + path, {
      ...init,
      signal: abort.signal,
      cache: 'no-store',
      credentials: 'omit',
      referrerPolicy: 'no-referrer',
    })
    ok = r.ok
    body = await r.json()
  } catch {
    throw new Unreachable()
  } finally {
    clearTimeout(timer)
  }
  if (ok) return body as View
  const code = (body as { error?: { code?: string } } | null)?.error?.code
  throw code ? new Refusal(code) : new Unreachable()
}

const post = (path: string, body: object) =>
  call(path, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  })

export class Api {
  constructor(private readonly token: string) {}
  session = () => call('session?token=' + encodeURIComponent(this.token), {})
  consent = (version: string) => post('consent', { token: this.token, version })
  identity = (name: string, number: string, type: number) =>
    post('identity', { token: this.token, name, number, type })
  abandon = (reason: 'camera_refused' | 'cancelled') => post('abandon', { token: this.token, reason })
}

/** The address of the capture socket beside this page. */
export function socketAddress(page: { protocol: string; host: string }): string {
  return (page.protocol === 'https:' ? 'wss://' : 'ws://') + page.host + base + 'capture'
}

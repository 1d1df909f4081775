import { deviceNumber } from './device'
import type { Prompts, Reading, Recorded, Side, View } from './protocol'

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

async function call<T = View>(path: string, init: RequestInit): Promise<T> {
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
  if (ok) return body as T
  throw failure(body)
}

function failure(body: unknown): Error {
  const code = (body as { error?: { code?: string } } | null)?.error?.code
  return code ? new Refusal(code) : new Unreachable()
}

const post = <T = View>(path: string, body: object) =>
  call<T>(path, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  })

export class Api {
  constructor(
    private readonly token: string,
    private readonly app = '',
    private readonly subject = '',
  ) {}

  session = () =>
    call('session?token=' + encodeURIComponent(this.token), {
      headers: {
        ...(this.app && { 'Shiren-App': encodeURIComponent(this.app) }),
        ...(this.subject && { 'Shiren-Subject': encodeURIComponent(this.subject) }),
      },
    })

  consent = (version: string) => post('consent', { token: this.token, version })
  identity = (name: string, number: string, type: number) =>
    post('identity', { token: this.token, name, number, type })
  challenge = (kind: Recorded) => post<Prompts>('challenge', { token: this.token, kind })

  /** Uploads a recording. */
  recording = (challenge: string, file: Blob, camera: string, progress: (share: number) => void) =>
    this.upload<View>('recording', file, progress, {
      'Shiren-Challenge': challenge,
      'Shiren-Camera': encodeURIComponent(camera),
      'Shiren-Device': deviceNumber(),
    })

  /** Has a side of the document read from a picture. */
  document = (side: Side, file: Blob, progress: (share: number) => void) =>
    this.upload<Reading>('document', file, progress, { 'Shiren-Side': side })
  confirm = (fields: Record<string, string>) => post('document/confirm', { token: this.token, fields })

  // fetch tells no progress of what it sends; XMLHttpRequest does.
  private upload<T>(
    path: string,
    file: Blob,
    progress: (share: number) => void,
    headers: Record<string, string>,
  ): Promise<T> {
    return new Promise((done, fail) => {
      const x = new XMLHttpRequest()
      x.open('POST', base + path)
      x.responseType = 'json'
      x.timeout = 180_000
      x.setRequestHeader('Authorization', 'Bearer ' + this.token)
      for (const [name, value] of Object.entries(headers)) x.setRequestHeader(name, value)
      x.setRequestHeader('Content-Type', file.type || 'application/octet-stream')
      x.upload.onprogress = (e) => e.lengthComputable && progress(e.loaded / e.total)
      x.onload = () => (x.status === 200 ? done(x.response as T) : fail(failure(x.response)))
      x.onerror = x.ontimeout = x.onabort = () => fail(new Unreachable())
      x.send(file)
    })
  }

  abandon = (reason: 'camera_refused' | 'cancelled') => post('abandon', { token: this.token, reason })
}

/** The address of the capture socket beside this page. */
export function socketAddress(page: { protocol: string; host: string }): string {
  return (page.protocol === 'https:' ? 'wss://' : 'ws://') + page.host + base + 'capture'
}

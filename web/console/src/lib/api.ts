// Calls of the server's JSON interface below /console/api.
import { ref } from 'vue'

import { has, t } from './words'

/** What the server refused or could not do. status is 0 where it was not reached. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    /** With the code "wait": in how many seconds another try may be made. */
    readonly after = 0,
    /** Mistakes by setting, in the server's words. */
    readonly fields: Record<string, string> = {},
  ) {
    super(message)
  }
}

export type Query = Record<string, string | number | boolean | undefined | null>

export interface CallOptions {
  signal?: AbortSignal
  /** Do not lead to the sign-in page when nobody is signed in. */
  quiet?: boolean
  /** The page asks by itself: the call does not keep the sign-in from ending for want of use. */
  background?: boolean
  /** In ms; 30 s unless said. */
  timeout?: number
}

/** A page of a list: next is handed back as after, and is "" at the end. */
export interface Page<T> {
  items: T[]
  next: string
}

/** Counts up each time that a call finds the sign-in ended. */
export const signedOut = ref(0)

const patience = 30_000

async function send(method: string, path: string, body: unknown, o: CallOptions): Promise<Response> {
  const stop = AbortSignal.timeout(o.timeout ?? patience)
  const init: RequestInit = {
    method,
    credentials: 'same-origin',
    signal: o.signal ? AbortSignal.any([o.signal, stop]) : stop,
    headers: {
      'Shiren-Console': '1',
      Accept: 'application/json',
      ...(o.background ? { 'Shiren-Background': '1' } : {}),
    },
  }
  if (body instanceof Blob || body instanceof FormData) init.body = body
  else if (method !== 'GET') {
    init.headers = { ...init.headers, 'Content-Type': 'application/json' }
    init.body = JSON.stringify(body ?? {})
  }
  let r: Response
  try {
    r = await fetch('/console/api' + path, init)
  } catch (e) {
    if (o.signal?.aborted) throw e
    throw new ApiError(0, stop.aborted ? 'timeout' : 'unreachable', String(e))
  }
  if (r.ok) return r
  const told: unknown = await r.json().catch(() => null)
  const error = (
    told as {
      error?: { code?: string; message?: string; after?: number; fields?: Record<string, string> }
    } | null
  )?.error
  const fault = new ApiError(
    r.status,
    error?.code ?? 'system',
    error?.message ?? `HTTP ${r.status}`,
    error?.after,
    error?.fields,
  )
  if (r.status === 401 && !o.quiet) signedOut.value++
  throw fault
}

/** A path with a query; what is undefined, null or "" is left out. */
export function withQuery(path: string, query: Query): string {
  const q = new URLSearchParams()
  for (const [k, v] of Object.entries(query))
    if (v !== undefined && v !== null && v !== '') q.set(k, String(v))
  const s = q.toString()
  return s ? `${path}?${s}` : path
}

const json = async <T>(r: Promise<Response>): Promise<T> => {
  const text = await (await r).text()
  return (text ? JSON.parse(text) : undefined) as T
}

/** Every call fails with an ApiError, or with an AbortError where its signal says so. */
export const api = {
  get: <T>(path: string, query: Query = {}, o: CallOptions = {}) =>
    json<T>(send('GET', withQuery(path, query), undefined, o)),
  post: <T = void>(path: string, body?: unknown, o: CallOptions = {}) => json<T>(send('POST', path, body, o)),
  put: <T = void>(path: string, body?: unknown, o: CallOptions = {}) => json<T>(send('PUT', path, body, o)),
  del: <T = void>(path: string, body?: unknown, o: CallOptions = {}) =>
    json<T>(send('DELETE', path, body, o)),
  /** What is no JSON: a picture, a file to keep. */
  file: async (method: 'GET' | 'POST', path: string, body?: unknown, o: CallOptions = {}): Promise<Blob> =>
    (await send(method, path, body, o)).blob(),
}

/** A person thought better of it. */
export class Cancelled extends Error {}

/** Reports whether what failed may go well the next time: not where there is none of it, or no leave. */
export const retriable = (e: unknown): boolean =>
  !(e instanceof ApiError && [403, 404, 410].includes(e.status))

/** A sentence for a failure: the area's words for its code, the shell's, else the server's own. */
export function errorText(e: unknown, area = ''): string {
  if (!(e instanceof ApiError))
    return t('error.unknown', { what: e instanceof Error ? e.message : String(e) })
  const keys = [...(area ? [`${area}.error.${e.code}`] : []), `error.${e.code}`]
  const key = keys.find(has)
  return key ? t(key, { message: e.message, after: e.after }) : e.message
}

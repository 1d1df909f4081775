import { api } from '../../lib/api'
import type { Label } from '../../lib/area'

export type Auth = 'none' | 'access_token' | 'bce' | 'key' | 'paydevauth'

export interface Field {
  name: string
  type: 'string' | 'integer' | 'number' | 'boolean' | 'object' | 'array' | 'image'
  required: boolean
  nullable?: boolean
  max?: number
  enum?: (string | number)[]
  about: Label
  example?: string | number
  fields?: Field[]
  items?: string
  source?: string
  cipher?: 'sm2' | 'sha512' | 'for_app'
}

export interface Code {
  code: string
  text: string
  causes?: string[]
}

export interface Interface {
  id: string
  vendor: 'baidu' | 'juhe' | 'huawei'
  title: Label
  about: Label
  method: string
  path: string
  aliases?: string[]
  auth: Auth[]
  body: string
  request: Field[]
  answer?: Field[]
  binary?: string[]
  refusal: Field[]
  codes: Code[]
  results?: Code[]
}

export interface Language {
  id: string
  name: string
  file: string
}

export interface App {
  id: string
  name: string
  test: boolean
  usable: boolean
  bearer: boolean
  signs: boolean
  plans: { id: string; name: string }[]
}

export interface Case {
  name: string
  number: string
  code: string
}

interface Message {
  headers: { name: string; value: string }[]
  body: string
}

export interface Exchange {
  request: Message & { method: string; url: string }
  answer: Message & { status: number; binary?: string; bytes: number }
  signed: { name: string; text: string; signature: string }[]
  took_ms: number
}

export interface Send {
  interface: string
  app: string
  auth: Auth
  fields: Values
  sign_key?: string
  sign_key_id?: string
  reason?: string
}

/** Values of fields: texts as they are typed, and objects of them. */
export interface Values {
  [name: string]: string | number | Values
}

export const fetchInterfaces = (signal: AbortSignal) =>
  api.get<{ interfaces: Interface[]; languages: Language[] }>('/explorer/interfaces', {}, { signal })
export const fetchApps = async (signal?: AbortSignal) =>
  (await api.get<{ items: App[] }>('/explorer/apps', {}, { signal })).items
export const fetchCases = async (signal: AbortSignal) =>
  (await api.get<{ items: Case[] }>('/explorer/cases', {}, { signal })).items
export const fetchPicture = (name: string) =>
  api.file('GET', `/explorer/cases/picture?name=${encodeURIComponent(name)}`)
export const fetchSample = (id: string, language: string, auth: Auth, signal: AbortSignal) =>
  api.get<{ file: string; text: string }>('/explorer/samples', { interface: id, language, auth }, { signal })
export const makeKeys = (app: string) => api.post<{ made: string[] }>('/explorer/keys', { app })
export const sendRequest = (q: Send) => api.post<Exchange>('/explorer/send', q, { timeout: 90_000 })

/** A file's bytes as base64. */
export function base64Of(file: Blob): Promise<string> {
  return new Promise((resolve, reject) => {
    const r = new FileReader()
    r.onload = () => resolve(String(r.result).replace(/^[^,]*,/, ''))
    r.onerror = () => reject(r.error ?? new Error('the file cannot be read'))
    r.readAsDataURL(file)
  })
}

/** A message as it goes over the wire. */
export function raw(first: string, m: Message): string {
  const head = m.headers.map((h) => `${h.name}: ${h.value}`)
  return [first, ...head, ''].join('\n') + (m.body ? `\n${m.body}` : '')
}

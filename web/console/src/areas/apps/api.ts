import { api, type Page } from '../../lib/api'

export interface App {
  id: string
  name: string
  disabled: boolean
  quota: Record<string, number>
  per_second: number
  per_day: number
  total: number
  address_per_second: number
  address_per_day: number
  address_total: number
  per_subject_day: number
  expires_at: string
  review_by: string
  allow: string[]
  deny: string[]
  test: boolean
  test_total: number
}

export interface Usage {
  kind: string
  used: number
  quota: number
}

export interface Stored {
  app: App
  key: string
  bearer: boolean
  created: string
  standing: 'on' | 'off' | 'expired' | 'unreviewed'
  declared: boolean
  revision: string
  usage: Usage[]
}

/** Secrets that were just made or asked for; "" of what was not. */
export interface Secrets extends Stored {
  secret: string
  bearer_key: string
}

export interface AppKey {
  id: string
  use: 'sign' | 'encrypt'
  ours: boolean
  public: string
  pem: string
  sha256: string
  created: string
  until: string
  valid: boolean
  field: string
}

export const kinds = ['verify', 'match', 'live', 'ocr', 'elements']

const of = (id: string) => `/apps/${encodeURIComponent(id)}`

export const listApps = (signal: AbortSignal) => api.get<Page<Stored>>('/apps', {}, { signal })
export const getApp = (id: string, signal: AbortSignal) => api.get<Stored>(of(id), {}, { signal })
export const makeApp = (app: App) => api.post<Secrets>('/apps', { app, revision: '' })
export const changeApp = (app: App, revision: string) => api.put<Stored>(of(app.id), { app, revision })
export const renewApp = (id: string, what: string, reason: string) =>
  api.post<Secrets>(`${of(id)}/renew`, { what, reason })
export const revealApp = (id: string, reason: string) => api.post<Secrets>(`${of(id)}/reveal`, { reason })
export const listKeys = (id: string, signal: AbortSignal) =>
  api.get<Page<AppKey>>(`${of(id)}/keys`, {}, { signal })
export const addKey = (id: string, use: string, keyID: string, pub: string) =>
  api.post<AppKey>(`${of(id)}/keys`, { use, id: keyID, public: pub })
export const rotateKey = (id: string, use: string, days: number) =>
  api.post<AppKey>(`${of(id)}/keys/rotate`, { use, days })
export const retireKey = (id: string, key: string, days: number) =>
  api.post<AppKey>(`${of(id)}/keys/${encodeURIComponent(key)}/retire`, { days })

export const newApp = (): App => ({
  id: '',
  name: '',
  disabled: false,
  quota: {},
  per_second: 0,
  per_day: 0,
  total: 0,
  address_per_second: 0,
  address_per_day: 0,
  address_total: 0,
  per_subject_day: 0,
  expires_at: '',
  review_by: '',
  allow: [],
  deny: [],
  test: false,
  test_total: 0,
})

import { api, type Page } from '../../lib/api'

export interface Mobile {
  number: string
  carrier: string
  segment: string
}

export interface Person {
  id: string
  name: string
  number: string
  type: 'id-card' | 'residence-permit'
  mobiles: Mobile[]
  portrait: 'image' | 'embedding' | 'none'
  model: string
}

export interface Revealed extends Person {
  image: string
}

export interface Stats {
  people: number
  portraits: number
  mobiles: number
  models: Record<string, number>
}

export interface PersonChange {
  name: string
  number: string
  type: string
  mobiles: { number: string; carrier: string }[]
  portrait: string
}

export interface Import {
  id: string
  name: string
  state: 'uploading' | 'running' | 'stopped' | 'failed' | 'done'
  made: string
  begun?: string
  ended?: string
  bytes: number
  archive: number
  pictures: boolean
  lines: number
  people: number
  added: number
  replaced: number
  unchanged: number
  rejected: number
  portraits: number
  trouble: string
}

export interface Search {
  number?: string
  mobile?: string
  name?: string
  after?: string
}

export const carriers = ['mobile', 'unicom', 'telecom', 'broadcast']

/** Bytes of a part of an upload: registry.PartSize. */
export const partSize = 4 << 20

const of = (id: string) => `/registry/people/${encodeURIComponent(id)}`
const job = (id: string) => `/registry/imports/${encodeURIComponent(id)}`

export const stats = (signal: AbortSignal) => api.get<Stats>('/registry/stats', {}, { signal })
export const listPeople = (after: string, signal: AbortSignal) =>
  api.get<Page<Person>>('/registry/people', { after }, { signal })
export const searchPeople = (q: Search, signal: AbortSignal) =>
  api.post<Page<Person>>('/registry/search', q, { signal })
export const revealPerson = (id: string, reason: string) => api.post<Revealed>(`${of(id)}/reveal`, { reason })
export const removePerson = (id: string, reason: string) => api.del(of(id), { reason })
export const putPerson = (p: PersonChange) =>
  api.post<{ person: Person; changed: boolean }>('/registry/people', p, { timeout: 120_000 })
/** background: the page asks by itself. */
export const listImports = (signal: AbortSignal, background: boolean) =>
  api.get<Page<Import>>('/registry/imports', {}, { signal, background })
export const makeImport = (name: string, pictures: boolean) =>
  api.post<Import>('/registry/imports', { name, pictures })
export const sendPart = (
  id: string,
  file: 'people' | 'portraits',
  at: number,
  part: Blob,
  signal: AbortSignal,
) => api.put<Import>(`${job(id)}/${file}?at=${at}`, part, { signal, timeout: 180_000 })
export const startImport = (id: string) => api.post<Import>(`${job(id)}/start`)
export const stopImport = (id: string) => api.post<Import>(`${job(id)}/stop`)
export const removeImport = (id: string) => api.del(job(id))
export const importReport = (id: string) => api.file('GET', `${job(id)}/report`)

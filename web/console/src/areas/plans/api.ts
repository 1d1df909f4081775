import { api, type Page } from '../../lib/api'

export interface Plan {
  id: string
  app: string
  name: string
  title: string
  hide_title: boolean
  comparison: string
  identity: string
  document_back: boolean
  document_risk: boolean
  sources: string[]
  next_on: string[]
  quality_level: string
  liveness_level: string
  liveness: string
  actions: string[]
  alternative: string
  fallback: string
  match_at: number
  spoofing: boolean
  risk: boolean
  ends_on_failure: boolean
  keep_media: boolean
  consent: { version: string; text: Record<string, string> }
}

export interface Stored {
  plan: Plan
  app_name: string
  version: number
  created: string
  retired: boolean
  declared: boolean
  triable: boolean
}

export interface Difference {
  field: string
  from: unknown
  to: unknown
}

export interface Version {
  version: number
  at: string
  by: string
  account: string
  note: string
  changed: Difference[]
  plan: Plan
  retired: boolean
}

export interface Trial {
  url: string
  path: string
  qr: string
  until: string
}

export interface Defaults {
  plan: Plan
  sources: string[]
}

const of = (id: string) => `/plans/${encodeURIComponent(id)}`

export const listPlans = (signal: AbortSignal) => api.get<Page<Stored>>('/plans', {}, { signal })
export const getPlan = (id: string, signal: AbortSignal) => api.get<Stored>(of(id), {}, { signal })
export const planDefaults = (identity: string, signal?: AbortSignal) =>
  api.get<Defaults>('/plan-defaults', { identity }, signal ? { signal } : {})
export const planVersions = (id: string, signal: AbortSignal) =>
  api.get<Page<Version>>(`${of(id)}/versions`, {}, { signal })
export const makePlan = (plan: Plan, note: string) => api.post<Stored>('/plans', { plan, note })
export const changePlan = (plan: Plan, version: number, note: string) =>
  api.put<Stored>(of(plan.id), { plan, version, note })
export const copyPlan = (id: string, to: string, name: string) =>
  api.post<Stored>(`${of(id)}/copy`, { id: to, name })
export const retirePlan = (id: string, version: number, retire: boolean, note: string) =>
  api.post<Stored>(`${of(id)}/${retire ? 'retire' : 'revive'}`, { version, note })
export const restorePlan = (id: string, n: number, version: number, note: string) =>
  api.post<Stored>(`${of(id)}/versions/${n}/restore`, { version, note })
export const tryPlan = (plan: Plan) => api.post<Trial>('/plans/trial', { plan })

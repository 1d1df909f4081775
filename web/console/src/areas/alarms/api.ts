import { api, type Page } from '../../lib/api'

export type Unit = 'share' | 'events' | 'ms' | 'days'

export interface Kind {
  measure: string
  unit: Unit
  /** It fires at the threshold and above; else at it and below. */
  over: boolean
  counted: boolean
  least: boolean
}

/** A rule as it is sent; threshold and recover_at are in the measure's unit. */
export interface RuleBody {
  revision: number
  name: string
  enabled: boolean
  measure: string
  app: string
  plan: string
  protocol: string
  code: string
  source: string
  charge: string
  window_minutes: number
  threshold: number
  recover_at: number
  minimum: number
  silence_minutes: number
  tell_recovery: boolean
  mails: string[]
  webhooks: string[]
}

export interface Rule extends RuleBody {
  id: string
  changed: string
}

export interface Reading {
  at: string
  value: number | null
  part: number
  events: number
  detail?: string
  why?: string
}

export interface RuleState {
  node?: string
  phase: 'fine' | 'firing'
  since: string
  told: boolean
  sent: string | null
  worst: number | null
}

export interface Watched extends Rule {
  states: RuleState[]
  reading: Reading | null
}

export interface Named {
  id: string
  name: string
  app?: string
}

export interface Choices {
  kinds: Kind[]
  apps: Named[]
  plans: Named[]
  webhooks: Named[]
  sources: string[]
  codes: string[]
  charges: string[]
  protocols: string[]
}

export interface Episode {
  id: string
  rule: Rule
  unit: Unit
  over: boolean
  node?: string
  began: string
  first: Reading | null
  worst: number
  told: number
  ended: string | null
  last: Reading | null
  because?: string
}

export interface Webhook {
  id: string
  revision: number
  name: string
  url: string
  enabled: boolean
  created: string
  secrets: { created: string; until: string | null }[]
  rules: Named[]
  secret?: string
}

export interface Try {
  n: number
  at: string
  took_ms: number
  status: number
  error?: string
}

export interface Delivery {
  id: string
  channel: 'mail' | 'webhook'
  receiver: string
  rule: string
  event: string
  subject?: string
  created: string
  state: 'waiting' | 'delivered' | 'given_up'
  tries: number
  due: string | null
  text?: string
  body?: unknown
  until?: string
  log?: Try[]
}

export interface Tested {
  reading: Reading | null
  fires: boolean
  results: { delivery: Delivery; name: string; try: Try }[]
}

export interface MailState {
  configured: boolean
  host?: string
  port?: number
  tls?: string
  from?: string
  signs_in: boolean
  delivered: Delivery | null
  waiting: Delivery | null
  given_up: Delivery | null
}

/** A test waits for every receiver, in ms. */
const testing = 180_000

export const rules = (signal: AbortSignal) => api.get<Page<Watched>>('/alarms', {}, { signal })
export const choices = (signal: AbortSignal) => api.get<Choices>('/alarms/choices', {}, { signal })
export const mailState = (signal: AbortSignal) => api.get<MailState>('/alarms/mail', {}, { signal })
export const addRule = (r: RuleBody) => api.post<Rule>('/alarms/rules', r)
export const setRule = (id: string, r: RuleBody) => api.put<Rule>(`/alarms/rules/${id}`, r)
export const removeRule = (id: string) => api.del(`/alarms/rules/${id}`)
export const testRule = (id: string) => api.post<Tested>(`/alarms/rules/${id}/test`, {}, { timeout: testing })
export const episodes = (rule: string, after: string, signal: AbortSignal) =>
  api.get<Page<Episode>>('/alarms/episodes', { rule, after }, { signal })
export const webhooks = (signal: AbortSignal) => api.get<Page<Webhook>>('/alarms/webhooks', {}, { signal })
export const addWebhook = (name: string, url: string) =>
  api.post<Webhook>('/alarms/webhooks', { name, url, enabled: true })
export const setWebhook = (w: Webhook, name: string, url: string, enabled: boolean) =>
  api.put<Webhook>(`/alarms/webhooks/${w.id}`, { revision: w.revision, name, url, enabled })
export const removeWebhook = (id: string) => api.del(`/alarms/webhooks/${id}`)
export const rotateWebhook = (w: Webhook, hours: number) =>
  api.post<Webhook>(`/alarms/webhooks/${w.id}/rotate`, { revision: w.revision, overlap_hours: hours })
export const deliveries = (
  q: { channel: string; receiver: string; state: string; after: string },
  signal: AbortSignal,
) => api.get<Page<Delivery>>('/alarms/deliveries', q, { signal })
export const delivery = (id: string, signal: AbortSignal) =>
  api.get<Delivery>(`/alarms/deliveries/${id}`, {}, { signal })
export const replay = (id: string) => api.post<Delivery>(`/alarms/deliveries/${id}/replay`)

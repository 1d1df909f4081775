// Calls of internal/console's records.go; the shapes are internal/dossier's.
import { api, type Page } from '../../lib/api'

export interface Line {
  id: string
  direct: boolean
  protocol: string
  app: string
  plan: string
  kind: string
  at: string
  outcome: string
  code: string
  attempts: number
  score: number | null
  took_ms: number
  sandbox: boolean
  until: string | null
}

/** A search. What names a person travels in the body only. */
export interface Filter {
  since?: string
  before?: string
  app?: string
  plan?: string
  protocol?: string
  kind?: string
  outcome?: string
  undecided?: boolean
  code?: string
  sandbox?: boolean
  name?: string
  number?: string
  mobile?: string
  token?: string
  log_id?: string
}

export interface Claim {
  name: string
  number: string
  type: number
}

export interface Check {
  kind: string
  outcome: string
  score: number
  threshold: number // 0 where there is none
}

export interface Cue {
  n: number
  after_ms: number
  for_ms: number
  colour: [number, number, number] | null
  action?: string
  near?: boolean
  scale?: number
  digit?: string
  answered: boolean
  met: boolean
  lag_ms: number
  size: number
  seen: [number, number] | null // log(R/G) and log(B/G) of the skin
}

export interface Challenge {
  kind: string
  code: string // "" when it was met
  why: string
  chance: number
  lag_ms: number
  skin: number
  back: number
  depth: number
  cues: Cue[]
}

export interface Asked {
  source: string
  outcome: string
  code: string
  took_ms: number
  cost: number
}

export interface Charge {
  id: string
  kind: string
  at: string
  log_id: string
  attempt: number
}

export interface Attempt {
  ordinal: number
  begun: string
  finished: string | null
  outcome: string
  code: string
  kind: string
  demoted: boolean
  log_id: string
  claim: Claim | null
  checks: Check[] | null
  score: number | null
  fmr: number | null
  live: number
  challenge: Challenge | null
  risk: {
    level: number
    tags: string[] | null
    score: number
    spoofing: number
    signals: { name: string; weight: number; value: number }[] | null
  } | null
  asked: Asked[] | null
  charges: Charge[] | null
}

export interface Evidence {
  ref: string
  kind: string
  attempt: number
  type: string
  size: number
  sha256: string
  until: string
}

export interface Dossier extends Line {
  masked: boolean
  state: string
  token?: string
  purpose?: string
  subject?: boolean
  attended: string | null
  plan_then: {
    id: string
    name: string
    comparison: string
    identity: string
    liveness: string
    liveness_level: string
    quality_level: string
    match_at: number
    ends_on_failure: boolean
    keep_media: boolean
    risk: boolean
    spoofing: boolean
    sources: string[] | null
    consent_version: string
  } | null
  redirects?: string[]
  agreement: { version: string; at: string } | null
  claim: Claim | null
  document: {
    sides: {
      side: string
      log_id: string
      flags: string[] | null
      crop: string
      portrait: string
      fields: {
        field: string
        read: string
        confidence: number
        doubtful: boolean
        confirmed: string | null
        corrected: boolean
      }[]
    }[]
  } | null
  timeline: Attempt[]
  evidence: Evidence[]
  calls: { interface: string; code: string; at: string; log_id: string; attempt: number }[]
  charges: Charge[]
  call: {
    log_id: string
    ref: string
    answered: boolean
    identity: string
    portrait: string
    mobile: string
    cost: number
    asked: Asked[] | null
  } | null
  erasure: { part: string; at: string | null }[]
}

/** Opens a record's pictures for the reason that was given, for a while. */
export interface Grant {
  reason: string
  until: string
  sign: string
}

export interface Erasure {
  receipt: {
    at: string
    person: string // digest of the number; "" where one record was erased
    sessions: number
    evidence: number
    subjects: number
    calls: number
    noise: number // sessions with a picture that was not deleted and that nobody can open
  }
  file: string
}

const at = (id: string) => `/records/${encodeURIComponent(id)}`

export const search = (f: Filter, after: string, signal: AbortSignal) =>
  api.post<Page<Line> & { complete: boolean }>(
    '/records/search',
    { ...f, ...(after ? { after } : {}) },
    { signal },
  )
export const exportSearch = (f: Filter) => api.file('POST', '/records/export', f, { timeout: 300_000 })
export const read = (id: string, signal: AbortSignal) => api.get<Dossier>(at(id), {}, { signal })
export const reveal = (id: string, reason: string) =>
  api.post<{ record: Dossier; grant: Grant }>(`${at(id)}/reveal`, { reason })
export const picture = (id: string, ref: string, grant: Grant) =>
  api.file('POST', `${at(id)}/evidence/${encodeURIComponent(ref)}`, { grant }, { timeout: 120_000 })
export const exportRecord = (id: string, masked: boolean, images: boolean, reason: string) =>
  api.file('POST', `${at(id)}/export`, { masked, images, reason }, { timeout: 300_000 })
export const erase = (id: string, reason: string) => api.post<Erasure>(`${at(id)}/erase`, { reason })
export const erasePerson = (number: string, name: string, reason: string) =>
  api.post<Erasure>('/persons/erase', { number, name, reason }, { timeout: 300_000 })

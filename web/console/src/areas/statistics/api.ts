// Calls of internal/console's statistics.go.
import { api, type Query } from '../../lib/api'

export interface Outcomes {
  name: string
  match: number
  non_match: number
  no_record: number
  failed: number
}

export interface Reason {
  of?: string // the attempts' outcome, or the kind of direct call
  code: string
  n: number
}

export interface Source extends Outcomes {
  asked: number
  mean_ms: number | null
  paid: number
  cost: number // millionths of the operator's currency
}

interface Span {
  since: string
  until: string
  zone: string
  step: 'day' | 'hour'
  exact: boolean
  times: string[]
}

export interface Statistics extends Span {
  totals: {
    opened: number
    attempts: number
    passed: number
    refused: number
    failed: number
    attacks: number
    direct: number
    answered: number
    charges: number
    cost: number
    pass_rate: number | null
    attack_rate: number | null
    mean_ms: number | null
  }
  volume: Record<'opened' | 'passed' | 'refused' | 'failed' | 'attacks' | 'direct' | 'charges', number[]> & {
    pass_rate: (number | null)[]
  }
  funnel: { step: string; n: number }[]
  kinds: Outcomes[]
  reasons: Reason[]
  unanswered: Reason[]
  readings: Reason[]
  elements: Outcomes[]
  liveness: number[] // tenths
  comparison: number[] // twentieths
  latency: {
    bounds: { ms: number | null; n: number }[]
    p50_ms: number | null
    p90_ms: number | null
    p95_ms: number | null
    p99_ms: number | null
  }
  sources: Source[]
}

export interface Charges extends Span {
  charges: { at: string; app: string; plan: string; kind: string; n: number }[]
  costs: { at: string; app: string; plan: string; source: string; cost: number }[]
}

export const statistics = (q: Query, signal: AbortSignal) => api.get<Statistics>('/statistics', q, { signal })
export const charges = (q: Query, signal: AbortSignal) =>
  api.get<Charges>('/statistics/charges', q, { signal })

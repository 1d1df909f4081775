// What a plan's settings can be, in the order in which the page shows them.
import { t, tr } from '../../lib/words'
import type { Plan } from './api'

export const comparisons = ['authority', 'uploaded', 'none']
export const identities = ['document', 'entered', 'declared', 'none']
export const levels = ['high', 'normal', 'low']
export const realtime = ['distance', 'flash', 'action', 'silent']
export const recorded = ['picture', 'video', 'digits', 'recorded_action']
export const actions = ['blink', 'mouth', 'left', 'right', 'up', 'down']
export const outcomes = ['no_record', 'failed']

/** Fewest actions to draw from: ekyc.MinActions. */
export const fewestActions = 3

/** Whether whoever opens the page can complete the plan alone: ekyc.Plan.Triable. */
export const triable = (p: Plan) => p.comparison !== 'uploaded' && p.identity !== 'declared'

export const usesActions = (p: Plan) =>
  [p.liveness, p.fallback, p.alternative].some((k) => k === 'action' || k === 'recorded_action')

// An empty list stays the one that it is: settle runs again after each change that it makes.
const none = (list: string[]) => (list.length > 0 ? [] : list)

/** Makes the settings fit each other, as the server demands it. */
export function settle(p: Plan): void {
  if (p.comparison === 'authority' && p.identity === 'none') p.identity = 'entered'
  if (p.comparison !== 'authority') {
    p.sources = none(p.sources)
    p.next_on = none(p.next_on)
  }
  if (p.identity !== 'document') p.document_back = p.document_risk = false
  if (recorded.includes(p.liveness)) p.fallback = p.alternative = ''
  if (p.alternative === p.liveness) p.alternative = ''
  if (!usesActions(p)) p.actions = none(p.actions)
}

/**
 * Settings for kinds of business. The vendor's console offers these names; what it sets by
 * them is not documented, so the values are our choice.
 */
export const presets: Record<string, Partial<Plan>> = {
  finance: {
    liveness: 'flash',
    alternative: 'action',
    fallback: '',
    liveness_level: 'high',
    quality_level: 'normal',
    match_at: 0.85,
    spoofing: true,
    risk: true,
    keep_media: true,
  },
  transport: {
    liveness: 'action',
    alternative: '',
    fallback: 'recorded_action',
    liveness_level: 'normal',
    quality_level: 'low',
    match_at: 0.8,
    spoofing: true,
    risk: true,
    keep_media: false,
  },
  internet: {
    liveness: 'silent',
    alternative: '',
    fallback: 'video',
    liveness_level: 'normal',
    quality_level: 'low',
    match_at: 0.8,
    spoofing: false,
    risk: false,
    keep_media: false,
  },
}

/** A setting's value in words. */
export function valueText(field: string, v: unknown): string {
  if (v === null || v === undefined || v === '') return t('none')
  if (typeof v === 'boolean') return t(v ? 'yes' : 'no')
  if (field === 'match_at' && typeof v === 'number') return String(Math.round(v * 1000) / 10)
  if (Array.isArray(v)) return v.length === 0 ? t('none') : v.map((x) => valueText(field, x)).join('、')
  const s = String(v)
  const kind = field === 'fallback' || field === 'alternative' ? 'liveness' : field
  return tr(`plans.${kind}.${s}`, s)
}

/** A setting's name. */
export const fieldText = (field: string) => tr(`plans.field.${field}`, field)

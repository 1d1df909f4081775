// Figures of alarms in words.
import { count } from '../../lib/format'
import { lang, t } from '../../lib/words'
import type { Reading, RuleBody, Unit } from './api'

const digits = (n: number, most: number) =>
  new Intl.NumberFormat(lang.value, { maximumFractionDigits: most }).format(n)

/** A value of a unit. */
export function figure(v: number, unit: Unit): string {
  switch (unit) {
    case 'share':
      return new Intl.NumberFormat(lang.value, { style: 'percent', maximumFractionDigits: 1 }).format(v)
    case 'ms':
      return `${digits(v, 0)} ms`
    case 'days':
      return t('alarms.days', { n: digits(v, 1) })
    default:
      return count(v)
  }
}

/** What a rule came to, with what it was computed of. */
export function readingText(x: Reading | null, unit: Unit): string {
  if (!x) return '–'
  if (x.value === null) return t(`alarms.why.${x.why || 'failed'}`, { n: count(x.events) })
  const of = unit === 'share' && x.events > 0 ? ` (${count(x.part)} / ${count(x.events)})` : ''
  return figure(x.value, unit) + of
}

/** "≥ 10%", "≤ 14 days". */
export const boundText = (v: number, unit: Unit, over: boolean): string =>
  `${over ? '≥' : '≤'} ${figure(v, unit)}`

/** A number of minutes as people say it. */
export function minutesText(n: number): string {
  if (n % 1440 === 0) return t('alarms.days', { n: n / 1440 })
  if (n % 60 === 0) return t('alarms.hours', { n: n / 60 })
  return t('alarms.minutes', { n })
}

/** What a rule is limited to. */
export function scopeText(r: RuleBody, names: Map<string, string>): string {
  const parts: string[] = []
  if (r.app) parts.push(t('alarms.scope.app', { name: names.get(`app ${r.app}`) || r.app }))
  if (r.plan) parts.push(t('alarms.scope.plan', { name: names.get(`plan ${r.plan}`) || r.plan }))
  if (r.protocol) parts.push(t('alarms.scope.protocol', { name: r.protocol }))
  if (r.code) parts.push(r.code)
  if (r.source) parts.push(r.source)
  if (r.charge) parts.push(r.charge)
  return parts.join(' · ')
}

/** What people type of a unit, and back: shares are typed in percent. */
export const typed = (v: number, unit: Unit): number => (unit === 'share' ? Math.round(v * 1e6) / 1e4 : v)
export const untyped = (v: number, unit: Unit): number => (unit === 'share' ? v / 100 : v)

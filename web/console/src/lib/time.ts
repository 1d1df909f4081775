// Times. The server speaks RFC 3339 in UTC; people read and write the operator's zone.
import { lang } from './words'
import { zone } from './preferences'

export type TimeStyle = 'date' | 'minute' | 'second'

const styles: Record<TimeStyle, Intl.DateTimeFormatOptions> = {
  date: { year: 'numeric', month: '2-digit', day: '2-digit' },
  minute: {
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  },
  second: {
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
    hourCycle: 'h23',
  },
}

/** The zone in which times are shown. */
export const shownZone = (): string => zone.value || Intl.DateTimeFormat().resolvedOptions().timeZone

const formats = new Map<string, Intl.DateTimeFormat>()

function format(locale: string, z: string, style: TimeStyle): Intl.DateTimeFormat {
  const key = `${locale} ${z} ${style}`
  let f = formats.get(key)
  if (!f) formats.set(key, (f = new Intl.DateTimeFormat(locale, { ...styles[style], timeZone: z })))
  return f
}

/** A moment in words; "" for none, and for the zero time. */
export function timeText(at: string | number | Date | null | undefined, style: TimeStyle = 'second'): string {
  if (at === null || at === undefined || at === '') return ''
  const d = new Date(at)
  if (Number.isNaN(d.getTime()) || d.getUTCFullYear() < 1900) return ''
  return format(lang.value === 'en' ? 'en-GB' : 'zh-CN', shownZone(), style).format(d)
}

const units: [Intl.RelativeTimeFormatUnit, number][] = [
  ['day', 86_400_000],
  ['hour', 3_600_000],
  ['minute', 60_000],
  ['second', 1000],
]

/** How long until or since a moment, for example "in 3 days". */
export function agoText(at: string | number | Date, now = Date.now()): string {
  const ms = new Date(at).getTime() - now
  const [unit, length] = units.find(([, n]) => Math.abs(ms) >= n) ?? ['second', 1000]
  return new Intl.RelativeTimeFormat(lang.value, { numeric: 'auto' }).format(Math.round(ms / length), unit)
}

/** A length of time given in ms. */
export function durationText(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`
  if (ms < 60_000) return `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`
  return `${Math.floor(ms / 60_000)} min ${Math.round((ms % 60_000) / 1000)} s`
}

/** Wall-clock parts of a moment in a zone, as if they were UTC. */
function wall(at: number, z: string): number {
  const p: Record<string, number> = {}
  for (const { type, value } of format('en', z, 'second').formatToParts(at)) p[type] = Number(value)
  return Date.UTC(p['year']!, p['month']! - 1, p['day'], p['hour'], p['minute'], p['second'])
}

/** A moment as <input type="datetime-local"> takes it, in the operator's zone. */
export function toLocal(at: string | number | Date | null | undefined, z = shownZone()): string {
  if (at === null || at === undefined || at === '') return ''
  return new Date(wall(new Date(at).getTime(), z)).toISOString().slice(0, 16)
}

/** What <input type="datetime-local"> holds, read in the operator's zone: RFC 3339 in UTC, "" for none. */
export function fromLocal(text: string, z = shownZone()): string {
  const as = Date.parse(text + 'Z')
  if (Number.isNaN(as)) return ''
  // The offset there may differ from the first guess's across a change of the clocks.
  let at = as - (wall(as, z) - as)
  at = as - (wall(at, z) - at)
  return new Date(at).toISOString()
}

/** Midnight in the operator's zone, some days from a moment's day: RFC 3339 in UTC. */
export function midnight(at: number, days = 0, z = shownZone()): string {
  const day = new Date(wall(at, z))
  const there = Date.UTC(day.getUTCFullYear(), day.getUTCMonth(), day.getUTCDate() + days)
  return fromLocal(new Date(there).toISOString().slice(0, 16), z)
}

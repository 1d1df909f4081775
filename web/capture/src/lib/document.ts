// What was read from an identity document, as a form that the person checks and corrects.
import { idCard, isName, numberFault, residencePermit, tidyNumber } from './identity'
import type { ReadField, Side } from './protocol'

/** Pictures of documents are sent with their long side at most this many pixels long. */
export const longSide = 1920
/** Frames for a glance are sent with their short side at most this many pixels long. */
export const glanceSide = 720

/** What a document without an end says in place of a date. */
export const forever = '长期'

export interface Entry {
  name: string
  side: Side
  text: string // as it is shown and edited
  doubtful: boolean
}

/** Fields that follow from the number and are not edited. */
const derived = new Set(['birthday', 'gender'])
const dates = new Set(['issued', 'expires'])

/** The form for what was read, side by side; birthday and gender are left to the number. */
export function entries(read: Partial<Record<Side, ReadField[]>>): Entry[] {
  return (['front', 'back'] as const).flatMap((side) =>
    (read[side] ?? [])
      .filter((f) => !derived.has(f.name))
      .map((f) => ({
        name: f.name,
        side,
        text: dates.has(f.name) ? showDate(f.value) : f.value,
        doubtful: f.doubtful,
      })),
  )
}

/** A date of eight digits as people read it; anything else stays. */
export function showDate(v: string): string {
  return /^\d{8}$/.test(v) ? `${v.slice(0, 4)}-${v.slice(4, 6)}-${v.slice(6)}` : v
}

/** Reads a date as people type it: eight digits, or forever; '' when it is none. */
export function readDate(text: string, mayLast: boolean): string {
  const s = text.trim()
  if (mayLast && /^(长期|long[- ]?term)$/i.test(s)) return forever
  const m = /^(\d{4})\D{0,2}(\d{1,2})\D{0,2}(\d{1,2})\D?$/.exec(s)
  if (!m) return ''
  const [y, mo, d] = [Number(m[1]), Number(m[2]), Number(m[3])]
  const at = new Date(Date.UTC(y, mo - 1, d))
  if (y < 1900 || at.getUTCMonth() !== mo - 1 || at.getUTCDate() !== d) return ''
  return m[1]! + String(mo).padStart(2, '0') + String(d).padStart(2, '0')
}

export type FieldFault = 'empty' | 'name' | 'date' | 'expires' | ReturnType<typeof numberFault>

const permit = (number: string) => /^8[123]/.test(number)

/** The first thing wrong with a field, or null. The server checks again and decides. */
export function fieldFault(e: Entry): FieldFault {
  const s = e.text.trim()
  switch (e.name) {
    case 'name':
      return isName(s) ? null : 'name'
    case 'number': {
      const n = tidyNumber(s)
      return numberFault(n, permit(n) ? residencePermit : idCard)
    }
    case 'issued':
      return readDate(s, false) ? null : 'date'
    case 'expires':
      return readDate(s, true) ? null : 'expires'
  }
  return s === '' ? 'empty' : null
}

/** What is sent: every field of the form, as the protocol writes it. */
export function answer(list: readonly Entry[]): Record<string, string> {
  return Object.fromEntries(
    list.map((e) => {
      const s = e.text.trim()
      if (e.name === 'number') return [e.name, tidyNumber(s)]
      if (dates.has(e.name)) return [e.name, readDate(s, e.name === 'expires')]
      return [e.name, s]
    }),
  )
}

/** Birthday and gender that a number holds, or null while it holds none. */
export function bornOf(number: string): { date: string; female: boolean } | null {
  const n = tidyNumber(number)
  if (numberFault(n, permit(n) ? residencePermit : idCard)) return null
  return { date: showDate(n.slice(6, 14)), female: Number(n[16]) % 2 === 0 }
}

// Checks of what is typed, as a comfort: the server checks again and decides.

export const idCard = 0
export const residencePermit = 4
export type DocumentType = typeof idCard | typeof residencePermit

export type NumberFault = 'length' | 'chars' | 'birth' | 'check' | 'type'

// Weights and check characters of GB 11643-1999.
const weights = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2]
const checks = '10X98765432'

/** Removes the spaces that people type between groups, and writes x as X. */
export function tidyNumber(text: string): string {
  return text.replace(/\s/g, '').toUpperCase()
}

/** The first thing wrong with an identity number, or null. */
export function numberFault(text: string, type: DocumentType): NumberFault | null {
  const n = tidyNumber(text)
  if (n.length !== 18) return 'length'
  if (!/^\d{17}[\dX]$/.test(n)) return 'chars'
  const [y, m, d] = [Number(n.slice(6, 10)), Number(n.slice(10, 12)), Number(n.slice(12, 14))]
  const born = new Date(Date.UTC(y, m - 1, d))
  if (y < 1850 || born.getUTCMonth() !== m - 1 || born.getUTCDate() !== d) return 'birth'
  const sum = weights.reduce((s, w, i) => s + w * Number(n[i]), 0)
  if (n[17] !== checks[sum % 11]) return 'check'
  const permit = /^8[123]/.test(n)
  return permit === (type === residencePermit) ? null : 'type'
}

/** Reports whether a text can be a person's name: 1 to 60 letters and the marks between them. */
export function isName(text: string): boolean {
  const s = text.trim()
  return [...s].length <= 60 && /\p{L}/u.test(s) && /^[\p{L}\p{M} .\-'’·•・‧﹒．]+$/u.test(s)
}

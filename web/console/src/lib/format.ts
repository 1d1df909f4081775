// Numbers in the page's language.
import { lang } from './words'

export const count = (n: number): string => new Intl.NumberFormat(lang.value).format(n)

/** A share of 1; a dash where there is nothing to divide by. */
export function percent(part: number, whole: number, digits = 1): string {
  if (!(whole > 0)) return '–'
  return new Intl.NumberFormat(lang.value, { style: 'percent', maximumFractionDigits: digits }).format(
    part / whole,
  )
}

/** Millionths of the operator's currency. */
export const money = (millionths: number): string =>
  new Intl.NumberFormat(lang.value, { minimumFractionDigits: 2, maximumFractionDigits: 6 }).format(
    millionths / 1e6,
  )

export function bytes(n: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  let i = 0
  while (n >= 1000 && i < units.length - 1) {
    n /= 1000
    i++
  }
  return `${new Intl.NumberFormat(lang.value, { maximumFractionDigits: i === 0 ? 0 : 1 }).format(n)} ${units[i]}`
}

// Mistakes in a form, in the page's language.
import { ApiError, errorText } from '../../lib/api'
import { has, t } from '../../lib/words'

/** A sentence for each mistake that the server found: "FIELD: what it wants", one a line. */
export function faultText(e: unknown): string {
  if (!(e instanceof ApiError) || e.code !== 'invalid') return errorText(e, 'alarms')
  return e.message
    .split('\n')
    .map((line) => {
      const key = `alarms.bad.${line.split(':')[0]}`
      return has(key) ? t(key) : line
    })
    .join('\n')
}

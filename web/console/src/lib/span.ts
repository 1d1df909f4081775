// Spans of time that people choose.
import { midnight } from './time'

export const usual = ['today', 'yesterday', 'day', 'week', 'month', 'quarter'] as const
export type Usual = (typeof usual)[number]

/** since and before are RFC 3339 in UTC, [since, before); "" is open. */
export interface Span {
  usual: Usual | 'own'
  since: string
  before: string
}

const hour = 3_600_000

/** A usual span as of now: days begin at the operator's midnight. */
export function spanOf(u: Usual, now = Date.now()): Span {
  switch (u) {
    case 'today':
      return { usual: u, since: midnight(now), before: '' }
    case 'yesterday':
      return { usual: u, since: midnight(now, -1), before: midnight(now) }
    case 'day':
      return { usual: u, since: new Date(now - 24 * hour).toISOString(), before: '' }
    case 'week':
      return { usual: u, since: midnight(now, -6), before: '' }
    case 'month':
      return { usual: u, since: midnight(now, -29), before: '' }
    case 'quarter':
      return { usual: u, since: midnight(now, -89), before: '' }
  }
}

/** The span as of now: what was chosen by name is worked out anew. */
export const current = (s: Span, now = Date.now()): Span => (s.usual === 'own' ? s : spanOf(s.usual, now))

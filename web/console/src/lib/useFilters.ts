// What a page's figures or rows are narrowed by. It stands in the address, so that it can be
// handed on and comes back.
import { reactive, ref, type Ref } from 'vue'
import { type LocationQuery, useRoute, useRouter } from 'vue-router'

import { type Span, spanOf, type Usual, usual } from './span'

/** A parameter of an address; "" where it is absent or more than one. */
export function param(query: LocationQuery, name: string): string {
  const v = query[name]
  return typeof v === 'string' ? v : ''
}

/** The span of an address: its own, a usual one by name, else the fallback. */
export function spanIn(query: LocationQuery, fallback: Usual): Span {
  const [since, before, time] = [param(query, 'since'), param(query, 'before'), param(query, 'time')]
  if (since || before) return { usual: 'own', since, before }
  return spanOf(usual.find((u) => u === time) ?? fallback)
}

/** The address's query of a span and of what else is chosen; what is "" is left out. */
export function queryOf(s: Span, by: Record<string, string>): Record<string, string> {
  const time: Record<string, string> =
    s.usual === 'own' ? { since: s.since, before: s.before } : { time: s.usual }
  return Object.fromEntries(Object.entries({ ...time, ...by }).filter(([, v]) => v !== ''))
}

export interface Filters<K extends string> {
  span: Ref<Span>
  by: Record<K, string>
  /** Writes what is chosen into the address. */
  keep(): void
}

/** Filters with these names, as the address has them. */
export function useFilters<K extends string>(names: readonly K[], fallback: Usual): Filters<K> {
  const { query } = useRoute()
  const router = useRouter()
  const span = ref(spanIn(query, fallback))
  const by: Record<string, string> = reactive(Object.fromEntries(names.map((n) => [n, param(query, n)])))
  return { span, by, keep: () => void router.replace({ query: queryOf(span.value, by) }) }
}

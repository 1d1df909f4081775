// Something that is fetched: its value, whether it is on its way, and why it failed.
import { onScopeDispose, ref, shallowRef, type Ref, type ShallowRef } from 'vue'

import { type Page } from './api'
import { notifyError } from './notice'

export interface Async<T> {
  value: ShallowRef<T | undefined>
  loading: Ref<boolean>
  error: ShallowRef<unknown>
  /** Fetches; what was on its way is given up. A failure ends up in error, and never throws. */
  run(): Promise<void>
}

/** Fetches at once, unless lazy; give f's signal to the call. */
export function useAsync<T>(f: (signal: AbortSignal) => Promise<T>, lazy = false): Async<T> {
  const value = shallowRef<T>()
  const loading = ref(!lazy)
  const error = shallowRef<unknown>(null)
  let current: AbortController | undefined

  async function run(): Promise<void> {
    current?.abort()
    const mine = (current = new AbortController())
    loading.value = true
    error.value = null
    try {
      const v = await f(mine.signal)
      if (current === mine) value.value = v
    } catch (e) {
      if (current === mine) error.value = e
    } finally {
      if (current === mine) loading.value = false
    }
  }

  onScopeDispose(() => {
    const c = current
    current = undefined
    c?.abort()
  })
  if (!lazy) void run()
  return { value, loading, error, run }
}

export interface List<T> {
  items: ShallowRef<T[]>
  loading: Ref<boolean>
  /** Whether the first page is on its way. */
  fresh: Ref<boolean>
  error: ShallowRef<unknown>
  /** Whether there is more. */
  more: Ref<boolean>
  /** Fetches the first page anew. */
  reload(): Promise<void>
  /** Fetches the next page and adds it; a failure is told, and what is there stays. */
  next(): Promise<void>
}

/** A list that is fetched page by page, the first at once unless lazy. */
export function useList<T>(
  f: (after: string, signal: AbortSignal) => Promise<Page<T>>,
  lazy = false,
): List<T> {
  const items = shallowRef<T[]>([])
  const more = ref(false)
  const fresh = ref(!lazy)
  let after = ''
  const got = useAsync(async (signal) => {
    const first = after === ''
    const page = await f(after, signal)
    items.value = first ? (page.items ?? []) : [...items.value, ...(page.items ?? [])]
    after = page.next
    more.value = page.next !== ''
    fresh.value = false
  }, true)
  async function reload(): Promise<void> {
    after = ''
    fresh.value = true
    await got.run()
  }
  async function next(): Promise<void> {
    if (!more.value || got.loading.value) return
    await got.run()
    if (got.error.value === null) return
    notifyError(got.error.value)
    got.error.value = null
  }
  if (!lazy) void reload()
  return { items, loading: got.loading, fresh, error: got.error, more, reload, next }
}

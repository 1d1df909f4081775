// Short messages: shown for a while, and read out by screen readers.
import { reactive } from 'vue'

import { Cancelled, errorText } from './api'

export type NoticeKind = 'success' | 'error' | 'info'

export interface Notice {
  id: number
  kind: NoticeKind
  text: string
}

/** How long a message stays, in ms; errors stay until they are closed. Our choice. */
const stay = 6000

let last = 0
export const notices = reactive<Notice[]>([])

/** Shows a message and has it read out. */
export function notify(kind: NoticeKind, text: string): void {
  const id = ++last
  notices.push({ id, kind, text })
  if (notices.length > 4) notices.shift()
  if (kind !== 'error') setTimeout(() => dismiss(id), stay)
}

export function dismiss(id: number): void {
  const i = notices.findIndex((n) => n.id === id)
  if (i >= 0) notices.splice(i, 1)
}

/** Shows a failure; what a person gave up is none. */
export function notifyError(e: unknown, area = ''): void {
  if (!(e instanceof Cancelled)) notify('error', errorText(e, area))
}

// What the server says. The package comment of internal/capture is its description.

export type Step = 'consent' | 'identity' | 'capture' | 'running' | 'done' | 'unusable'
export type Unusable = 'expired' | 'attempts' | 'ref_missing' | 'claim_missing'

export interface Result {
  attempt: number
  passed: boolean
  reason: string
  mayRetry: boolean
  mend: boolean
}

export interface View {
  state: string
  step: Step
  reason?: Unusable
  title: string
  hideTitle: boolean
  consent: { version: string; text: Record<string, string> | null; given: boolean }
  identity: { mode: 'none' | 'declared' | 'entered'; name?: string; number?: string; type: number }
  liveness: string
  redirect: { success: string; failed: string }
  result: Result | null
}

export type Message =
  | { type: 'ready'; window: number; interval: number }
  | { type: 'hint'; hint: string; progress: number; seen: number }
  | { type: 'working' }
  | { type: 'result'; session: View }
  | { type: 'error'; code: string }

/** Reads a message of the socket; null when it is none that this page knows. */
export function readMessage(data: unknown): Message | null {
  if (typeof data !== 'string') return null
  try {
    const m = JSON.parse(data) as Message
    return ['ready', 'hint', 'working', 'result', 'error'].includes(m.type) ? m : null
  } catch {
    return null
  }
}

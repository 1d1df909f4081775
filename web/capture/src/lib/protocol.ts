// What the server says. The package comment of internal/capture is its description.

export type Step = 'consent' | 'identity' | 'document' | 'capture' | 'running' | 'done' | 'unusable'
export type Unusable =
  'expired' | 'attempts' | 'ref_missing' | 'claim_missing' | 'foreign_app' | 'foreign_subject'

/** The kinds of liveness: real-time ones stream frames, recorded ones upload a file; with
 * 'none' there is no camera, and the agreement is all. */
export type RealTime = 'none' | 'silent' | 'flash' | 'action' | 'distance'
export type Recorded = 'picture' | 'video' | 'recorded_action' | 'digits'
export type Kind = RealTime | Recorded
export type Action = 'blink' | 'mouth' | 'left' | 'right' | 'up' | 'down'

const recordedKinds: readonly string[] = ['picture', 'video', 'recorded_action', 'digits']
export const isRecorded = (k: Kind): k is Recorded => recordedKinds.includes(k)

/** The sides of an identity document: with the portrait, and with the emblem. */
export type Side = 'front' | 'back'

/** One field of a side as it was read. One that is doubtful must be confirmed or corrected. */
export interface ReadField {
  name: string
  value: string
  doubtful: boolean
}

export interface Reading {
  side: Side
  fields: ReadField[]
  session: View
}

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
  identity: {
    mode: 'none' | 'declared' | 'entered' | 'document'
    name?: string
    number?: string
    type: number
  }
  document?: { sides: Side[]; bytes: number }
  liveness: Kind
  alternative?: Kind
  fallback?: Kind
  warning: boolean
  recording: { bytes: number; seconds: number }
  redirect: { success: string; failed: string }
  result: Result | null
  onward?: Onward
}

/** What the session's opener wants handed on, to the address led to and to the app around:
 * params with an outcome, trouble[word] where the page ends in that trouble. */
export interface Onward {
  params: Record<string, string> | null
  trouble: Record<string, Record<string, string>> | null
}

/** One thing to show at once, in place of what was shown before it. */
export interface Cue {
  n: number
  for: number // ms
  colour?: [number, number, number]
  action?: Action
  near?: boolean
  scale?: number // of the face, as a multiple of its size before the first cue
}

/** What is asked for in a recording, by the recording's own time. */
export interface Prompt {
  n: number
  after: number // ms since the start
  for: number // ms
  action?: Action
  digit?: string
}

export interface Prompts {
  id: string
  kind: Recorded
  expires: number // s
  cues: Prompt[]
}

export type Message =
  | { type: 'ready'; kind: Kind; window: number; interval: number }
  | { type: 'hint'; hint: string; progress: number; seen: number; phase?: string }
  | ({ type: 'cue' } & Cue)
  | { type: 'again'; why?: string }
  | { type: 'take' } // the document is in view: photograph it now
  | { type: 'working' }
  | { type: 'result'; session: View }
  | { type: 'error'; code: string }

/** Reads a message of the socket; null when it is none that this page knows. */
export function readMessage(data: unknown): Message | null {
  if (typeof data !== 'string') return null
  try {
    const m = JSON.parse(data) as Message
    return ['ready', 'hint', 'cue', 'again', 'take', 'working', 'result', 'error'].includes(m.type) ? m : null
  } catch {
    return null
  }
}

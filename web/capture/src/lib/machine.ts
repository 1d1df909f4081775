// The page's course as a pure function: a screen and an event give the next screen.
// Verdicts come in with a View; nothing here decides one.
import type { CameraFault } from './camera'
import type { EnvironmentFault } from './environment'
import { isRecorded, type Kind, type Unusable, type View } from './protocol'

export type Trouble =
  'no_token' | 'unknown' | Unusable | EnvironmentFault | CameraFault | 'offline' | 'replaced' | 'system'

export type Screen =
  | { at: 'loading' }
  | { at: 'consent' }
  | { at: 'identity' }
  | { at: 'document' }
  | { at: 'intro' }
  | { at: 'capture' }
  | { at: 'record' } // of the recorded kinds
  | { at: 'working' }
  | { at: 'result'; fresh: boolean } // fresh: just reached, rather than found on opening the page
  | { at: 'trouble'; what: Trouble }

export interface State {
  screen: Screen
  view: View | null
  environment: EnvironmentFault | null
  kind: Kind | null // that the capture subject chose; null: the session's own, see kindOf
}

export type Event =
  | { type: 'view'; view: View }
  | { type: 'ended'; view: View } // the capture subject gave up, and it was recorded
  | { type: 'unknown' } // the server does not know the token, or no longer
  | { type: 'unreachable' }
  | { type: 'begin'; kind?: Kind | undefined } // the capture subject wants to be captured, in this way
  | { type: 'retry' } // after a result
  | { type: 'working' }
  | { type: 'broken'; code: string } // the capture conversation ended with an error
  | { type: 'camera'; fault: CameraFault }
  | { type: 'reload' }

export const start = (token: string, environment: EnvironmentFault | null): State => ({
  screen: token === '' ? trouble('no_token') : { at: 'loading' },
  view: null,
  environment,
  kind: null,
})

/** Whether a browser that cannot stream may record instead. Recordings need no more than
 * a file from the phone's own camera app, but they too need a secure connection. */
function rescue(s: State, v: View): Kind | null {
  if (!s.environment || s.environment === 'insecure') return null
  return [v.liveness, v.fallback].find((k) => k && isRecorded(k)) ?? null
}

/** The kind of capture that comes next. */
export function kindOf(s: State): Kind {
  return s.kind ?? (s.view && rescue(s, s.view)) ?? s.view?.liveness ?? 'silent'
}

const lens = (s: State): Screen => ({ at: isRecorded(kindOf(s)) ? 'record' : 'capture' })

const trouble = (what: Trouble): Screen => ({ at: 'trouble', what })

export function next(s: State, e: Event): State {
  switch (e.type) {
    case 'view':
      return { ...s, view: e.view, screen: show(s, e.view) }
    case 'ended':
      return {
        ...s,
        view: e.view,
        screen: e.view.result ? { at: 'result', fresh: true } : show(s, e.view),
      }
    case 'unknown':
      return { ...s, screen: trouble('unknown') }
    case 'unreachable':
      // While an attempt is analysed the page goes on asking.
      return s.screen.at === 'working' ? s : { ...s, screen: trouble('offline') }
    case 'begin': {
      const chosen = { ...s, kind: e.kind ?? s.kind }
      return { ...chosen, screen: lens(chosen) }
    }
    case 'retry':
      if (!s.view?.result?.mayRetry) return s
      if (s.view.result.mend) return { ...s, screen: { at: s.view.document ? 'document' : 'identity' } }
      // Who declined before agreeing has those steps still to take.
      return {
        ...s,
        screen: before(s.view) ?? lens(s),
      }
    case 'working':
      return { ...s, screen: { at: 'working' } }
    case 'broken':
      // 'step' means that the session went on without this page: it is asked anew.
      if (e.code === 'step') return { ...s, screen: { at: 'loading' } }
      return { ...s, screen: trouble(e.code === 'replaced' ? 'replaced' : 'system') }
    case 'camera':
      return { ...s, screen: trouble(e.fault) }
    case 'reload':
      return { ...s, screen: { at: 'loading' } }
  }
}

/** The screen of a step that precedes the capture, or null. */
function before(v: View): Screen | null {
  return v.step === 'consent' || v.step === 'identity' || v.step === 'document' ? { at: v.step } : null
}

function show(s: State, v: View): Screen {
  const at = s.screen.at
  // A session without a camera ends with the agreement.
  const agreed = at === 'consent' && !s.view?.consent.given
  const fresh = at === 'working' || at === 'capture' || at === 'record' || agreed
  switch (v.step) {
    case 'unusable':
      // What has just been reached is shown even if the token's time ended over it.
      return fresh && v.result ? { at: 'result', fresh } : trouble(v.reason ?? 'system')
    case 'done':
      return { at: 'result', fresh }
    case 'running':
      return { at: 'working' }
  }
  if (s.environment && !rescue(s, v)) return trouble(s.environment)
  const first = before(v)
  if (first) return first
  const asked = s.screen.at === 'consent' || s.screen.at === 'identity' || s.screen.at === 'document'
  return v.result && !asked ? { at: 'result', fresh } : { at: 'intro' }
}

/** The step of the way that a screen belongs to, for the progress line. */
export function stage(s: State): 'consent' | 'identity' | 'document' | 'capture' | 'result' | null {
  switch (s.screen.at) {
    case 'consent':
    case 'identity':
    case 'document':
    case 'result':
      return s.screen.at
    case 'intro':
    case 'capture':
    case 'record':
    case 'working':
      return 'capture'
  }
  return null
}

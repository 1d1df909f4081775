import { describe, expect, it } from 'vitest'

import { type Event, kindOf, next, type Screen, stage, start, type State } from '../src/lib/machine'
import type { Result, View } from '../src/lib/protocol'

function view(change: Partial<View> = {}): View {
  return {
    state: 'open',
    step: 'capture',
    title: '',
    hideTitle: false,
    consent: { version: '1', text: {}, given: true },
    identity: { mode: 'none', type: 0 },
    liveness: 'silent',
    warning: false,
    recording: { bytes: 1000, seconds: 20 },
    redirect: { success: '', failed: '' },
    result: null,
    ...change,
  }
}
const result = (change: Partial<Result> = {}): Result => ({
  attempt: 1,
  passed: false,
  reason: 'non_match',
  mayRetry: true,
  mend: false,
  ...change,
})
const see = (change: Partial<View> = {}): Event => ({ type: 'view', view: view(change) })
const passed = see({
  state: 'passed',
  step: 'done',
  result: result({ passed: true, reason: '', mayRetry: false }),
})
const rejected = see({ state: 'rejected', step: 'done', result: result({ mayRetry: false }) })
const failed = see({ result: result() })

/** Runs a story and returns its screens. */
function story(...events: Event[]): Screen[] {
  let s: State = start('token', null)
  return events.map((e) => (s = next(s, e)).screen)
}
const last = (...events: Event[]) => story(...events).at(-1)

describe('the way through', () => {
  it('leads from consent to the result', () => {
    expect(
      story(
        see({ step: 'consent' }),
        see({ step: 'identity' }),
        see(),
        { type: 'begin' },
        { type: 'working' },
        passed,
      ).map((s) => s.at),
    ).toEqual(['consent', 'identity', 'intro', 'capture', 'working', 'result'])
  })

  it('ends with the agreement where there is no camera', () => {
    const agreed = see({
      step: 'done',
      state: 'passed',
      liveness: 'none',
      result: result({ passed: true, reason: '', mayRetry: false }),
    })
    const asked = see({
      step: 'consent',
      liveness: 'none',
      consent: { version: '1', text: {}, given: false },
    })
    expect(last(asked, agreed)).toEqual({ at: 'result', fresh: true })
    expect(last(agreed)).toEqual({ at: 'result', fresh: false })
  })

  it('tells a result just reached from one found on opening the page', () => {
    expect(last(see(), { type: 'begin' }, { type: 'working' }, passed)).toEqual({ at: 'result', fresh: true })
    expect(last(see(), { type: 'begin' }, { type: 'working' }, rejected)).toEqual({
      at: 'result',
      fresh: true,
    })
    expect(last(passed)).toEqual({ at: 'result', fresh: false })
    expect(last(rejected)).toEqual({ at: 'result', fresh: false })
  })

  it('shows a result over which the token ended', () => {
    const over = see({
      state: 'expired',
      step: 'unusable',
      reason: 'expired',
      result: result({ mayRetry: false }),
    })
    expect(last(see(), { type: 'begin' }, { type: 'working' }, over)).toEqual({ at: 'result', fresh: true })
    expect(last(over)).toEqual({ at: 'trouble', what: 'expired' })
  })

  it('waits for an attempt that is under way when the page is opened', () => {
    const running = see({ state: 'running', step: 'running' })
    expect(story(running, running, { type: 'unreachable' }, passed).map((s) => s.at)).toEqual([
      'working',
      'working',
      'working',
      'result',
    ])
  })

  it('tries again straight at the camera, or at the form when the identity was wrong', () => {
    expect(last(see(), { type: 'begin' }, failed, { type: 'retry' })).toEqual({ at: 'capture' })
    expect(last(see({ result: result({ mend: true }) }), { type: 'retry' })).toEqual({ at: 'identity' })
    expect(last(see({ result: result({ mend: true }) }), { type: 'retry' }, failed)).toEqual({ at: 'intro' })
  })

  it('passes by the document where one is read, and returns to it when it did not check out', () => {
    const asked: Partial<View> = { document: { sides: ['front'], bytes: 1000 } }
    expect(
      story(see({ ...asked, step: 'consent' }), see({ ...asked, step: 'document' }), see(asked)).map(
        (s) => s.at,
      ),
    ).toEqual(['consent', 'document', 'intro'])
    expect(last(see({ ...asked, result: result({ mend: true }) }), { type: 'retry' })).toEqual({
      at: 'document',
    })
    const cancelled = result({ reason: 'cancelled' })
    const declined: Event = { type: 'ended', view: view({ ...asked, step: 'document', result: cancelled }) }
    expect(last(declined, { type: 'retry' })).toEqual({ at: 'document' })
    expect(stage({ screen: { at: 'document' }, view: null, environment: null, kind: null })).toBe('document')
  })

  it('shows that it was given up, and starts over where it was', () => {
    const cancelled = result({ reason: 'cancelled' })
    const declined: Event = { type: 'ended', view: view({ step: 'consent', result: cancelled }) }
    expect(story(see({ step: 'consent' }), declined, { type: 'retry' })).toEqual([
      { at: 'consent' },
      { at: 'result', fresh: true },
      { at: 'consent' },
    ])
    const stopped: Event = { type: 'ended', view: view({ result: cancelled }) }
    expect(story(see(), { type: 'begin' }, stopped, { type: 'retry' }).map((s) => s.at)).toEqual([
      'intro',
      'capture',
      'result',
      'capture',
    ])
  })

  it('does not try again when the server says that there is no more', () => {
    expect(last(rejected, { type: 'retry' })).toEqual({ at: 'result', fresh: false })
  })
})

describe('kinds', () => {
  const both = see({ liveness: 'flash', alternative: 'action', fallback: 'video' })

  it("are the plan's unless the person chose another, which lasts", () => {
    const s = next(start('token', null), both)
    expect(kindOf(s)).toBe('flash')
    const chosen = next(s, { type: 'begin', kind: 'action' })
    expect([kindOf(chosen), chosen.screen]).toEqual(['action', { at: 'capture' }])
    expect(kindOf(next(chosen, { type: 'begin' }))).toBe('action')
  })

  it('lead to the recorder where they are recorded', () => {
    expect(last(see({ liveness: 'digits' }), { type: 'begin' })).toEqual({ at: 'record' })
    expect(last(both, { type: 'begin', kind: 'video' })).toEqual({ at: 'record' })
    expect(last(both, { type: 'begin', kind: 'video' }, failed)).toEqual({ at: 'result', fresh: true })
  })

  it.each(['unsupported', 'in_app'] as const)('fall back to a recording where the browser is %s', (e) => {
    const s = next(start('token', e), both)
    expect(s.screen).toEqual({ at: 'intro' })
    expect(kindOf(s)).toBe('video')
    expect(next(s, { type: 'begin' }).screen).toEqual({ at: 'record' })
    expect(next(start('token', e), see()).screen).toEqual({ at: 'trouble', what: e })
  })

  it('never send a face over an insecure connection', () =>
    expect(next(start('token', 'insecure'), both).screen).toEqual({ at: 'trouble', what: 'insecure' }))

  it('leave a camera that fails for a recording', () => {
    const s: Event[] = [both, { type: 'begin' }, { type: 'camera', fault: 'camera_absent' }]
    expect(last(...s, { type: 'begin', kind: 'video' })).toEqual({ at: 'record' })
  })
})

describe('dead ends', () => {
  it('needs a token', () => expect(start('', null).screen).toEqual({ at: 'trouble', what: 'no_token' }))

  it.each(['expired', 'attempts', 'ref_missing', 'claim_missing'] as const)('names %s', (reason) =>
    expect(last(see({ step: 'unusable', reason }))).toEqual({ at: 'trouble', what: reason }),
  )

  it('names an unknown token and a missing network', () => {
    expect(last({ type: 'unknown' })).toEqual({ at: 'trouble', what: 'unknown' })
    expect(last({ type: 'unreachable' })).toEqual({ at: 'trouble', what: 'offline' })
    expect(last({ type: 'unreachable' }, see({ step: 'consent' }))).toEqual({ at: 'consent' })
  })

  it('says that the browser will not do before anything is asked for, but never hides a result', () => {
    const s = start('token', 'insecure')
    expect(next(s, see({ step: 'consent' })).screen).toEqual({ at: 'trouble', what: 'insecure' })
    expect(next(s, passed).screen).toEqual({ at: 'result', fresh: false })
  })

  it('comes back from a camera that was refused', () => {
    const denied: Event = { type: 'camera', fault: 'camera_denied' }
    expect(last(see(), { type: 'begin' }, denied)).toEqual({ at: 'trouble', what: 'camera_denied' })
    expect(last(see(), { type: 'begin' }, denied, { type: 'begin' })).toEqual({ at: 'capture' })
  })

  it('knows how a capture breaks', () => {
    const broken = (code: string) => last(see(), { type: 'begin' }, { type: 'broken', code })
    expect(broken('replaced')).toEqual({ at: 'trouble', what: 'replaced' })
    expect(broken('step')).toEqual({ at: 'loading' })
    expect(broken('bad_frame')).toEqual({ at: 'trouble', what: 'system' })
  })
})

it('places every screen on the progress line', () => {
  const at = (screen: Screen) => stage({ screen, view: null, environment: null, kind: null })
  expect(at({ at: 'intro' })).toBe('capture')
  expect(at({ at: 'record' })).toBe('capture')
  expect(at({ at: 'working' })).toBe('capture')
  expect(at({ at: 'result', fresh: true })).toBe('result')
  expect(at({ at: 'trouble', what: 'offline' })).toBeNull()
})

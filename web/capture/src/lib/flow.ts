// The page's controller: runs what the machine's screens need and feeds it events.
import { computed, onBeforeUnmount, reactive, watch } from 'vue'

import { parseAddress } from './address'
import { Api, Refusal } from './api'
import type { CameraFault } from './camera'
import { environmentFault } from './environment'
import { bridge } from './bridge'
import { backoff } from './link'
import { type Event, kindOf, next, stage, start, type State } from './machine'
import type { Kind, View } from './protocol'
import { firstFollowable, withParams } from './redirect'

export function useFlow() {
  const address = parseAddress(location.search, location.hash)
  const api = new Api(address.token, address.app, address.subject)
  const media = navigator.mediaDevices as MediaDevices | undefined
  const state = reactive<State>(
    start(
      address.token,
      environmentFault({
        secure: window.isSecureContext,
        camera: typeof media?.getUserMedia === 'function',
        socket: 'WebSocket' in window,
        agent: navigator.userAgent,
      }),
    ),
  )
  const polling = reactive({ failing: false })
  let timer: ReturnType<typeof setTimeout> | undefined
  let asking = false
  let fails = 0
  let refusedReported = false

  function send(e: Event): void {
    Object.assign(state, next(state as State, e))
  }

  /** Asks for the session; on screens that wait for it, again and again. */
  async function load(): Promise<void> {
    clearTimeout(timer)
    if (asking) return
    asking = true
    try {
      const view = await api.session()
      fails = 0
      polling.failing = false
      send({ type: 'view', view })
      if (view.step === 'running') again(1200)
    } catch (e) {
      if (e instanceof Refusal && e.code === 'token_invalid') {
        send({ type: 'unknown' })
        return
      }
      fails++
      polling.failing = true
      send(e instanceof Refusal ? { type: 'broken', code: e.code } : { type: 'unreachable' })
      again(backoff(fails))
    } finally {
      asking = false
    }
  }

  function again(wait: number): void {
    clearTimeout(timer)
    timer = setTimeout(() => {
      const s = state.screen
      if (
        s.at === 'working' ||
        s.at === 'loading' ||
        (s.at === 'trouble' && (s.what === 'offline' || s.what === 'system'))
      )
        void load()
    }, wait)
  }

  const online = () => {
    if (polling.failing) void load()
  }
  window.addEventListener('online', online)
  onBeforeUnmount(() => {
    window.removeEventListener('online', online)
    clearTimeout(timer)
  })

  /** Posts something whose answer is the session; the code of a refusal, or ''. */
  async function post(call: () => Promise<View>, type: 'view' | 'ended' = 'view'): Promise<string> {
    try {
      send({ type, view: await call() })
      return ''
    } catch (e) {
      if (!(e instanceof Refusal)) return 'unreachable'
      if (e.code === 'token_invalid' || e.code === 'undecided') {
        await load() // it was used up, ended or went on elsewhere: show what it is now
        return ''
      }
      return e.code
    }
  }

  /** What is handed on from where the page is now; nothing where nobody wants it. */
  const handed = computed((): Record<string, string> => {
    const o = state.view?.onward
    const at = state.screen
    return (at.at === 'trouble' && o?.trouble?.[at.what]) || o?.params || {}
  })
  const told = () => (state.view?.onward ? { onward: { ...handed.value } } : {})

  const target = (passed: boolean) =>
    withParams(
      passed
        ? firstFollowable(address.successUrl, state.view?.redirect?.success ?? '')
        : firstFollowable(address.failedUrl, state.view?.redirect?.failed ?? ''),
      handed.value,
    )

  // The server's verdict alone says which address is meant.
  const onward = computed(() => target(state.view?.result?.passed === true))
  const exit = computed(() => target(false))

  const follow = (to: string) => {
    if (to !== '') location.assign(to)
  }

  const tell = bridge(address.useNative, window)
  tell({ event: 'ready' })
  /** Asks the app around the page to close it, where there is one and nowhere else to go. */
  const close = () => tell({ event: 'close', passed: state.view?.result?.passed === true, ...told() })

  if (address.token !== '') void load()
  watch(
    () => state.screen,
    (s) => {
      if (s.at === 'loading') void load()
      tell(
        s.at === 'trouble'
          ? { event: 'step', step: s.at, trouble: s.what, ...told() }
          : { event: 'step', step: s.at },
      )
      const r = state.view?.result
      if (s.at === 'result' && r) {
        tell({ event: 'result', passed: r.passed, reason: r.reason, mayRetry: r.mayRetry, ...told() })
      }
    },
  )

  return {
    state: state as Readonly<State>,
    stage: computed(() => stage(state as State)),
    polling,
    onward,
    exit,
    token: address.token,
    api,
    native: address.useNative,
    kind: computed(() => kindOf(state as State)),
    follow,
    close,
    /** Leaves a trouble: to the address given, else by asking the app to close the page. */
    leave: () => (exit.value !== '' ? follow(exit.value) : close()),
    closable: computed(() => address.useNative && state.view?.onward !== undefined),
    agree: () => post(() => api.consent(state.view?.consent.version ?? '')),
    identify: (name: string, number: string, type: number) => post(() => api.identity(name, number, type)),
    confirm: (fields: Record<string, string>) => post(() => api.confirm(fields)),
    begin: (kind?: Kind) => send({ type: 'begin', kind }),
    retry: () => send({ type: 'retry' }),
    reload: () => send({ type: 'reload' }),
    working: () => send({ type: 'working' }),
    result: (view: View) => send({ type: 'view', view }),
    orphaned: () => void load(),
    broken: (code: string) => send({ type: 'broken', code }),
    /** The capture subject gave up: recorded, then shown as any other outcome. */
    cancel: () => post(() => api.abandon('cancelled'), 'ended'),
    /** A recording was uploaded and analysed. */
    recorded: (view: View) => send({ type: 'view', view }),
    camera(fault: CameraFault): void {
      send({ type: 'camera', fault })
      // The relying party is told once that there was no camera.
      if (fault !== 'camera_lost' && !refusedReported) {
        refusedReported = true
        void api
          .abandon('camera_refused')
          .then((view) => (state.view = view))
          .catch(() => {})
      }
    },
  }
}

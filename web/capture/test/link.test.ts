import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'

import { backoff, frameHeader, Link, type LinkState, type SocketLike } from '../src/lib/link'

class FakeSocket {
  binaryType = 'blob'
  onopen: (() => void) | null = null
  onmessage: ((e: { data: unknown }) => void) | null = null
  onclose: (() => void) | null = null
  sent: unknown[] = []
  closed = false
  send(d: unknown) {
    this.sent.push(d)
  }
  close() {
    this.closed = true
  }
  says(m: object) {
    this.onmessage?.({ data: JSON.stringify(m) })
  }
}

let sockets: FakeSocket[]
let heard: string[]
let states: LinkState[]
let link: Link
const newest = () => sockets.at(-1)!
const ready = { type: 'ready', window: 2, interval: 100 }
const frame = new ArrayBuffer(8)

beforeEach(() => {
  vi.useFakeTimers()
  sockets = []
  heard = []
  states = []
  link = new Link(
    () => ({ token: 'secret', kind: 'flash', camera: 'c', device: 'd' }),
    () => {
      sockets.push(new FakeSocket())
      return newest() as unknown as SocketLike
    },
    {
      state: (s) => states.push(s),
      hint: (h, p, phase) => heard.push(`hint ${h} ${p} ${phase}`.trimEnd()),
      cue: (c) => heard.push(`cue ${c.n} ${c.colour ?? c.action ?? c.near} ${c.for}`),
      again: (why) => heard.push(`again ${why}`),
      take: () => heard.push('take'),
      working: () => heard.push('working'),
      orphaned: () => heard.push('orphaned'),
      result: (v) => heard.push(`result ${v.state}`),
      broken: (c) => heard.push(`broken ${c}`),
    },
  )
})
afterEach(() => vi.useRealTimers())

function connect() {
  link.open()
  newest().onopen?.()
  newest().says(ready)
}

describe('the capture link', () => {
  it('says hello with the token and waits until it is told to go on', () => {
    link.open()
    expect(link.mayFrame(0)).toBe(false)
    newest().onopen?.()
    expect(newest().sent).toEqual(['{"token":"secret","kind":"flash","camera":"c","device":"d"}'])
    expect(link.mayFrame(0)).toBe(false)
    newest().says(ready)
    expect(link.mayFrame(0)).toBe(true)
  })

  it('keeps at most a window of frames on the way, one per interval', () => {
    connect()
    link.frame(frame, 1000)
    expect(link.mayFrame(1050)).toBe(false) // too soon
    expect(link.mayFrame(1100)).toBe(true)
    link.frame(frame, 1100)
    expect(link.mayFrame(5000)).toBe(false) // two are on the way
    newest().says({ type: 'hint', hint: 'closer', progress: 0.25, seen: 2 })
    expect(link.mayFrame(5000)).toBe(true) // the first was dropped, the second looked at
    expect(heard).toEqual(['hint closer 0.25'])
  })

  it('numbers its frames and says when they were taken, before the picture', async () => {
    connect()
    link.frame(new Uint8Array([0xff, 0xd8]).buffer, 1234.6)
    const message = newest().sent.at(-1) as Blob
    expect([...new Uint8Array(await message.arrayBuffer())]).toEqual([0, 0, 0, 1, 0, 0, 4, 211, 0xff, 0xd8])
    expect(new DataView(frameHeader(2 ** 24, 2 ** 32 + 5)).getUint32(4)).toBe(5)
  })

  it('passes each cue on at once', () => {
    connect()
    newest().says({ type: 'hint', hint: '', progress: 0.5, seen: 1, phase: 'challenge' })
    newest().says({ type: 'cue', n: 1, for: 400, colour: [255, 0, 0] })
    newest().says({ type: 'cue', n: 2, for: 3000, action: 'blink' })
    newest().says({ type: 'cue', n: 3, for: 3000, near: false })
    newest().says({ type: 'again', why: 'no_face' })
    expect(heard).toEqual([
      'hint  0.5 challenge',
      'cue 1 255,0,0 400',
      'cue 2 blink 3000',
      'cue 3 false 3000',
      'again no_face',
    ])
  })

  it('rests once the document is to be photographed, and looks again when it is asked to', () => {
    connect()
    const first = newest()
    first.says({ type: 'take' })
    first.onclose?.()
    expect([heard, states.at(-1), first.closed]).toEqual([['take'], 'idle', true])
    vi.advanceTimersByTime(60_000)
    expect(sockets).toHaveLength(1)
    connect()
    expect([sockets.length, states.at(-1)]).toEqual([2, 'ready'])
  })

  it('comes back after the connection is lost, waiting ever longer, with a new count', () => {
    connect()
    link.frame(frame, 0)
    link.frame(frame, 200)
    newest().onclose?.()
    expect(states.at(-1)).toBe('lost')
    vi.advanceTimersByTime(backoff(1))
    expect(sockets).toHaveLength(2)
    newest().onclose?.()
    vi.advanceTimersByTime(backoff(2) - 1)
    expect(sockets).toHaveLength(2)
    vi.advanceTimersByTime(1)
    expect(sockets).toHaveLength(3)
    newest().onopen?.()
    newest().says(ready)
    expect(link.mayFrame(1000)).toBe(true)
    expect([1, 2, 3, 9].map(backoff)).toEqual([500, 1000, 2000, 8000])
  })

  it('tries at once when it is asked to', () => {
    connect()
    newest().onclose?.()
    link.open()
    expect(sockets).toHaveLength(2)
    vi.advanceTimersByTime(60_000)
    expect(sockets).toHaveLength(2) // and only once
  })

  it('queues when the server has no room', () => {
    link.open()
    newest().says({ type: 'error', code: 'busy' })
    expect(link.crowded).toBe(true)
    expect(heard).toEqual([])
    vi.advanceTimersByTime(backoff(1))
    newest().says(ready)
    expect(link.crowded).toBe(false)
  })

  it('hands over the result and stays closed', () => {
    connect()
    const s = newest()
    s.says({ type: 'working' })
    expect(link.mayFrame(9999)).toBe(false)
    link.frame(frame, 9999)
    s.says({ type: 'result', session: { state: 'passed' } })
    s.onclose?.()
    vi.advanceTimersByTime(60_000)
    expect(heard).toEqual(['working', 'result passed'])
    expect(s.sent).toHaveLength(1)
    expect(sockets).toHaveLength(1)
    expect(states.at(-1)).toBe('done')
  })

  it('asks for the result elsewhere when the connection breaks during the analysis', () => {
    connect()
    newest().says({ type: 'working' })
    newest().onclose?.()
    vi.advanceTimersByTime(60_000)
    expect(heard).toEqual(['working', 'orphaned'])
    expect(sockets).toHaveLength(1)
  })

  it.each(['replaced', 'step', 'kind', 'bad_frame', 'system'])('ends for good on %s', (code) => {
    connect()
    newest().says({ type: 'error', code })
    newest().onclose?.()
    vi.advanceTimersByTime(60_000)
    expect(heard).toEqual([`broken ${code}`])
    expect(sockets).toHaveLength(1)
  })

  it('hangs up while the page is hidden and goes on afterwards', () => {
    connect()
    const s = newest()
    link.close()
    expect(s.closed).toBe(true)
    s.onclose?.()
    vi.advanceTimersByTime(60_000)
    expect(sockets).toHaveLength(1)
    link.open()
    expect(sockets).toHaveLength(2)
  })

  it('ignores what it does not know', () => {
    connect()
    newest().onmessage?.({ data: 'no JSON' })
    newest().onmessage?.({ data: new ArrayBuffer(1) })
    newest().says({ type: 'news' })
    newest().says([])
    newest().onmessage?.({ data: 'null' })
    expect(heard).toEqual([])
  })
})

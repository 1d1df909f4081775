// The capture socket: says hello, paces frames by what the server has accounted for,
// and comes back by itself when the connection breaks.
import { type Cue, type Message, readMessage } from './protocol'

/** What is used of a WebSocket. */
export type SocketLike = Pick<WebSocket, 'binaryType' | 'onopen' | 'onmessage' | 'onclose' | 'send' | 'close'>

export type LinkState = 'idle' | 'connecting' | 'ready' | 'lost' | 'done'

export interface LinkHandlers {
  state(s: LinkState): void
  hint(hint: string, progress: number, phase: string): void
  /** Show this now, in place of the cue before. */
  cue(c: Cue): void
  /** The presentation broke; another challenge follows. */
  again(why: string): void
  /** The document is in view: photograph it now. The link rests until it is opened again. */
  take?(): void
  working(): void
  /** The socket broke after the presentation was complete: its result must be asked for. */
  orphaned(): void
  result(view: Extract<Message, { type: 'result' }>['session']): void
  /** The conversation is over for a reason that another try does not mend. */
  broken(code: string): void
}

/** Waiting times between tries in ms: at once, then ever longer. */
export const backoff = (tries: number) => Math.min(8000, 500 * 2 ** Math.max(0, tries - 1))

/** What the page says of itself when it opens the socket. */
export interface Hello {
  token: string
  kind: string
  camera: string
  device: string
  side?: string // of a document that the camera looks for
}

/** The header of a frame: its number and the page's clock in ms, 32 bits each, big-endian. */
export function frameHeader(n: number, now: number): ArrayBuffer {
  const head = new DataView(new ArrayBuffer(8))
  head.setUint32(0, n)
  head.setUint32(4, Math.max(0, Math.round(now)) % 2 ** 32)
  return head.buffer
}

/** Errors of the server after which trying again by itself is right. */
const passing = new Set(['busy', 'idle', 'restart'])

export class Link {
  private socket: SocketLike | null = null
  private timer: ReturnType<typeof setTimeout> | undefined
  private tries = 0
  private window = 1
  private interval = 1000
  private sent = 0
  private seen = 0
  private last = -Infinity
  private state: LinkState = 'idle'
  /** Whether the presentation is complete and its result awaited. */
  analysing = false
  /** Whether the server said that it has no room just now. */
  crowded = false

  constructor(
    private readonly hello: () => Hello,
    private readonly dial: () => SocketLike,
    private readonly on: LinkHandlers,
  ) {}

  /** Connects, or tries again at once. */
  open(): void {
    if (this.state === 'connecting' || this.state === 'ready' || this.state === 'done') return
    clearTimeout(this.timer)
    this.set('connecting')
    this.sent = this.seen = 0
    this.analysing = false
    let socket: SocketLike
    try {
      socket = this.dial()
    } catch {
      this.lost()
      return
    }
    this.socket = socket
    socket.binaryType = 'arraybuffer'
    socket.onopen = () => socket.send(JSON.stringify(this.hello()))
    socket.onmessage = (e) => {
      const m = readMessage(e.data)
      if (m && this.socket === socket) this.take(m)
    }
    socket.onclose = () => {
      if (this.socket === socket) this.closed()
    }
  }

  /** Hangs up for good, or until open is called. */
  close(): void {
    clearTimeout(this.timer)
    this.hangUp()
    if (this.state !== 'done') this.set('idle')
  }

  /** Reports whether a frame may be sent at a moment, in ms. */
  mayFrame(now: number): boolean {
    return (
      this.state === 'ready' &&
      !this.analysing &&
      this.sent - this.seen < this.window &&
      now - this.last >= this.interval
    )
  }

  /** Sends a picture that was taken at a moment, in ms. */
  frame(picture: ArrayBuffer | Blob, now: number): void {
    if (this.state !== 'ready' || this.analysing) return
    this.sent++
    this.last = now
    this.socket?.send(new Blob([frameHeader(this.sent, now), picture]))
  }

  private take(m: Message): void {
    switch (m.type) {
      case 'ready':
        this.tries = 0
        this.crowded = false
        this.window = m.window
        this.interval = m.interval
        this.set('ready')
        return
      case 'hint':
        this.seen = Math.max(this.seen, m.seen)
        this.on.hint(m.hint, m.progress, m.phase ?? '')
        return
      case 'cue':
        this.on.cue(m)
        return
      case 'again':
        this.on.again(m.why ?? '')
        return
      case 'take':
        this.hangUp()
        this.set('idle')
        this.on.take?.()
        return
      case 'working':
        this.analysing = true
        this.on.working()
        return
      case 'result':
        this.finish()
        this.on.result(m.session)
        return
      case 'error':
        if (passing.has(m.code)) {
          this.crowded = m.code === 'busy'
          this.hangUp()
          this.lost()
          return
        }
        this.finish()
        this.on.broken(m.code)
    }
  }

  private closed(): void {
    this.socket = null
    if (this.analysing) {
      this.set('done')
      this.on.orphaned()
      return
    }
    this.lost()
  }

  private lost(): void {
    this.tries++
    this.set('lost')
    this.timer = setTimeout(() => this.open(), backoff(this.tries))
  }

  private finish(): void {
    this.hangUp()
    this.set('done')
  }

  private hangUp(): void {
    const s = this.socket
    this.socket = null
    s?.close()
  }

  private set(s: LinkState): void {
    this.state = s
    this.on.state(s)
  }
}

import { describe, expect, it } from 'vitest'

import { socketAddress } from '../src/lib/api'
import { bridge } from '../src/lib/bridge'
import { cameraFault, frameSize } from '../src/lib/camera'
import { browserOf, environmentFault } from '../src/lib/environment'
import { pickLang } from '../src/lib/i18n'
import type { Prompts } from '../src/lib/protocol'
import { plainLength, promptAt, recordingLength, recordingType } from '../src/lib/recorder'
import { settleFor, stayFor, Steady } from '../src/lib/steady'
import en from '../src/locales/en.json'
import zh from '../src/locales/zh-CN.json'

describe('frames', () => {
  it.each([
    [640, 480, 640, 480],
    [1280, 960, 640, 480],
    [1280, 720, 853, 480],
    [720, 1280, 480, 853],
    [320, 240, 320, 240],
  ])('%i x %i is sent as %i x %i', (w, h, width, height) =>
    expect(frameSize(w, h)).toEqual({ width, height }),
  )
})

describe('camera faults', () => {
  it.each([
    ['NotAllowedError', 'camera_denied'],
    ['SecurityError', 'camera_denied'],
    ['NotFoundError', 'camera_absent'],
    ['OverconstrainedError', 'camera_absent'],
    ['NotReadableError', 'camera_busy'],
    ['AbortError', 'camera_busy'],
    ['TypeError', 'camera_failed'],
  ])('%s is %s', (name, want) => expect(cameraFault({ name })).toBe(want))
  it('survives anything', () => expect(cameraFault(null)).toBe('camera_failed'))
})

describe('surroundings', () => {
  const iphone = 'Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15'
  it.each([
    [iphone + ' Version/17.0 Mobile/15E148 Safari/604.1', 'ios_safari'],
    [iphone + ' CriOS/120 Mobile Safari/604.1', 'ios_other'],
    [iphone + ' MicroMessenger/8.0.40', 'wechat'],
    ['Mozilla/5.0 (Linux; Android 14) Chrome/120 Mobile Safari/537.36', 'android'],
    ['Mozilla/5.0 (Linux; Android 14; wv) Chrome/120 Mobile Safari/537.36', 'in_app'],
    ['Mozilla/5.0 (Linux; Android 14) AlipayClient/10', 'in_app'],
    ['Mozilla/5.0 (Android 14; Mobile; rv:120.0) Gecko/120.0 Firefox/120.0', 'android_firefox'],
    ['Mozilla/5.0 (X11; Linux x86_64; rv:120.0) Gecko/20100101 Firefox/120.0', 'firefox'],
    ['Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Version/17.0 Safari/605.1.15', 'mac_safari'],
    ['Mozilla/5.0 (Windows NT 10.0) Chrome/120 Safari/537.36 Edg/120', 'desktop'],
  ])('%s', (agent, want) => expect(browserOf(agent)).toBe(want))

  const good = { secure: true, camera: true, socket: true, agent: 'Chrome' }
  it.each([
    [good, null],
    [{ ...good, secure: false, camera: false }, 'insecure'],
    [{ ...good, camera: false }, 'unsupported'],
    [{ ...good, camera: false, agent: 'MicroMessenger' }, 'in_app'],
    [{ ...good, socket: false }, 'unsupported'],
  ] as const)('%o: %s', (s, want) => expect(environmentFault(s)).toBe(want))
})

it('finds the socket beside the page', () => {
  expect(socketAddress({ protocol: 'https:', host: 'a.example:8443' })).toBe(
    'wss://a.example:8443/face/print/api/capture',
  )
  expect(socketAddress({ protocol: 'http:', host: 'localhost' })).toBe(
    'ws://localhost/face/print/api/capture',
  )
})

describe('steady hints', () => {
  it('shows a hint once it has lasted, and long enough to be read', () => {
    const s = new Steady()
    expect(s.take('closer', 0)).toBe('')
    expect(s.take('closer', settleFor)).toBe('closer')
    expect(s.take('', settleFor + 50)).toBe('closer')
    expect(s.take('', settleFor + 50 + settleFor)).toBe('closer') // settled, but shown too shortly
    expect(s.take('', settleFor + stayFor)).toBe('')
  })
  it('does not show what flickers', () => {
    const s = new Steady()
    for (let now = 0; now < 3000; now += 100) expect(s.take(now % 200 ? 'closer' : 'further', now)).toBe('')
  })
})

describe('words', () => {
  it('are whole in both languages, with the same blanks', () => {
    expect(Object.keys(en)).toEqual(Object.keys(zh))
    const blanks = (s: string) => (s.match(/\{\w+\}/g) ?? []).sort()
    for (const key of Object.keys(zh) as (keyof typeof zh)[]) {
      expect(zh[key], key).not.toBe('')
      expect(en[key], key).not.toBe('')
      expect(blanks(en[key]), key).toEqual(blanks(zh[key]))
    }
  })
  it.each([
    [['zh-CN', 'en'], 'zh-CN'],
    [['zh-TW'], 'zh-CN'],
    [['en-GB', 'zh'], 'en'],
    [['fr', 'zh'], 'zh-CN'],
    [['fr'], 'en'],
    [[], 'zh-CN'],
  ])('%j gives %s', (p, want) => expect(pickLang(p)).toBe(want))
})

describe('recordings', () => {
  const digits: Prompts = {
    id: '1',
    kind: 'digits',
    expires: 300,
    cues: [
      { n: 1, after: 1000, for: 1200, digit: '7' },
      { n: 2, after: 2500, for: 2000, digit: '0' },
    ],
  }
  it('show each prompt in its own time', () => {
    const at = (ms: number) => promptAt(digits, ms)?.digit ?? ''
    expect([0, 999, 1000, 2199, 2200, 2500, 4499, 4500].map(at)).toEqual(['', '', '7', '7', '', '0', '0', ''])
  })
  it('last until the prompts are over, and no less than a plain one', () => {
    expect(recordingLength(digits)).toBe(5100)
    expect(recordingLength({ ...digits, cues: [] })).toBe(plainLength)
  })
  it('take the best type that the browser has', () => {
    expect(recordingType((x) => x.startsWith('video/webm'))).toBe('video/webm;codecs=vp8,opus')
    expect(recordingType(() => true)).toBe('video/mp4;codecs=avc1.42E01E,mp4a.40.2')
    expect(recordingType(() => false)).toBe('')
    expect(recordingType()).toBe('') // this runtime records nothing
  })
})

describe('the bridge', () => {
  function host() {
    const heard: unknown[] = []
    const parent = { postMessage: (m: unknown) => heard.push(m) }
    return {
      heard,
      shirenNative: { postMessage: (s: string) => heard.push(s) },
      webkit: { messageHandlers: { shiren: { postMessage: (m: object) => heard.push(m) } } },
      parent: parent as unknown as Window,
      top: null,
    }
  }
  it('tells every host the same, and no more than it must', () => {
    const h = host()
    bridge(true, h)({ event: 'result', passed: false, reason: 'non_match', mayRetry: true })
    const want = {
      source: 'shiren',
      version: 1,
      event: 'result',
      passed: false,
      reason: 'non_match',
      mayRetry: true,
    }
    expect(h.heard).toEqual([JSON.stringify(want), want, want])
  })
  it('is silent unless it was asked for', () => {
    const h = host()
    bridge(false, h)({ event: 'ready' })
    expect(h.heard).toEqual([])
  })
  it('survives a host that fails', () => {
    const h = host()
    h.shirenNative.postMessage = () => {
      throw new Error('gone')
    }
    bridge(true, h)({ event: 'ready' })
    expect(h.heard).toHaveLength(2)
  })
})

import { afterEach, describe, expect, it, vi } from 'vitest'
import { effectScope } from 'vue'

import {
  api,
  ApiError,
  Cancelled,
  errorText,
  type Page,
  retriable,
  signedOut,
  withQuery,
} from '../src/lib/api'
import { groups, menu } from '../src/lib/area'
import { csvOf } from '../src/lib/download'
import { found } from '../src/lib/find'
import { bytes, money, percent } from '../src/lib/format'
import { notices } from '../src/lib/notice'
import { zone } from '../src/lib/preferences'
import { current, spanOf } from '../src/lib/span'
import { agoText, durationText, fromLocal, midnight, timeText, toLocal } from '../src/lib/time'
import { useList } from '../src/lib/useAsync'
import { param, queryOf, spanIn } from '../src/lib/useFilters'
import { orTell, useForm, useTask } from '../src/lib/useTask'
import { has, lang, needWords, t, tr } from '../src/lib/words'

afterEach(() => {
  vi.unstubAllGlobals()
  lang.value = 'zh-CN'
  zone.value = ''
})

describe('times', () => {
  it.each([
    ['2026-03-01T16:30:05Z', 'Asia/Shanghai', '2026/03/02 00:30:05'],
    ['2026-03-01T16:30:05Z', 'America/New_York', '2026/03/01 11:30:05'],
    ['2026-03-01T16:30:05Z', 'UTC', '2026/03/01 16:30:05'],
  ])('%s in %s is %s', (at, z, want) => {
    zone.value = z
    expect(timeText(at)).toBe(want)
  })
  it('has nothing to say of no time, and of the zero time', () => {
    expect([timeText(''), timeText(null), timeText('0001-01-01T00:00:00Z'), timeText('x')]).toEqual([
      '',
      '',
      '',
      '',
    ])
  })
  it.each([
    ['2026-03-02T00:30', 'Asia/Shanghai', '2026-03-01T16:30:00.000Z'],
    ['2026-03-08T01:59', 'America/New_York', '2026-03-08T06:59:00.000Z'], // a minute before the clocks change
    ['2026-03-08T03:00', 'America/New_York', '2026-03-08T07:00:00.000Z'],
    ['2026-11-01T12:00', 'America/New_York', '2026-11-01T17:00:00.000Z'],
    ['2026-06-01T12:00', 'Asia/Kathmandu', '2026-06-01T06:15:00.000Z'],
  ])('%s in %s is %s, and back', (text, z, want) => {
    expect(fromLocal(text, z)).toBe(want)
    expect(toLocal(want, z)).toBe(text)
  })
  it('reads nothing from nothing', () => expect([fromLocal(''), toLocal('')]).toEqual(['', '']))
  it('begins days where the operator is', () => {
    const at = Date.parse('2026-03-01T16:30:05Z')
    expect(midnight(at, 0, 'Asia/Shanghai')).toBe('2026-03-01T16:00:00.000Z')
    expect(midnight(at, 0, 'UTC')).toBe('2026-03-01T00:00:00.000Z')
    expect(midnight(Date.parse('2026-03-08T20:00:00Z'), 0, 'America/New_York')).toBe(
      '2026-03-08T05:00:00.000Z',
    )
    expect(midnight(Date.parse('2026-03-08T20:00:00Z'), 1, 'America/New_York')).toBe(
      '2026-03-09T04:00:00.000Z',
    )
  })
  it('says how long ago', () => {
    lang.value = 'en'
    expect(agoText(1000, 3 * 86_400_000 + 1000)).toBe('3 days ago')
    expect([durationText(12), durationText(1234), durationText(61_000)]).toEqual([
      '12 ms',
      '1.23 s',
      '1 min 1 s',
    ])
  })
  it('works out spans anew', () => {
    zone.value = 'Asia/Shanghai'
    const at = Date.parse('2026-03-01T16:30:05Z')
    expect(spanOf('today', at)).toEqual({ usual: 'today', since: '2026-03-01T16:00:00.000Z', before: '' })
    expect(spanOf('yesterday', at).before).toBe('2026-03-01T16:00:00.000Z')
    expect(current(spanOf('today', 0), at)).toEqual(spanOf('today', at))
    const own = { usual: 'own' as const, since: 'a', before: 'b' }
    expect(current(own, at)).toBe(own)
  })
})

describe('words', () => {
  it('fills in, falls back, and loads an area in both languages', async () => {
    expect(t('account', { name: 'li' })).toBe('账号：li')
    expect(t('no.such')).toBe('no.such')
    expect(tr('no.such', 'save')).toBe('保存')
    expect(has('access.sign-in')).toBe(false)
    await needWords('access')
    expect(t('access.sign-in')).toBe('登录')
    lang.value = 'en'
    expect(t('access.sign-in')).toBe('登录') // until the other comes
    await vi.waitFor(() => expect(t('access.sign-in')).toBe('Sign in'))
  })
})

describe('filters', () => {
  it('find what holds the text in any of its texts, in whatever case', () => {
    const list = [
      { id: '100001', name: 'Shop' },
      { id: '100002', name: '商店' },
    ]
    const of = (typed: string) => found(list, typed, (x) => [x.id, x.name]).map((x) => x.id)
    expect([of(''), of(' SHOP '), of('0002'), of('商'), of('x')]).toEqual([
      ['100001', '100002'],
      ['100001'],
      ['100002'],
      ['100002'],
      [],
    ])
  })
  it('come back from the address that they wrote', () => {
    const own = { usual: 'own' as const, since: '2026-03-01T00:00:00.000Z', before: '' }
    const query = queryOf(own, { app: '1', plan: '' })
    expect(query).toEqual({ since: own.since, app: '1' })
    expect([spanIn(query, 'week'), param(query, 'app'), param(query, 'plan')]).toEqual([own, '1', ''])
    expect(queryOf(spanOf('today'), {})).toEqual({ time: 'today' })
    expect(spanIn({ time: 'today' }, 'week').usual).toBe('today')
  })
  it('fall back where the address says nothing that is known', () => {
    for (const time of [undefined, 'own', 'for ever', ['day', 'week']] as const)
      expect(spanIn(time === undefined ? {} : { time: time as string }, 'month').usual).toBe('month')
    expect(param({ app: ['1', '2'] }, 'app')).toBe('')
  })
})

describe('figures', () => {
  it('are written as the language does', () => {
    expect([percent(1, 3), percent(0, 0), money(1_500_000), bytes(1_234_567), bytes(12)]).toEqual([
      '33.3%',
      '–',
      '1.50',
      '1.2 MB',
      '12 B',
    ])
  })
})

describe('files', () => {
  it('quotes, and runs no formula', async () => {
    const text = await csvOf(
      ['名', 'n'],
      [
        ['a,"b"', 1],
        ['=1+1', -2],
        ['@x', 0],
      ],
    ).text()
    expect(text).toBe('名,n\r\n"a,""b""",1\r\n\'=1+1,-2\r\n\'@x,0\r\n')
  })
})

describe('calls', () => {
  const answer = (status: number, body: unknown) =>
    vi.fn(async () => new Response(JSON.stringify(body), { status }))

  it('carry the header that no form can send, and a query without what is empty', async () => {
    const f = answer(200, { ok: 1 })
    vi.stubGlobal('fetch', f)
    expect(await api.get('/records', { a: '', b: undefined, c: false, d: '& ' })).toEqual({ ok: 1 })
    const [url, init] = f.mock.calls[0] as unknown as [string, RequestInit]
    expect(url).toBe('/console/api/records?c=false&d=%26+')
    expect(init.headers).toMatchObject({ 'Shiren-Console': '1' })
    expect(withQuery('/x', {})).toBe('/x')
  })
  it('fail with the code of the server', async () => {
    vi.stubGlobal('fetch', answer(403, { error: { code: 'forbidden', message: 'your role may not' } }))
    const e = await api.post('/x', {}).catch((e: unknown) => e)
    expect(e).toBeInstanceOf(ApiError)
    expect(errorText(e)).toBe(t('error.forbidden'))
    expect(errorText(new ApiError(400, 'strange', 'the server says so'))).toBe('the server says so')
  })
  it('tell when the sign-in has ended, unless they are quiet', async () => {
    vi.stubGlobal('fetch', answer(401, { error: { code: 'signed_out', message: '' } }))
    const before = signedOut.value
    await api.get('/x', {}, { quiet: true }).catch(() => {})
    expect(signedOut.value).toBe(before)
    await api.get('/x').catch(() => {})
    expect(signedOut.value).toBe(before + 1)
  })
  it('say when the server is not there', async () => {
    vi.stubGlobal('fetch', async () => Promise.reject(new TypeError('failed')))
    const e = await api.get('/x').catch((e: unknown) => e)
    expect(e).toMatchObject({ status: 0, code: 'unreachable' })
  })
  it.each([
    [0, true],
    [500, true],
    [429, true],
    [403, false],
    [404, false],
    [410, false], // a one-time link that is spent
  ])('that fail with %i are worth another try: %s', (status, want) =>
    expect(retriable(new ApiError(status, '', ''))).toBe(want),
  )
})

describe('the menu', () => {
  it('goes group by group', () => {
    const met = menu.map((m) => m.group)
    expect(met.filter((g, i) => g !== met[i - 1])).toEqual(groups)
  })
})

describe('lists', () => {
  const list = <T>(f: (after: string) => Promise<Page<T>>) => effectScope().run(() => useList(f, true))!

  it('add page after page, and begin anew', async () => {
    const asked: string[] = []
    const l = list(async (after) => {
      asked.push(after)
      return after === '' ? { items: [1, 2], next: 'two' } : { items: [3], next: '' }
    })
    await l.reload()
    expect([l.items.value, l.more.value]).toEqual([[1, 2], true])
    await l.next()
    expect([l.items.value, l.more.value]).toEqual([[1, 2, 3], false])
    await l.next()
    await l.reload()
    expect(l.items.value).toEqual([1, 2])
    expect(asked).toEqual(['', 'two', ''])
  })
  it('keep what failed to be told', async () => {
    const l = list<number>(async () => Promise.reject(new ApiError(500, 'system', '')))
    await l.reload()
    expect(l.error.value).toBeInstanceOf(ApiError)
    expect(l.loading.value).toBe(false)
  })
  it('stay when more of them does not come, tell it, and ask again', async () => {
    let up = true
    const l = list(async (after) => {
      if (!up) throw new ApiError(0, 'unreachable', '')
      return after === '' ? { items: [1], next: 'two' } : { items: [2], next: '' }
    })
    await l.reload()
    up = false
    await l.next()
    expect([l.items.value, l.more.value, l.error.value]).toEqual([[1], true, null])
    expect(notices.at(-1)).toMatchObject({ kind: 'error', text: t('error.unreachable') })
    up = true
    await l.next()
    expect(l.items.value).toEqual([1, 2])
  })
})

describe('tasks', () => {
  it('do one thing at a time and say whether it went well', async () => {
    const told: unknown[] = []
    const task = useTask((e) => told.push(e))
    let finish = () => {}
    const first = task.run(() => new Promise<void>((resolve) => (finish = resolve)))
    expect([task.busy.value, await task.run(() => Promise.resolve())]).toEqual([true, false])
    finish()
    expect([await first, task.busy.value, told]).toEqual([true, false, []])
  })
  it('tell a failure, and nothing of what was given up', async () => {
    const told: unknown[] = []
    const task = useTask((e) => told.push(e))
    const wrong = new Error('wrong')
    expect(await task.run(() => Promise.reject(new Cancelled()))).toBe(false)
    expect(await task.run(() => Promise.reject(wrong))).toBe(false)
    expect([told, task.busy.value]).toEqual([[wrong], false])
  })
  it("that may overlap tell a failure in the area's words, and nothing of what was given up", async () => {
    notices.length = 0
    await orTell('access', () => Promise.reject(new Cancelled()))
    await orTell('access', () => Promise.resolve())
    expect(notices).toEqual([])
    await needWords('access')
    await orTell('access', () => Promise.reject(new ApiError(400, 'refused', 'in English')))
    expect(notices.map((n) => [n.kind, n.text])).toEqual([['error', t('access.error.refused')]])
  })
  it('of a form show what is wrong until they are tried again', async () => {
    const form = useForm('access', () => 'it is wrong')
    await form.run(() => Promise.reject(new Error()))
    expect(form.fault.value).toBe('it is wrong')
    await form.run(async () => expect(form.fault.value).toBe(''))
    expect(form.fault.value).toBe('')
  })
})

import { beforeAll, describe, expect, it, vi } from 'vitest'

import { agentText } from '../src/areas/access/agent'
import { charged, funnel, outcomes, reasons, scores } from '../src/areas/statistics/charts'
import type { Charges, Statistics } from '../src/areas/statistics/api'
import { needWords } from '../src/lib/words'

beforeAll(async () => {
  vi.stubGlobal('document', { documentElement: {} })
  vi.stubGlobal('getComputedStyle', () => ({ getPropertyValue: (name: string) => name }))
  await needWords('records', 'statistics')
})

describe('browsers', () => {
  it.each([
    [
      'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0',
      'Edge 140 · Windows',
    ],
    [
      'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15',
      'Safari 18 · macOS',
    ],
    ['Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0', 'Firefox 140 · Linux'],
    ['curl/8.5.0', 'curl/8.5.0'],
    ['', '–'],
  ])('%s', (agent, want) => expect(agentText(agent)).toBe(want))
})

describe('charts', () => {
  it('say what they show', () => {
    const steps = ['opened', 'agreed', 'camera', 'challenge', 'passed'].map((step, i) => ({
      step,
      n: 10 - 2 * i,
    }))
    const c = funnel({ funnel: steps } as Statistics)
    expect(c.summary).toBe('10 人打开页面，2 人通过（20%）。')
    expect(c.table.rows[1]).toEqual(['同意授权', 8, '80%'])
  })
  it('draw the most frequent reasons, and list all', () => {
    const list = Array.from({ length: 14 }, (_, i) => ({
      of: 'non_match',
      code: i ? `code_${i}` : 'non_match',
      n: 14 - i,
    }))
    const c = reasons(list)
    expect(c.table.rows).toHaveLength(14)
    expect(c.table.rows[0]).toEqual(['未通过', '不是同一人', 'non_match', 14, '13.3%'])
    expect((c.option['yAxis'] as { data: string[] }).data).toHaveLength(10)
    expect(reasons([]).summary).toBe('没有数据')
  })
  it('leave out an outcome that nothing had', () => {
    const one = { name: 'flash', match: 3, non_match: 1, no_record: 0, failed: 0 }
    expect(outcomes('', '方式', [one], (o) => o.name).table.columns).toEqual([
      '方式',
      '通过',
      '未通过',
      '没有结论',
    ])
    expect(outcomes('', '', [{ ...one, no_record: 1 }], (o) => o.name).table.columns).toContain('查无记录')
  })
  it('find the median of scores', () => {
    expect(scores('', [0, 0, 1, 0, 0, 0, 0, 0, 2, 4], '--chart-1').summary).toBe(
      '7 个分数，中位数在 0.90 与 1.00 之间。',
    )
    expect(scores('', [0, 0], '').summary).toBe('没有数据')
  })
  it('sum charges by app, plan and kind, and put each into its step', () => {
    const c = charged({
      step: 'day',
      times: ['2026-03-01T16:00:00Z', '2026-03-02T16:00:00Z'],
      charges: [
        { at: '2026-03-01T16:00:00Z', app: '1', plan: 'p', kind: 'verify', n: 2 },
        { at: '2026-03-02T16:00:00Z', app: '1', plan: 'p', kind: 'verify', n: 3 },
        { at: '2026-03-02T16:00:00Z', app: '1', plan: '', kind: 'ocr', n: 7 },
      ],
    } as Charges)
    expect(c.table.rows).toEqual([
      ['1', '直接调用', '证件识别', 7],
      ['1', 'p', '实名认证', 5],
    ])
    expect((c.option['series'] as { data: number[] }[]).map((s) => s.data)).toEqual([
      [0, 7],
      [2, 3],
    ])
  })
})

// What each chart shows: an option for ECharts and the same figures as a table.
import { count, money, percent } from '../../lib/format'
import { durationText, shownZone, timeText } from '../../lib/time'
import { lang, t, tr } from '../../lib/words'
import type { ChartTable } from '../../parts/ChartView.vue'
import type { Charges, Outcomes, Reason, Statistics } from './api'

export interface Chart {
  title: string
  summary: string
  option: Record<string, unknown>
  table: ChartTable
}

const colour = (name: string) => getComputedStyle(document.documentElement).getPropertyValue(name).trim()

/** A step's beginning on an axis. */
export function stepText(at: string, step: 'day' | 'hour'): string {
  const f = new Intl.DateTimeFormat(lang.value === 'en' ? 'en-GB' : 'zh-CN', {
    timeZone: shownZone(),
    month: '2-digit',
    day: '2-digit',
    ...(step === 'hour' ? ({ hour: '2-digit', minute: '2-digit', hourCycle: 'h23' } as const) : {}),
  })
  return f.format(new Date(at))
}

const category = (data: string[]) => ({ type: 'category', data, axisLabel: { hideOverlap: true } })
const value = (more: object = {}) => ({ type: 'value', minInterval: 1, ...more })
const whole = (s: Statistics) => s.times.map((at) => timeText(at, s.step === 'hour' ? 'minute' : 'date'))

const bar = (name: string, data: number[], c: string, stack = '') => ({
  name,
  type: 'bar',
  data,
  ...(stack ? { stack } : {}),
  itemStyle: { color: colour(c) },
  barMaxWidth: 36,
})

export function volume(s: Statistics): Chart {
  const v = s.volume
  const names = [
    t('statistics.opened'),
    t('statistics.passed'),
    t('statistics.refused'),
    t('statistics.failed'),
  ]
  return {
    title: t('statistics.volume'),
    summary: t('statistics.volume.summary', {
      opened: count(s.totals.opened),
      attempts: count(s.totals.attempts),
      direct: count(s.totals.direct),
    }),
    option: {
      legend: {},
      xAxis: category(s.times.map((at) => stepText(at, s.step))),
      yAxis: value(),
      series: [
        bar(names[1]!, v.passed, '--chart-2', 'attempts'),
        bar(names[2]!, v.refused, '--chart-5', 'attempts'),
        bar(names[3]!, v.failed, '--chart-3', 'attempts'),
        {
          name: names[0],
          type: 'line',
          data: v.opened,
          itemStyle: { color: colour('--chart-1') },
          showSymbol: false,
        },
      ],
    },
    table: {
      columns: [
        t('statistics.time'),
        ...names,
        t('statistics.attacks'),
        t('statistics.direct'),
        t('statistics.charges'),
      ],
      rows: whole(s).map((at, i) => [
        at,
        v.opened[i]!,
        v.passed[i]!,
        v.refused[i]!,
        v.failed[i]!,
        v.attacks[i]!,
        v.direct[i]!,
        v.charges[i]!,
      ]),
    },
  }
}

export function passRate(s: Statistics): Chart {
  const rate = (x: number | null) => (x === null ? '–' : percent(x, 1))
  const name = t('statistics.pass-rate')
  return {
    title: name,
    summary: t('statistics.pass-rate.summary', {
      rate: rate(s.totals.pass_rate),
      attacks: rate(s.totals.attack_rate),
    }),
    option: {
      xAxis: category(s.times.map((at) => stepText(at, s.step))),
      yAxis: { type: 'value', min: 0, max: 100, axisLabel: { formatter: '{value}%' } },
      series: [
        {
          name,
          type: 'line',
          data: s.volume.pass_rate.map((x) => (x === null ? null : Math.round(x * 1000) / 10)),
          itemStyle: { color: colour('--chart-2') },
          showSymbol: s.times.length < 40,
        },
      ],
    },
    table: {
      columns: [t('statistics.time'), name],
      rows: whole(s).map((at, i) => [at, rate(s.volume.pass_rate[i] ?? null)]),
    },
  }
}

/** Bars that lie, the first on top. */
function lying(names: string[], data: number[], c: string): Record<string, unknown> {
  return {
    grid: { left: 8, right: 40, top: 8, bottom: 8, containLabel: true },
    xAxis: value(),
    yAxis: { ...category(names), inverse: true, axisLabel: { width: 150, overflow: 'truncate' } },
    series: [
      {
        type: 'bar',
        data,
        itemStyle: { color: colour(c) },
        barMaxWidth: 24,
        label: { show: true, position: 'right', color: colour('--ink-2') },
      },
    ],
  }
}

export function funnel(s: Statistics): Chart {
  const names = s.funnel.map((x) => t(`statistics.step.${x.step}`))
  const first = s.funnel[0]?.n ?? 0
  const last = s.funnel.at(-1)?.n ?? 0
  return {
    title: t('statistics.funnel'),
    summary: t('statistics.funnel.summary', {
      first: count(first),
      last: count(last),
      share: percent(last, first),
    }),
    option: lying(
      names,
      s.funnel.map((x) => x.n),
      '--chart-1',
    ),
    table: {
      columns: [t('statistics.step'), t('statistics.sessions'), t('statistics.share')],
      rows: s.funnel.map((x, i) => [names[i]!, x.n, percent(x.n, first)]),
    },
  }
}

/** How many reasons are drawn; the table has all. */
const drawn = 10

export function reasons(list: Reason[]): Chart {
  const name = (r: Reason) => tr(`records.code.${r.code}`, r.code || '–')
  const all = list.reduce((n, r) => n + r.n, 0)
  const head = list.slice(0, drawn)
  return {
    title: t('statistics.reasons'),
    summary: list[0]
      ? t('statistics.reasons.summary', {
          n: count(all),
          code: name(list[0]),
          share: percent(list[0].n, all),
        })
      : t('statistics.nothing'),
    option: lying(
      head.map(name),
      head.map((r) => r.n),
      '--chart-5',
    ),
    table: {
      columns: [
        t('statistics.outcome'),
        t('statistics.reason'),
        t('statistics.code'),
        t('statistics.count'),
        t('statistics.share'),
      ],
      rows: list.map((r) => [
        tr(`records.outcome.${r.of}`, r.of ?? ''),
        name(r),
        r.code,
        r.n,
        percent(r.n, all),
      ]),
    },
  }
}

export function outcomes(
  title: string,
  first: string,
  list: Outcomes[],
  name: (o: Outcomes) => string,
): Chart {
  const keys = ['match', 'non_match', 'no_record', 'failed'] as const
  const colours = { match: '--chart-2', non_match: '--chart-5', no_record: '--chart-4', failed: '--chart-3' }
  const used = keys.filter((k) => k !== 'no_record' || list.some((o) => o.no_record > 0))
  const sum = (o: Outcomes) => keys.reduce((n, k) => n + o[k], 0)
  return {
    title,
    summary: list.map((o) => `${name(o)}: ${count(sum(o))}`).join(' · ') || t('statistics.nothing'),
    option: {
      legend: {},
      xAxis: value(),
      yAxis: { ...category(list.map(name)), inverse: true },
      series: used.map((k) => ({
        ...bar(
          t(`records.outcome.${k}`),
          list.map((o) => o[k]),
          colours[k],
          'all',
        ),
        barMaxWidth: 24,
      })),
    },
    table: {
      columns: [first, ...used.map((k) => t(`records.outcome.${k}`))],
      rows: list.map((o) => [name(o), ...used.map((k) => o[k])]),
    },
  }
}

export function scores(title: string, list: number[], c: string): Chart {
  const at = (i: number) => (i / list.length).toFixed(2)
  const all = list.reduce((n, x) => n + x, 0)
  let half = 0
  const middle = list.findIndex((x) => (half += x) * 2 >= all)
  return {
    title,
    summary:
      all > 0
        ? t('statistics.scores.summary', { n: count(all), from: at(middle), to: at(middle + 1) })
        : t('statistics.nothing'),
    option: {
      xAxis: category(list.map((_, i) => at(i))),
      yAxis: value(),
      series: [{ ...bar(title, list, c), barCategoryGap: '10%', barMaxWidth: 80 }],
    },
    table: {
      columns: [t('statistics.score'), t('statistics.count')],
      rows: list.map((n, i) => [`${at(i)} – ${at(i + 1)}`, n]),
    },
  }
}

export function latency(s: Statistics): Chart {
  const text = (ms: number | null) => (ms === null ? '–' : durationText(ms))
  const names = s.latency.bounds.map((b, i) =>
    b.ms === null ? `> ${text(s.latency.bounds[i - 1]?.ms ?? null)}` : `≤ ${text(b.ms)}`,
  )
  const data = s.latency.bounds.map((b) => b.n)
  return {
    title: t('statistics.latency'),
    summary: t('statistics.latency.summary', {
      p50: text(s.latency.p50_ms),
      p90: text(s.latency.p90_ms),
      p95: text(s.latency.p95_ms),
      p99: text(s.latency.p99_ms),
    }),
    option: {
      xAxis: category(names),
      yAxis: value(),
      series: [bar(t('statistics.latency'), data, '--chart-6')],
    },
    table: {
      columns: [t('statistics.took'), t('statistics.count')],
      rows: names.map((n, i) => [n, data[i]!]),
    },
  }
}

export function sources(s: Statistics): Chart {
  const name = (o: Outcomes) => o.name || t('statistics.several')
  const list = s.sources.filter((x) => x.asked > 0)
  const c = outcomes(t('statistics.sources'), t('statistics.source'), list, name)
  c.summary = t('statistics.sources.summary', {
    n: count(list.reduce((n, x) => n + x.asked, 0)),
    cost: money(s.totals.cost),
  })
  c.table = {
    columns: [
      t('statistics.source'),
      t('statistics.asked'),
      ...(['match', 'non_match', 'no_record', 'failed'] as const).map((k) => t(`records.outcome.${k}`)),
      t('statistics.mean'),
      t('statistics.paid'),
      t('statistics.cost'),
    ],
    rows: s.sources.map((x) => [
      name(x),
      x.asked,
      x.match,
      x.non_match,
      x.no_record,
      x.failed,
      x.mean_ms === null ? '–' : durationText(x.mean_ms),
      x.paid,
      money(x.cost),
    ]),
  }
  return c
}

export function charged(c: Charges): Chart {
  const kinds = [...new Set(c.charges.map((x) => x.kind))].sort()
  const at = new Map(c.times.map((x, i) => [Date.parse(x), i]))
  const series = kinds.map((k, j) => {
    const data = c.times.map(() => 0)
    for (const x of c.charges) {
      const i = at.get(Date.parse(x.at))
      if (x.kind === k && i !== undefined) data[i]! += x.n
    }
    return bar(tr(`records.charge.${k}`, k), data, `--chart-${(j % 6) + 1}`, 'all')
  })
  const all = c.charges.reduce((n, x) => n + x.n, 0)
  // Finance asks by app, plan and kind over the whole span.
  const sums = new Map<string, number>()
  for (const x of c.charges) {
    const key = JSON.stringify([x.app, x.plan, x.kind])
    sums.set(key, (sums.get(key) ?? 0) + x.n)
  }
  const rows = [...sums]
    .map(([key, n]) => [...(JSON.parse(key) as [string, string, string]), n] as const)
    .sort((a, b) => b[3] - a[3])
  return {
    title: t('statistics.charged'),
    summary: t('statistics.charged.summary', { n: count(all) }),
    option: {
      legend: {},
      xAxis: category(c.times.map((x) => stepText(x, c.step))),
      yAxis: value(),
      series,
    },
    table: {
      columns: [t('statistics.app'), t('statistics.plan'), t('statistics.charge'), t('statistics.count')],
      rows: rows.map(([app, plan, kind, n]) => [
        app,
        plan || t('statistics.direct'),
        tr(`records.charge.${kind}`, kind),
        n,
      ]),
    },
  }
}

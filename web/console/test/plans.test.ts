import { nextTick, ref, watch } from 'vue'
import { describe, expect, it } from 'vitest'

import type { Plan } from '../src/areas/plans/api'
import { presets, settle, triable } from '../src/areas/plans/settings'

const plan = (p: Partial<Plan>): Plan => ({
  id: 'p',
  app: '1',
  name: '',
  title: '',
  hide_title: false,
  comparison: 'none',
  identity: 'none',
  document_back: false,
  document_risk: false,
  sources: [],
  next_on: [],
  quality_level: 'low',
  liveness_level: 'normal',
  liveness: 'silent',
  actions: [],
  alternative: '',
  fallback: '',
  match_at: 0.8,
  spoofing: false,
  risk: false,
  ends_on_failure: false,
  keep_media: false,
  consent: { version: '1', text: { 'zh-CN': '同意' } },
  ...p,
})

describe('settings of a plan', () => {
  it('fit each other', () => {
    const p = plan({
      comparison: 'authority',
      document_back: true,
      liveness: 'video',
      fallback: 'picture',
      actions: ['blink'],
    })
    settle(p)
    expect(p).toMatchObject({ identity: 'entered', document_back: false, fallback: '', actions: [] })
    const q = plan({ sources: ['registry'], next_on: ['failed'] })
    settle(q)
    expect([q.sources, q.next_on]).toEqual([[], []])
  })
  it('come to rest when they are watched', async () => {
    const p = ref(plan({ sources: ['registry'] }))
    let runs = 0
    watch(
      p,
      (x) => {
        runs++
        if (runs < 10) settle(x)
      },
      { deep: true },
    )
    p.value.title = 'x'
    for (let i = 0; i < 10; i++) await nextTick()
    expect(runs).toBeLessThan(4)
  })
  it('of every preset pass unchanged', () => {
    for (const values of Object.values(presets)) {
      const p = plan(values)
      settle(p)
      expect(p).toEqual(plan(values))
    }
  })
  it('say who can be tried alone', () => {
    expect(triable(plan({ identity: 'entered', comparison: 'authority' }))).toBe(true)
    expect(triable(plan({ comparison: 'uploaded' }))).toBe(false)
    expect(triable(plan({ identity: 'declared' }))).toBe(false)
  })
})

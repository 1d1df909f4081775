import { Odometer } from '@element-plus/icons-vue'

import type { AreaRoute, MenuEntry } from '../../lib/area'
import { needWords } from '../../lib/words'

export const routes: AreaRoute[] = [
  {
    path: '',
    name: 'overview',
    // The names of figures are the statistics', of results the records'.
    component: async () => {
      const [view] = await Promise.all([import('./OverviewView.vue'), needWords('records', 'statistics')])
      return view
    },
    meta: { permission: 'any', title: { 'zh-CN': '概览', en: 'Overview' } },
  },
]

export const menu: MenuEntry = {
  route: 'overview',
  label: { 'zh-CN': '概览', en: 'Overview' },
  icon: Odometer,
  permission: 'any',
  group: 'watch',
  order: 0,
}

import { DataLine } from '@element-plus/icons-vue'

import type { AreaRoute, MenuEntry } from '../../lib/area'
import { needWords } from '../../lib/words'

export const routes: AreaRoute[] = [
  {
    path: 'statistics',
    name: 'statistics',
    // The names of codes and kinds are the records'.
    component: async () => {
      const [view] = await Promise.all([import('./StatisticsView.vue'), needWords('records')])
      return view
    },
    meta: { permission: 'read_statistics', title: { 'zh-CN': '统计', en: 'Statistics' } },
  },
]

export const menu: MenuEntry = {
  route: 'statistics',
  label: { 'zh-CN': '统计', en: 'Statistics' },
  icon: DataLine,
  permission: 'read_statistics',
  group: 'watch',
  order: 20,
}

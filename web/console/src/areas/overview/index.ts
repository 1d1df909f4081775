import { Odometer } from '@element-plus/icons-vue'

import type { AreaRoute, MenuEntry } from '../../lib/area'

export const routes: AreaRoute[] = [
  {
    path: '',
    name: 'overview',
    component: () => import('./OverviewView.vue'),
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

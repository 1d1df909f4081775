import { Connection } from '@element-plus/icons-vue'

import type { AreaRoute, MenuEntry } from '../../lib/area'

const title = { 'zh-CN': '在线调试', en: 'API explorer' }

export const routes: AreaRoute[] = [
  {
    path: 'explorer/:id?',
    name: 'explorer',
    component: () => import('./ExplorerView.vue'),
    meta: { permission: 'use_explorer', title },
  },
]

export const menu: MenuEntry = {
  route: 'explorer',
  label: title,
  icon: Connection,
  permission: 'use_explorer',
  group: 'build',
  order: 10,
}

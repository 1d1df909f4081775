import { User } from '@element-plus/icons-vue'

import type { AreaRoute, MenuEntry } from '../../lib/area'

export const routes: AreaRoute[] = [
  {
    path: 'registry',
    name: 'registry',
    component: () => import('./RegistryView.vue'),
    meta: { permission: 'read_registry', title: { 'zh-CN': '人员库', en: 'Registry' } },
  },
  {
    path: 'registry/imports',
    name: 'registry-imports',
    component: () => import('./ImportsView.vue'),
    meta: { permission: 'read_registry', title: { 'zh-CN': '批量导入', en: 'Import' } },
  },
]

export const menu: MenuEntry = {
  route: 'registry',
  label: { 'zh-CN': '人员库', en: 'Registry' },
  icon: User,
  permission: 'read_registry',
  group: 'manage',
  order: 30,
}

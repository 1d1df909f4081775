import { Tickets } from '@element-plus/icons-vue'

import type { AreaRoute, MenuEntry } from '../../lib/area'

export const routes: AreaRoute[] = [
  {
    path: 'records',
    name: 'records',
    component: () => import('./RecordsView.vue'),
    meta: { permission: 'read_records', title: { 'zh-CN': '记录查询', en: 'Records' } },
  },
  {
    path: 'records/erase-person',
    name: 'erase-person',
    component: () => import('./ErasePersonView.vue'),
    meta: { permission: 'erase_records', title: { 'zh-CN': '清除个人数据', en: 'Erase a person' } },
  },
  {
    path: 'records/:id',
    name: 'record',
    component: () => import('./RecordView.vue'),
    meta: { permission: 'read_records', title: { 'zh-CN': '认证记录', en: 'Record' } },
  },
]

export const menu: MenuEntry = {
  route: 'records',
  label: { 'zh-CN': '记录查询', en: 'Records' },
  icon: Tickets,
  permission: 'read_records',
  group: 'watch',
  order: 10,
}

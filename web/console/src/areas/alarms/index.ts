import { Bell } from '@element-plus/icons-vue'

import type { AreaRoute, MenuEntry } from '../../lib/area'

export const routes: AreaRoute[] = [
  {
    path: 'alarms',
    name: 'alarms',
    component: () => import('./RulesView.vue'),
    meta: { permission: 'read_alarms', title: { 'zh-CN': '数据报警', en: 'Alarms' } },
  },
  {
    path: 'alarms/history',
    name: 'alarm-history',
    component: () => import('./HistoryView.vue'),
    meta: { permission: 'read_alarms', title: { 'zh-CN': '报警历史', en: 'History of alarms' } },
  },
  {
    path: 'alarms/webhooks',
    name: 'alarm-webhooks',
    component: () => import('./WebhooksView.vue'),
    meta: { permission: 'read_alarms', title: { 'zh-CN': '报警 Webhook', en: 'Webhooks of alarms' } },
  },
  {
    path: 'alarms/deliveries',
    name: 'alarm-deliveries',
    component: () => import('./DeliveriesView.vue'),
    meta: { permission: 'read_alarms', title: { 'zh-CN': '报警发送', en: 'Messages of alarms' } },
  },
]

export const menu: MenuEntry = {
  route: 'alarms',
  label: { 'zh-CN': '数据报警', en: 'Alarms' },
  icon: Bell,
  permission: 'read_alarms',
  group: 'watch',
  order: 40,
}

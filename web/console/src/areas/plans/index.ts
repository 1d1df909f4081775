import { Tickets } from '@element-plus/icons-vue'

import type { AreaRoute, MenuEntry } from '../../lib/area'

export const routes: AreaRoute[] = [
  {
    path: 'plans',
    name: 'plans',
    component: () => import('./PlansView.vue'),
    meta: { permission: 'read_plans', title: { 'zh-CN': '方案管理', en: 'Plans' } },
  },
  {
    path: 'plans/new',
    name: 'plan-new',
    component: () => import('./PlanView.vue'),
    meta: { permission: 'change_plans', title: { 'zh-CN': '新建方案', en: 'New plan' } },
  },
  {
    path: 'plans/of/:id',
    name: 'plan',
    component: () => import('./PlanView.vue'),
    props: true,
    meta: { permission: 'read_plans', title: { 'zh-CN': '方案', en: 'Plan' } },
  },
]

export const menu: MenuEntry = {
  route: 'plans',
  label: { 'zh-CN': '方案管理', en: 'Plans' },
  icon: Tickets,
  permission: 'read_plans',
  group: 'manage',
  order: 10,
}

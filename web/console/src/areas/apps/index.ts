import { Key } from '@element-plus/icons-vue'

import type { AreaRoute, MenuEntry } from '../../lib/area'

export const routes: AreaRoute[] = [
  {
    path: 'apps',
    name: 'apps',
    component: () => import('./AppsView.vue'),
    meta: { permission: 'read_apps', title: { 'zh-CN': '应用与密钥', en: 'Apps and keys' } },
  },
  {
    path: 'apps/new',
    name: 'app-new',
    component: () => import('./AppView.vue'),
    meta: { permission: 'change_apps', title: { 'zh-CN': '新建应用', en: 'New app' } },
  },
  {
    path: 'apps/of/:id',
    name: 'app',
    component: () => import('./AppView.vue'),
    props: true,
    meta: { permission: 'read_apps', title: { 'zh-CN': '应用', en: 'App' } },
  },
]

export const menu: MenuEntry = {
  route: 'apps',
  label: { 'zh-CN': '应用与密钥', en: 'Apps and keys' },
  icon: Key,
  permission: 'read_apps',
  group: 'manage',
  order: 20,
}

import { Notebook, User } from '@element-plus/icons-vue'

import type { AreaRoute, MenuEntry } from '../../lib/area'

export const routes: AreaRoute[] = [
  {
    path: 'sign-in',
    name: 'sign-in',
    component: () => import('./SignInView.vue'),
    meta: { permission: 'any', outside: true, title: { 'zh-CN': '登录', en: 'Sign in' } },
  },
  {
    path: 'begin',
    name: 'begin',
    component: () => import('./BeginView.vue'),
    meta: { permission: 'any', outside: true, title: { 'zh-CN': '一次性链接', en: 'One-time link' } },
  },
  {
    path: 'account',
    name: 'account',
    component: () => import('./AccountView.vue'),
    meta: { permission: 'any', title: { 'zh-CN': '我的账号', en: 'My account' } },
  },
  {
    path: 'accounts',
    name: 'accounts',
    component: () => import('./AccountsView.vue'),
    meta: { permission: 'change_accounts', title: { 'zh-CN': '账号', en: 'Accounts' } },
  },
  {
    path: 'journal',
    name: 'journal',
    component: () => import('./JournalView.vue'),
    meta: { permission: 'read_journal', title: { 'zh-CN': '操作日志', en: 'Journal' } },
  },
]

export const menu: MenuEntry[] = [
  {
    route: 'accounts',
    label: { 'zh-CN': '账号', en: 'Accounts' },
    icon: User,
    permission: 'change_accounts',
    group: 'admin',
    order: 10,
  },
  {
    route: 'journal',
    label: { 'zh-CN': '操作日志', en: 'Journal' },
    icon: Notebook,
    permission: 'read_journal',
    group: 'admin',
    order: 20,
  },
]

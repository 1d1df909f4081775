import type { AreaRoute } from '../../lib/area'

export const routes: AreaRoute[] = [
  {
    path: 'sign-in',
    name: 'sign-in',
    component: () => import('./SignInView.vue'),
    meta: { permission: 'any', outside: true, title: { 'zh-CN': '登录', en: 'Sign in' } },
  },
  {
    path: 'account',
    name: 'account',
    component: () => import('./AccountView.vue'),
    meta: { permission: 'any', title: { 'zh-CN': '我的账号', en: 'My account' } },
  },
]

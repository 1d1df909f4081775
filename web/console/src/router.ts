import { createRouter, createWebHistory } from 'vue-router'

import { areaRoutes } from './lib/area'
import { findMe, may } from './lib/session'
import { needWords } from './lib/words'

export const router = createRouter({
  history: createWebHistory('/console/'),
  routes: [
    ...areaRoutes,
    {
      path: '/:path(.*)*',
      name: 'nowhere',
      component: () => import('./parts/NowhereView.vue'),
      meta: { permission: 'any', title: { 'zh-CN': '没有这个页面', en: 'No such page' } },
    },
  ],
  scrollBehavior: (_to, _from, saved) => saved ?? { top: 0 },
})

// Words come before the view, and a person before what only people who are signed in may see.
router.beforeEach(async (to) => {
  const words = needWords(...(to.meta.area ? [to.meta.area] : []))
  const me = await findMe().catch(() => null)
  await words
  if (to.meta.outside) return true
  if (!me) return { name: 'sign-in', query: to.fullPath === '/' ? {} : { back: to.fullPath } }
  return true
})

/** Reports whether the person may see the page that is shown. */
export const allowed = (): boolean => may(router.currentRoute.value.meta.permission ?? 'any')

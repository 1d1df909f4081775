import { shallowRef } from 'vue'
import { createRouter, createWebHistory, START_LOCATION } from 'vue-router'

import { ApiError } from './lib/api'
import { areaRoutes } from './lib/area'
import { notifyError } from './lib/notice'
import { findMe, may } from './lib/session'
import { needWords } from './lib/words'

/** Why there is no page to show at all, and how to try again; null where there is one. */
export const trouble = shallowRef<{ error: unknown; again: () => void } | null>(null)

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

// Styles that did not come: whoever wanted them first does not ask again.
const lost = new Set<HTMLLinkElement>()
window.addEventListener(
  'error',
  ({ target }) => {
    if (target instanceof HTMLLinkElement && target.rel === 'stylesheet') lost.add(target)
  },
  true,
)
const restyle = () =>
  Promise.all(
    [...lost].map(
      (link) =>
        new Promise((resolve, reject) => {
          const anew = link.cloneNode() as HTMLLinkElement
          anew.onload = resolve
          anew.onerror = reject
          lost.delete(link)
          link.replaceWith(anew)
        }),
    ),
  )

// Words come before the view, and a person before what only people who are signed in may see.
router.beforeEach(async (to) => {
  const words = needWords(...(to.meta.area ? [to.meta.area] : []))
  trouble.value = null
  const me = await findMe().catch((error: unknown) => {
    // Not to be asked is not to be signed out: the address stays, and is tried again.
    const { path, query, hash } = to
    const again = () => void router.replace({ path, query, hash, force: true })
    if (!to.meta.outside) trouble.value = { error, again }
    return null
  })
  await words
  await restyle()
  if (to.meta.outside) return true
  if (trouble.value) return false
  if (!me) return { name: 'sign-in', query: to.fullPath === '/' ? {} : { back: to.fullPath } }
  return true
})

// A page whose files do not come: the network is gone, or the server has newer ones.
router.onError((cause, _to, from) => {
  const error = new ApiError(0, 'page', String(cause))
  if (from === START_LOCATION) trouble.value = { error, again: () => location.reload() }
  else notifyError(error)
})

/** Reports whether the person may see the page that is shown. */
export const allowed = (): boolean => may(router.currentRoute.value.meta.permission ?? 'any')

// What an area of the console is: a folder below areas/ whose index.ts exports routes and,
// if it has one, its entry in the menu. index.ts is part of the first load: keep it tiny, and
// import views only by () => import('./View.vue'). Words are in locale.zh-CN.json and
// locale.en.json beside it and are loaded before its views.
import type { Component } from 'vue'
import type { RouteRecordRaw } from 'vue-router'

import type { Lang } from '../../../shared/i18n'
import type { Permission } from './session'

export type Label = Record<Lang, string>

/** One route. Its path is below /console/ and has no leading slash. */
export type AreaRoute = RouteRecordRaw & {
  name: string
  meta: {
    /** Who may see it; 'any' is everybody who is signed in. */
    permission: Permission | 'any'
    /** The page's title, shown in the browser's tab. */
    title: Label
  }
}

/** Groups of the menu, in their order. */
export const groups = ['watch', 'manage', 'build', 'admin'] as const
export type Group = (typeof groups)[number]

/** An entry of the menu. */
export interface MenuEntry {
  route: string // name of the route
  label: Label
  icon: Component // one of @element-plus/icons-vue
  permission: Permission | 'any'
  group: Group
  order: number // within its group, ascending
}

declare module 'vue-router' {
  interface RouteMeta {
    permission?: Permission | 'any'
    title?: Label
    area?: string
    /** Shown without the menu, to people who need not be signed in. */
    outside?: boolean
  }
}

interface AreaIndex {
  routes: AreaRoute[]
  menu?: MenuEntry | MenuEntry[]
}

const found = import.meta.glob<AreaIndex>('../areas/*/index.ts', { eager: true })

/** All routes of all areas; meta.area is filled in. */
export const areaRoutes: RouteRecordRaw[] = Object.entries(found).flatMap(([file, area]) =>
  area.routes.map((r) => ({ ...r, path: `/${r.path}`, meta: { ...r.meta, area: file.split('/').at(-2)! } })),
)

/** The whole menu, in its order. */
export const menu: MenuEntry[] = Object.values(found)
  .flatMap((area) => area.menu ?? [])
  .sort((a, b) => groups.indexOf(a.group) - groups.indexOf(b.group) || a.order - b.order)

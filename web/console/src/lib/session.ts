// Who is signed in, and what they may do.
import { computed, reactive, readonly } from 'vue'

import { api } from './api'
import { adoptPreferences } from './preferences'

export type Permission =
  | 'read_records'
  | 'reveal_persons'
  | 'erase_records'
  | 'read_statistics'
  | 'read_plans'
  | 'change_plans'
  | 'read_apps'
  | 'change_apps'
  | 'read_registry'
  | 'change_registry'
  | 'read_alarms'
  | 'change_alarms'
  | 'use_explorer'
  | 'read_journal'
  | 'change_accounts'

export type Role = 'administrator' | 'operator' | 'auditor' | 'integrator'

/** The person who is signed in. */
export interface Me {
  id: string
  name: string
  role: Role
  permissions: Permission[]
  language?: string
  zone?: string
  totp?: boolean
}

const state = reactive<{ me: Me | null; asked: boolean }>({ me: null, asked: false })

/** The sign-in: me is null while nobody is signed in. */
export const session = readonly(state)
export const me = computed(() => state.me)

/** Takes over who is signed in, for example after a change of the account. */
export function setMe(m: Me | null): void {
  state.me = m
  state.asked = true
  if (m) adoptPreferences(m.language, m.zone)
}

/** Asks the server who is signed in, once; null where nobody is. */
export async function findMe(again = false): Promise<Me | null> {
  if (state.asked && !again) return state.me
  setMe(
    await api
      .get<Me>('/me', {}, { quiet: true })
      .catch((e) => (e?.status === 401 ? null : Promise.reject(e))),
  )
  return state.me
}

/** Reports whether the person may do something. */
export const may = (p: Permission | 'any'): boolean =>
  state.me !== null && (p === 'any' || state.me.permissions.includes(p))

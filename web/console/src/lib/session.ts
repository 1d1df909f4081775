// Who is signed in, and what they may do.
import { computed, reactive } from 'vue'

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
  language: string // "": as the browser says
  zone: string // likewise
  totp: boolean
  recovery_left: number
  version: number
}

/** One browser's sign-in. */
export interface SignIn {
  id: string
  created: string
  seen: string
  until: string // unless it is used
  proved_until: string
  address: string
  agent: string
  current: boolean
}

/** What the server says of whoever asks. */
export interface Access {
  /** False until the first administrator was made. */
  administrated: boolean
  person: Me | null
  sign_in: SignIn | null
  version: string // of the server; "" where nobody is signed in
  min_password: number
  max_password: number
}

const state = reactive<{ access: Access | null }>({ access: null })

/** What the server said last; null before it was asked. */
export const access = computed(() => state.access)
/** The person who is signed in; null where nobody is. */
export const me = computed(() => state.access?.person ?? null)

/** Takes over what the server says of who is signed in. */
export function setAccess(a: Access): void {
  state.access = a
  if (a.person) adoptPreferences(a.person.language, a.person.zone)
}

/** Forgets who was signed in. */
export function forgetMe(): void {
  if (state.access) state.access = { ...state.access, person: null, sign_in: null }
}

/** Asks the server who is signed in, once unless again; null where nobody is. */
export async function findMe(again = false): Promise<Me | null> {
  if (!state.access || again) setAccess(await api.get<Access>('/access/me'))
  return me.value
}

/** Reports whether the person may do something. */
export const may = (p: Permission | 'any'): boolean =>
  me.value !== null && (p === 'any' || me.value.permissions.includes(p))

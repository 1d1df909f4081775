// Calls of internal/console's access.go, accounts.go and journal.go.
import { api, type Page, type Query, withQuery } from '../../lib/api'
import type { Access, Role, SignIn } from '../../lib/session'

export type LinkKind = 'first' | 'recovery' | 'invite' | 'reset'

export interface OneTimeLink {
  kind: LinkKind
  name: string // "" where the person chooses it
  role: Role
  until: string
}

export interface Enrolment {
  secret: string
  uri: string
  png: string // base64
}

export interface Account {
  id: string
  name: string
  role: Role
  disabled: boolean
  invited: boolean
  totp: boolean
  created: string
  seen: string | null
  version: number
}

export interface Invitation {
  account: Account | null
  path: string
  until: string
}

export interface Entry {
  id: string
  at: string
  account: string
  name: string
  address: string
  action: string
  object: string
  reason: string
  detail: string
  damaged: boolean
}

export interface Verified {
  whole: boolean
  entries: number
  mark: string
  broken_at: number
  what: string
}

/** Signs in; code is of the authenticator app or a recovery code, "" before one is asked for. */
export const signIn = (name: string, password: string, code: string) =>
  api.post<Access>('/access/sign-in', { name, password, code }, { quiet: true })
export const readLink = (link: string) => api.post<OneTimeLink>('/access/link', { link }, { quiet: true })
export const begin = (b: { link: string; name: string; password: string; language: string; zone: string }) =>
  api.post<Access>('/access/begin', b, { quiet: true })

export const saveSettings = (language: string, zone: string) =>
  api.put<Access>('/access/me', { language, zone })
export const changePassword = (have: string, want: string) =>
  api.post<Access>('/access/password', { have, want })
export const enrolTotp = () => api.post<Enrolment>('/access/totp')
export const confirmTotp = (code: string) =>
  api.post<{ recovery: string[] }>('/access/totp/confirm', { code })
export const disableTotp = () => api.del<Access>('/access/totp')
export const newRecovery = () => api.post<{ recovery: string[] }>('/access/recovery')
export const mySignIns = (signal: AbortSignal) => api.get<Page<SignIn>>('/access/sign-ins', {}, { signal })
export const endSignIn = (id: string) => api.del(`/access/sign-ins/${id}`)

export const accounts = (signal: AbortSignal) => api.get<Page<Account>>('/accounts', {}, { signal })
export const invite = (name: string, role: Role) => api.post<Invitation>('/accounts', { name, role })
export const setAccount = (a: Account, role: Role, disabled: boolean) =>
  api.put<Account>(`/accounts/${a.id}`, { role, disabled, version: a.version })
export const newLink = (id: string) => api.post<Invitation>(`/accounts/${id}/link`)
export const endSignIns = (id: string) => api.del(`/accounts/${id}/sign-ins`)

export const journal = (q: Query, signal: AbortSignal) => api.get<Page<Entry>>('/journal', q, { signal })
export const journalFile = (q: Query) =>
  api.file('GET', withQuery('/journal.csv', q), undefined, { timeout: 120_000 })
export const verifyJournal = (marks: string[]) =>
  api.post<Verified>('/journal/verify', { marks }, { timeout: 120_000 })

import { api } from '../../lib/api'
import type { Me } from '../../lib/session'

/** Signs in; code is of the authenticator app or a recovery code, "" before one is asked for. */
export const signIn = (name: string, password: string, code: string) =>
  api.post<Me>('/sign-in', { name, password, code }, { quiet: true })

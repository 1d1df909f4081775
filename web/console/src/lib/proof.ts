// What changes accounts needs a proof that the person is still the one who signed in.
import { api, ApiError, Cancelled, errorText } from './api'
import { askPassword } from './ask'
import { type Access, setAccess } from './session'
import { t } from './words'

/** Does f; where the server wants a proof first, asks for the password and does it again. */
export async function withProof<T>(f: () => Promise<T>): Promise<T> {
  let fault = ''
  for (;;) {
    try {
      return await f()
    } catch (e) {
      if (!(e instanceof ApiError) || e.code !== 'unproved') throw e
    }
    for (;;) {
      const password = await askPassword({
        title: t('proof.title'),
        text: t('proof.text'),
        yes: t('proof.go'),
        ...(fault ? { fault } : {}),
      })
      if (password === null) throw new Cancelled()
      try {
        setAccess(await api.post<Access>('/access/prove', { password }))
        break
      } catch (e) {
        if (!(e instanceof ApiError) || e.status === 401) throw e
        fault = errorText(e)
      }
    }
  }
}

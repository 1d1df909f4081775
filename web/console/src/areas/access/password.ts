import { t } from '../../lib/words'

/** What is wrong with a new password that was typed twice, and in which field; null where nothing is. */
export function newPasswordFault(
  password: string,
  again: string,
  shortest: number,
): { text: string; field: 'new' | 'again' } | null {
  if ([...password].length < shortest)
    return { text: t('access.password.short', { n: shortest }), field: 'new' }
  if (password !== again) return { text: t('access.password.differs'), field: 'again' }
  return null
}

// What a person likes: language, colours, time zone. The account keeps language and zone; the
// browser remembers all, for the sign-in page and before the account is known.
import { computed, ref, watch, watchEffect } from 'vue'

import { lang, type Lang, pickLang } from '../../../shared/i18n'

export type Theme = 'system' | 'light' | 'dark'

const key = 'shiren-console'

interface Kept {
  lang?: Lang
  theme?: Theme
}

function read(): Kept {
  try {
    return JSON.parse(localStorage.getItem(key) ?? '{}') as Kept
  } catch {
    return {}
  }
}

function keep(k: Kept): void {
  try {
    localStorage.setItem(key, JSON.stringify({ ...read(), ...k }))
  } catch {
    // A browser that remembers nothing asks again next time.
  }
}

export const theme = ref<Theme>('system')
const systemDark = ref(false)

/** Whether dark colours are shown. */
export const dark = computed(() => theme.value === 'dark' || (theme.value === 'system' && systemDark.value))

/** The zone of the operator, as IANA names it; "" is the browser's. */
export const zone = ref('')

/** Whether the person asks for little movement. */
export const still = () => matchMedia('(prefers-reduced-motion: reduce)').matches

/** Takes over what the browser and the system say, and keeps the document in step. */
export function applyPreferences(): void {
  const kept = read()
  lang.value = kept.lang === 'en' || kept.lang === 'zh-CN' ? kept.lang : pickLang(navigator.languages)
  theme.value = kept.theme === 'light' || kept.theme === 'dark' ? kept.theme : 'system'
  const scheme = matchMedia('(prefers-color-scheme: dark)')
  systemDark.value = scheme.matches
  scheme.addEventListener('change', () => (systemDark.value = scheme.matches))
  watchEffect(() => {
    document.documentElement.lang = lang.value
    document.documentElement.classList.toggle('dark', dark.value)
  })
  watch([lang, theme], () => keep({ lang: lang.value, theme: theme.value }))
}

/** Takes over what an account prefers. */
export function adoptPreferences(language = '', z = ''): void {
  if (language === 'en' || language === 'zh-CN') lang.value = language
  zone.value = isZone(z) ? z : ''
}

/** Reports whether the browser knows a zone's name. */
export function isZone(name: string): boolean {
  if (!name) return false
  try {
    new Intl.DateTimeFormat('en', { timeZone: name })
    return true
  } catch {
    return false
  }
}

/** The names of all zones that the browser knows. */
export const zones = (): string[] => Intl.supportedValuesOf('timeZone')

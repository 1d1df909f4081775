import { fillIn, type Fill, lang, type Lang, pickLang } from '../../../shared/i18n'
import en from '../locales/en.json'
import zh from '../locales/zh-CN.json'

export { lang, type Lang, pickLang }
export type Key = keyof typeof zh

const words: Record<Lang, Record<Key, string>> = { 'zh-CN': zh, en }

/** The words for a key in the current language, {name} filled in. */
export function t(key: Key, fill: Fill = {}): string {
  return fillIn(words[lang.value][key], fill)
}

/** Like t, for a key made of the server's words; other is used where there is none. */
export function tr(key: string, other: Key): string {
  return key in zh ? t(key as Key) : t(other)
}

export const has = (key: string): key is Key => key in zh

import { ref } from 'vue'

import en from '../locales/en.json'
import zh from '../locales/zh-CN.json'

export type Lang = 'zh-CN' | 'en'
export type Key = keyof typeof zh

const words: Record<Lang, Record<Key, string>> = { 'zh-CN': zh, en }

/** The language for a browser's preferences: Chinese if any of its first choices is, else English. */
export function pickLang(preferences: readonly string[]): Lang {
  for (const p of preferences) {
    if (/^zh/i.test(p)) return 'zh-CN'
    if (/^en/i.test(p)) return 'en'
  }
  return preferences.length > 0 ? 'en' : 'zh-CN'
}

export const lang = ref<Lang>('zh-CN')

/** The words for a key in the current language, {name} filled in. */
export function t(key: Key, fill: Record<string, string | number> = {}): string {
  return words[lang.value][key].replace(/\{(\w+)\}/g, (all, name: string) => String(fill[name] ?? all))
}

/** Like t, for a key made of the server's words; other is used where there is none. */
export function tr(key: string, other: Key): string {
  return key in zh ? t(key as Key) : t(other)
}

export const has = (key: string): key is Key => key in zh

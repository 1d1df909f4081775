// Words of the console. The shell's own are there from the start; an area's are loaded with
// the area. Keys of an area are "<area>.<key>", of the shell "<key>".
import { reactive, watch } from 'vue'

import { fillIn, type Fill, lang, type Lang } from '../../../shared/i18n'
import en from '../locales/en.json'
import zh from '../locales/zh-CN.json'

export { lang, type Lang }

type Texts = Record<string, string>

const words: Record<Lang, Texts> = reactive({ 'zh-CN': { ...zh }, en: { ...en } })
const files = import.meta.glob<Texts>('../areas/*/locale.*.json', { import: 'default' })
const wanted = new Set<string>()

/** Loads the words of areas in the current language, and from now on in each that is chosen. */
export async function needWords(...areas: string[]): Promise<void> {
  for (const a of areas) wanted.add(a)
  await load(lang.value, areas)
}

async function load(to: Lang, areas: Iterable<string>): Promise<void> {
  await Promise.all(
    [...areas].map(async (area) => {
      const file = files[`../areas/${area}/locale.${to}.json`]
      if (!file || `${area}.` in words[to]) return
      const texts = await file()
      words[to][`${area}.`] = '' // loaded
      for (const [key, text] of Object.entries(texts)) words[to][`${area}.${key}`] = text
    }),
  )
}

// What does not come is told in the other language.
watch(lang, (to) => void load(to, wanted).catch(() => {}))

/**
 * The words for a key in the current language, {name} filled in: in the other while they are on
 * their way, the key itself where there are none.
 */
export function t(key: string, fill: Fill = {}): string {
  const other = lang.value === 'en' ? 'zh-CN' : 'en'
  return fillIn(words[lang.value][key] ?? words[other][key] ?? key, fill)
}

/** Reports whether there are words for a key. */
export const has = (key: string): boolean => key in words[lang.value]

/** Like t, for a key made of the server's words: the first that has words, else the last as it is. */
export function tr(...keys: string[]): string {
  const key = keys.find(has)
  return key === undefined ? (keys.at(-1) ?? '') : t(key)
}

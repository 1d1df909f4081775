// Words in the two languages of the pages. A page's texts are flat JSON files, one for each
// language, with the same keys.
import { ref } from 'vue'

export type Lang = 'zh-CN' | 'en'
export type Fill = Record<string, string | number>

/** The language for a browser's preferences: Chinese if any of its first choices is, else English. */
export function pickLang(preferences: readonly string[]): Lang {
  for (const p of preferences) {
    if (/^zh/i.test(p)) return 'zh-CN'
    if (/^en/i.test(p)) return 'en'
  }
  return preferences.length > 0 ? 'en' : 'zh-CN'
}

/** The page's language. */
export const lang = ref<Lang>('zh-CN')

/** A text with {name} filled in; what is not given stays. */
export function fillIn(text: string, fill: Fill = {}): string {
  return text.replace(/\{(\w+)\}/g, (all, name: string) => String(fill[name] ?? all))
}

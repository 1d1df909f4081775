import { describe, expect, it } from 'vitest'

type Texts = Record<string, string>

const files = import.meta.glob<Texts>('../src/{locales/*,areas/*/locale.*}.json', {
  eager: true,
  import: 'default',
})
const sources = import.meta.glob<string>('../src/**/*.{vue,ts}', {
  eager: true,
  query: '?raw',
  import: 'default',
})

/** Both languages of a part of the console, by what its keys begin with. */
const parts = Object.keys(files)
  .filter((f) => f.endsWith('zh-CN.json'))
  .map((f) => {
    const area = /areas\/(\w[\w-]*)\//.exec(f)?.[1]
    return {
      name: area ?? 'the shell',
      prefix: area ? `${area}.` : '',
      zh: files[f]!,
      en: files[f.replace('zh-CN.json', 'en.json')] ?? {},
    }
  })

const holes = (s: string) => (s.match(/\{\w+\}/g) ?? []).sort()

describe.each(parts)('words of $name', ({ zh, en }) => {
  it('are the same in both languages', () => expect(Object.keys(en).sort()).toEqual(Object.keys(zh).sort()))
  it('are never empty, and have the same holes', () => {
    for (const key of Object.keys(zh)) {
      expect(zh[key], key).toBeTruthy()
      expect(en[key], key).toBeTruthy()
      expect(holes(en[key] ?? ''), key).toEqual(holes(zh[key]!))
    }
  })
  it('are Chinese or English', () => {
    for (const [key, text] of Object.entries(en)) expect(text, key).not.toMatch(/[\u4e00-\u9fff]/)
  })
})

it('every text that is asked for by its key exists', () => {
  expect(parts.length).toBeGreaterThan(2)
  const known = new Set(parts.flatMap(({ prefix, zh }) => Object.keys(zh).map((k) => prefix + k)))
  const lost = Object.entries(sources).flatMap(([file, text]) =>
    [...text.matchAll(/(?<![\w.])t\(\s*'([^']+)'/g)]
      .map((m) => m[1]!)
      .filter((key) => !known.has(key))
      .map((key) => `${file}: ${key}`),
  )
  expect(lost).toEqual([])
})

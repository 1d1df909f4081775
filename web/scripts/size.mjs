// Fails when a built page exceeds its budget after gzip.
import { readdirSync, readFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'

const dist = (page) => new URL(`../dist/${page}/`, import.meta.url)
const size = (file) => gzipSync(readFileSync(file), { level: 9 }).length
const sum = (files) => files.reduce((n, f) => n + size(f), 0)

/** The whole page's JavaScript: phones load it over whatever network there is. */
function capture() {
  const dir = new URL('assets/', dist('capture'))
  const of = (ext) =>
    sum(
      readdirSync(dir)
        .filter((f) => f.endsWith(ext))
        .map((f) => new URL(f, dir)),
    )
  return { what: `JavaScript (and ${of('.css')} of styles)`, bytes: of('.js'), budget: 100_000 }
}

/** All that is loaded to sign in and to see the first list: HTML, JavaScript, styles and words. */
function console_() {
  const dir = dist('console')
  const manifest = JSON.parse(readFileSync(new URL('.vite/manifest.json', dir), 'utf8'))
  const files = new Set()
  const seen = new Set()
  const take = (key) => {
    if (seen.has(key)) return
    seen.add(key)
    const chunk = manifest[key]
    if (!chunk) throw new Error(`the manifest has no ${key}`)
    for (const f of [chunk.file, ...(chunk.css ?? []), ...(chunk.assets ?? [])]) files.add(f)
    for (const next of chunk.imports ?? []) take(next)
  }
  const first = ['access/SignInView.vue', 'overview/OverviewView.vue', 'records/RecordsView.vue']
  const words = ['access', 'overview', 'records'].map((a) => `${a}/locale.zh-CN.json`)
  take('index.html')
  for (const f of [...first, ...words]) if (`src/areas/${f}` in manifest) take(`src/areas/${f}`)
  const bytes = size(new URL('index.html', dir)) + sum([...files].map((f) => new URL(f, dir)))
  return { what: `first load, ${files.size + 1} files`, bytes, budget: 450_000 }
}

let failed = false
for (const [page, measure] of Object.entries({ capture, console: console_ })) {
  let m
  try {
    m = measure()
  } catch (e) {
    console.error(`${page}: not built (${e.message}); run \`npm run build\` first`)
    process.exit(1)
  }
  console.log(`${page}: ${m.what}, ${m.bytes} of ${m.budget} bytes after gzip`)
  if (m.bytes === 0 || m.bytes > m.budget) {
    console.error(`${page}: ${m.bytes === 0 ? 'nothing was built' : 'the budget is exceeded'}`)
    failed = true
  }
}
process.exit(failed ? 1 : 0)

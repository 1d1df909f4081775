// Fails when a built page's JavaScript exceeds its budget after gzip.
import { readdirSync, readFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'

const budgets = { capture: 100_000 } // bytes

let failed = false
for (const [page, budget] of Object.entries(budgets)) {
  const dir = new URL(`../dist/${page}/assets/`, import.meta.url)
  let files
  try {
    files = readdirSync(dir)
  } catch {
    console.error(`${page}: not built; run \`npm run build\` first`)
    process.exit(1)
  }
  const sizes = (ext) =>
    files
      .filter((f) => f.endsWith(ext))
      .reduce((sum, f) => sum + gzipSync(readFileSync(new URL(f, dir)), { level: 9 }).length, 0)
  const js = sizes('.js')
  console.log(`${page}: JavaScript ${js} of ${budget} bytes after gzip, styles ${sizes('.css')} bytes`)
  if (js === 0 || js > budget) {
    console.error(`${page}: ${js === 0 ? 'no JavaScript was built' : 'the budget is exceeded'}`)
    failed = true
  }
}
process.exit(failed ? 1 : 0)

// A number by which the server may see that several captures came from one browser. It
// is a claim, it names nobody, and clearing the site's data ends it.
const kept = 'shiren-device'

export function deviceNumber(): string {
  try {
    const old = localStorage.getItem(kept)
    if (old && /^[0-9a-f]{32}$/.test(old)) return old
    const bytes = crypto.getRandomValues(new Uint8Array(16))
    const fresh = [...bytes].map((b) => b.toString(16).padStart(2, '0')).join('')
    localStorage.setItem(kept, fresh)
    return fresh
  } catch {
    return ''
  }
}

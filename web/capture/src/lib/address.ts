// The page's address: ?token=…&successUrl=…&failedUrl=…
//
// Relying parties' clients write the two redirect addresses percent-encoded or as they
// are. An address written as it is may itself hold & and #, so that what follows belongs
// to it up to the next parameter that the page knows and has not read yet.

export interface Address {
  token: string
  successUrl: string
  failedUrl: string
  useNative: boolean // an app around the page wants to be told: see bridge
  app: string // which app it says to be, and whose user: held against the session's own
  subject: string
}

const known = ['token', 'successUrl', 'failedUrl', 'useNative', 'callbackUrl', 'shirenApp', 'shirenSubject']
const scheme = /^[a-z][a-z0-9+.-]*:/i
const encodedScheme = /^[a-z][a-z0-9+.-]*%3a/i

/** Reads location.search and location.hash. */
export function parseAddress(search: string, hash = ''): Address {
  const found = new Map<string, string>()
  let current = ''
  for (const part of (search + hash).replace(/^\?/, '').split('&')) {
    const eq = part.indexOf('=')
    const name = eq < 0 ? part : part.slice(0, eq)
    const value = eq < 0 ? '' : part.slice(eq + 1)
    if (known.includes(name) && !found.has(name)) {
      current = name
      found.set(name, value)
    } else if (scheme.test(found.get(current) ?? '')) {
      found.set(current, found.get(current) + '&' + part)
    }
  }
  return {
    token: decode((found.get('token') ?? '').replace(/#.*$/, '')),
    successUrl: decode(found.get('successUrl') ?? ''),
    failedUrl: decode(found.get('failedUrl') ?? ''),
    useNative: /^1(?!\d)/.test(found.get('useNative') ?? ''),
    app: decode(found.get('shirenApp') ?? ''),
    subject: decode(found.get('shirenSubject') ?? ''),
  }
}

function decode(value: string): string {
  if (scheme.test(value)) return value
  try {
    const once = decodeURIComponent(value.replace(/#.*$/, '').replace(/\+/g, '%20'))
    // Some clients encode twice.
    return encodedScheme.test(once) ? decodeURIComponent(once) : once
  } catch {
    return ''
  }
}

// Where the capture subject goes afterwards. The addresses come from the page's own
// address or from the session; both are the relying party's, and anyone can write a
// link, so that only schemes which leave the page are followed.

/** Schemes that would run or show something as this page, or reach local things. */
const refused = new Set([
  'javascript:',
  'data:',
  'vbscript:',
  'blob:',
  'file:',
  'filesystem:',
  'about:',
  'view-source:',
  'content:',
  'jar:',
  'ws:',
  'wss:',
])

/** Reports whether the page may go there: http, https or an app's own scheme, absolute. */
export function mayFollow(address: string): boolean {
  // Browsers skip control characters and spaces when they look for the scheme.
  if (/[\u0000-\u0020\u007f-\u009f]/.test(address)) return false
  if (!/^[a-z][a-z0-9+.-]*:/i.test(address)) return false
  let url: URL
  try {
    url = new URL(address)
  } catch {
    return false
  }
  if (refused.has(url.protocol)) return false
  return url.protocol === 'http:' || url.protocol === 'https:' ? url.hostname !== '' : true
}

/** The address with parameters added to its query. Without any it stays as it was given. */
export function withParams(address: string, params: Record<string, string>): string {
  const added = new URLSearchParams(params).toString()
  if (address === '' || added === '') return address
  const at = address.indexOf('#')
  const head = at < 0 ? address : address.slice(0, at)
  const tail = at < 0 ? '' : address.slice(at)
  const glue = !head.includes('?') ? '?' : /[?&]$/.test(head) ? '' : '&'
  return head + glue + added + tail
}

/** The first of the addresses that may be followed, exactly as it was given, or ''. */
export function firstFollowable(...addresses: string[]): string {
  return addresses.find(mayFollow) ?? ''
}

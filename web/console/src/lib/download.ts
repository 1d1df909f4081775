// Files that the page hands to the person.

/** Has the browser save a file. */
export function saveFile(name: string, content: Blob): void {
  const url = URL.createObjectURL(content)
  const a = document.createElement('a')
  a.href = url
  a.download = name
  document.body.append(a)
  a.click()
  a.remove()
  setTimeout(() => URL.revokeObjectURL(url), 10_000)
}

/**
 * A table as CSV (RFC 4180), with the mark by which spreadsheets know UTF-8. A cell that a
 * spreadsheet would run as a formula is made text by an apostrophe.
 */
export function csvOf(columns: readonly string[], rows: readonly (readonly (string | number)[])[]): Blob {
  const cell = (v: string | number) => {
    let s = String(v)
    if (typeof v === 'string' && /^[=+\-@\t\r]/.test(s)) s = `'${s}`
    return /[",\r\n]/.test(s) ? `"${s.replaceAll('"', '""')}"` : s
  }
  const text = [columns, ...rows].map((r) => r.map(cell).join(',')).join('\r\n')
  return new Blob(['\uFEFF' + text + '\r\n'], { type: 'text/csv;charset=utf-8' })
}

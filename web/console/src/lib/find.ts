// Lists that are short enough to be looked through here.

/** Those that hold what was typed in one of their texts, in whatever case. */
export function found<T>(list: readonly T[], typed: string, texts: (x: T) => readonly string[]): T[] {
  const what = typed.trim().toLowerCase()
  return list.filter((x) => texts(x).some((s) => s.toLowerCase().includes(what)))
}

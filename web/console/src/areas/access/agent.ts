// What a browser calls itself, in short.

const browsers: [RegExp, string][] = [
  [/MicroMessenger\/(\d+)/, 'WeChat'],
  [/Edg\w*\/(\d+)/, 'Edge'],
  [/OPR\/(\d+)/, 'Opera'],
  [/Firefox\/(\d+)/, 'Firefox'],
  [/(?:Headless)?Chrome\/(\d+)/, 'Chrome'],
  [/Version\/(\d+).*Safari/, 'Safari'],
]
const systems: [RegExp, string][] = [
  [/Windows/, 'Windows'],
  [/iPhone|iPad/, 'iOS'],
  [/Android/, 'Android'],
  [/Mac OS X/, 'macOS'],
  [/Linux/, 'Linux'],
]

/** Browser and system, as far as they can be told; else the text itself. */
export function agentText(agent: string): string {
  const found = browsers.map(([re, name]) => [re.exec(agent)?.[1], name] as const).find(([v]) => v)
  const system = systems.find(([re]) => re.test(agent))?.[1]
  if (!found) return agent || '–'
  return `${found[1]} ${found[0]}${system ? ` · ${system}` : ''}`
}

// What the browser is and lacks.

export type EnvironmentFault = 'insecure' | 'in_app' | 'unsupported'

export interface Surroundings {
  secure: boolean
  camera: boolean // navigator.mediaDevices.getUserMedia exists
  socket: boolean // WebSocket exists
  agent: string
}

export type Browser =
  | 'wechat'
  | 'in_app'
  | 'ios_safari'
  | 'ios_other'
  | 'android_firefox'
  | 'android'
  | 'mac_safari'
  | 'firefox'
  | 'desktop'

// Apps that show web pages inside themselves, by what they add to the user agent.
const wechat = /MicroMessenger|wxwork/i
const apps =
  /QQ\/|Weibo|AlipayClient|DingTalk|Lark|Feishu|aweme|BytedanceWebview|NewsArticle|baiduboxapp|FBAN|FBAV|Instagram|Line\/|; wv\)/i

export function browserOf(agent: string): Browser {
  if (wechat.test(agent)) return 'wechat'
  if (apps.test(agent)) return 'in_app'
  if (/iPhone|iPad|iPod/.test(agent)) {
    return /CriOS|FxiOS|EdgiOS|MQQBrowser|UCBrowser|baidu/i.test(agent) ? 'ios_other' : 'ios_safari'
  }
  if (/Android|HarmonyOS|OpenHarmony/i.test(agent))
    return /Firefox/.test(agent) ? 'android_firefox' : 'android'
  if (/Firefox/.test(agent)) return 'firefox'
  if (/Macintosh.*Version\/.*Safari/.test(agent)) return 'mac_safari'
  return 'desktop'
}

/** What keeps a camera capture from working here at all, or null. */
export function environmentFault(s: Surroundings): EnvironmentFault | null {
  if (!s.secure) return 'insecure'
  if (s.camera && s.socket) return null
  const b = browserOf(s.agent)
  return b === 'wechat' || b === 'in_app' ? 'in_app' : 'unsupported'
}

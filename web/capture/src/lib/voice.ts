// Spoken and vibrating hints, for people who cannot watch the screen while they act.
import { ref } from 'vue'

const kept = 'shiren-mute'

function recall(): boolean {
  try {
    return localStorage.getItem(kept) === '1'
  } catch {
    return false // a page in a frame may have no storage
  }
}

/** Whether the person switched the voice off. */
export const muted = ref(recall())

export const canSpeak = () => 'speechSynthesis' in window && typeof SpeechSynthesisUtterance === 'function'

/** Says something at once, in place of what is being said. */
export function speak(words: string, lang: string): void {
  if (muted.value || !canSpeak()) return
  try {
    speechSynthesis.cancel()
    const u = new SpeechSynthesisUtterance(words)
    u.lang = lang
    speechSynthesis.speak(u)
  } catch {
    // Some views have the names and no voice.
  }
}

export function hush(): void {
  if (canSpeak()) speechSynthesis.cancel()
}

export function setMuted(on: boolean): void {
  muted.value = on
  if (on) hush()
  try {
    localStorage.setItem(kept, on ? '1' : '0')
  } catch {
    // It then lasts as long as the page.
  }
}

/** Vibrates where the device can; the voice's switch does not silence it. */
export function vibrate(pattern: number | number[] = 60): void {
  try {
    navigator.vibrate?.(pattern)
  } catch {
    // Refused before the first touch.
  }
}

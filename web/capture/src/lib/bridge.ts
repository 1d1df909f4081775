// Tells the app or page around this one how far the capture is: docs/webview.md.
//
// Only when the address says useNative=1. What is told holds no token, no image and no
// score, and proves nothing: the relying party's backend asks the server. Where the
// session's opener wants something handed on, it is told as `onward`.

export type Told =
  | { event: 'ready' }
  | { event: 'step'; step: string; trouble?: string; onward?: Record<string, string> }
  | {
      event: 'result'
      passed: boolean
      reason: string
      mayRetry: boolean
      onward?: Record<string, string>
    }
  | { event: 'close'; passed: boolean; onward?: Record<string, string> }

interface Host {
  shirenNative?: { postMessage?: (text: string) => void } // Android, HarmonyOS
  webkit?: { messageHandlers?: { shiren?: { postMessage(message: object): void } } } // iOS
  parent: Window
  top: Window | null
}

/** Makes the function that tells; it does nothing unless it is wanted. */
export function bridge(wanted: boolean, host: Host): (t: Told) => void {
  return (t) => {
    if (!wanted) return
    const message = { source: 'shiren', version: 1, ...t }
    const ways = [
      () => host.shirenNative?.postMessage?.(JSON.stringify(message)),
      () => host.webkit?.messageHandlers?.shiren?.postMessage(message),
      // The embedder's origin is not known here, and the message is nobody's secret.
      () => (host.parent as unknown) !== host && host.parent.postMessage(message, '*'),
    ]
    for (const way of ways) {
      try {
        way()
      } catch {
        // A host that fails must not stop the capture.
      }
    }
  }
}

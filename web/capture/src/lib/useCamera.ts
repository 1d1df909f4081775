// A screen's camera: opened, shown in its video element, and let go of with the screen.
import { nextTick, onScopeDispose, ref, type Ref } from 'vue'

import {
  type CameraChoice,
  cameraFault,
  type CameraFault,
  cameraOf,
  type CameraUse,
  closeCamera,
  grabFrame,
  listCameras,
  openCamera,
} from './camera'
import type { Link } from './link'

export interface Camera {
  /** The element that shows the picture. */
  video: Ref<HTMLVideoElement | undefined>
  /** Those to choose from, once one has been opened. */
  cameras: Ref<CameraChoice[]>
  /** The one that was opened last. */
  camera: Ref<CameraUse>
  /** What is open, or null. */
  stream(): MediaStream | null
  /** Opens the chosen one, or the usual one, in place of what is open; says whether it is there. */
  open(chosen?: string): Promise<boolean>
  /** Gives the link a picture whenever it may have one, until the camera is closed. */
  feed(link: Link, every: number, short?: number, quality?: number): void
  close(): void
}

export interface CameraOptions {
  /** Sound is recorded too. */
  sound?: () => boolean
  /** The one that looks away from the person is the usual one. */
  rear?: boolean
  /** The camera is open: what shows its picture may be put on the page. */
  opened?: () => void
  /** It could not be opened, or ended by itself. */
  fault: (f: CameraFault) => void
}

export function useCamera(o: CameraOptions): Camera {
  const video = ref<HTMLVideoElement>()
  const cameras = ref<CameraChoice[]>([])
  const camera = ref<CameraUse>({ id: '', label: '', back: o.rear ?? false })
  let stream: MediaStream | null = null
  let pump: ReturnType<typeof setInterval> | undefined
  let turn = 0 // counts what was asked for: what comes of anything earlier is let go of

  function close(): void {
    turn++
    clearInterval(pump)
    const s = stream
    stream = null
    closeCamera(s)
  }

  async function open(chosen = ''): Promise<boolean> {
    close()
    const asked = turn
    let mine: MediaStream
    try {
      mine = await openCamera(chosen, o.sound?.() ?? false, o.rear)
    } catch (e) {
      if (asked === turn) o.fault(cameraFault(e))
      return false
    }
    if (asked !== turn) {
      closeCamera(mine)
      return false
    }
    stream = mine
    camera.value = cameraOf(mine)
    mine.getVideoTracks()[0]?.addEventListener('ended', () => {
      if (stream === mine) o.fault('camera_lost')
    })
    o.opened?.()
    await nextTick()
    const v = video.value
    if (!v) return false
    v.srcObject = mine
    // Some views refuse to play until touched; the picture comes all the same, or whoever takes
    // pictures waits for it.
    await v.play().catch(() => {})
    if (asked !== turn) return false
    void listCameras().then((list) => (cameras.value = list))
    return true
  }

  function feed(link: Link, every: number, short?: number, quality?: number): void {
    const canvas = document.createElement('canvas')
    let grabbing = false
    async function tick() {
      const v = video.value
      const now = performance.now()
      if (!v || grabbing || v.readyState < 2 || v.videoWidth === 0 || !link.mayFrame(now)) return
      grabbing = true
      try {
        const picture = await grabFrame(v, canvas, short, quality)
        if (picture) link.frame(picture, now)
      } finally {
        grabbing = false
      }
    }
    clearInterval(pump)
    pump = setInterval(tick, every)
  }

  onScopeDispose(close)
  return { video, cameras, camera, stream: () => stream, open, feed, close }
}

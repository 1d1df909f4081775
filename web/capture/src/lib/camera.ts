// The camera and its frames.

export type CameraFault = 'camera_denied' | 'camera_absent' | 'camera_busy' | 'camera_failed' | 'camera_lost'

/** Opens the front camera. Rejects with what getUserMedia says. */
export function openCamera(): Promise<MediaStream> {
  return navigator.mediaDevices.getUserMedia({
    audio: false,
    // 4:3 shows the most of what a phone's front camera sees; nothing here is required,
    // so that any camera will do.
    video: { facingMode: 'user', width: { ideal: 1280 }, height: { ideal: 960 }, frameRate: { ideal: 30 } },
  })
}

export function closeCamera(stream: MediaStream | null): void {
  stream?.getTracks().forEach((t) => t.stop())
}

/** What a failure of getUserMedia means for the capture subject. */
export function cameraFault(error: unknown): CameraFault {
  switch ((error as { name?: string } | null)?.name) {
    case 'NotAllowedError':
    case 'PermissionDeniedError': // older names of the same
    case 'SecurityError':
      return 'camera_denied'
    case 'NotFoundError':
    case 'DevicesNotFoundError':
    case 'OverconstrainedError':
      return 'camera_absent'
    case 'NotReadableError':
    case 'TrackStartError':
    case 'AbortError':
      return 'camera_busy'
  }
  return 'camera_failed'
}

/** Frames are sent with their short side at most this many pixels long. */
export const shortSide = 480

/** The size at which a video of w x h is sent: its shape kept, never enlarged. */
export function frameSize(w: number, h: number): { width: number; height: number } {
  const scale = Math.min(1, shortSide / Math.min(w, h))
  return { width: Math.round(w * scale), height: Math.round(h * scale) }
}

/** Takes the video's current picture as JPEG, as the camera sees it: not mirrored. */
export function grabFrame(video: HTMLVideoElement, canvas: HTMLCanvasElement): Promise<Blob | null> {
  const { width, height } = frameSize(video.videoWidth, video.videoHeight)
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width
    canvas.height = height
  }
  const g = canvas.getContext('2d', { alpha: false })
  if (!g) return Promise.resolve(null)
  g.drawImage(video, 0, 0, width, height)
  return new Promise((done) => canvas.toBlob(done, 'image/jpeg', 0.85))
}

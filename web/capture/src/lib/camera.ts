// The camera and its frames.

export type CameraFault = 'camera_denied' | 'camera_absent' | 'camera_busy' | 'camera_failed' | 'camera_lost'

/** Opens a camera: the chosen one, which must be there, or the front one, or the rear one for
 * a document, whose print wants more pixels. Rejects with what getUserMedia says. */
export function openCamera(chosen = '', audio = false, rear = false): Promise<MediaStream> {
  return navigator.mediaDevices.getUserMedia({
    audio,
    // 4:3 shows the most of what a phone's front camera sees; nothing here is required,
    // so that any camera will do.
    video: {
      ...(chosen ? { deviceId: { exact: chosen } } : { facingMode: rear ? 'environment' : 'user' }),
      width: { ideal: rear ? 1920 : 1280 },
      height: { ideal: rear ? 1440 : 960 },
      frameRate: { ideal: 30 },
    },
  })
}

export interface CameraChoice {
  id: string
  label: string
}

/** The cameras to choose from. Browsers name them only once one has been opened. */
export async function listCameras(): Promise<CameraChoice[]> {
  try {
    const all = await navigator.mediaDevices.enumerateDevices()
    return all
      .filter((d) => d.kind === 'videoinput' && d.deviceId !== '')
      .map((d) => ({ id: d.deviceId, label: d.label }))
  } catch {
    return []
  }
}

export interface CameraUse {
  id: string
  label: string
  back: boolean // it looks away from the person: its picture is not shown mirrored
}

/** What an open stream's camera says of itself. */
export function cameraOf(stream: MediaStream): CameraUse {
  const track = stream.getVideoTracks()[0]
  const s = track?.getSettings?.()
  return { id: s?.deviceId ?? '', label: track?.label ?? '', back: s?.facingMode === 'environment' }
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
export function frameSize(w: number, h: number, short = shortSide): { width: number; height: number } {
  const scale = Math.min(1, short / Math.min(w, h))
  return { width: Math.round(w * scale), height: Math.round(h * scale) }
}

/** Takes the video's current picture as JPEG, as the camera sees it: not mirrored. */
export function grabFrame(
  video: HTMLVideoElement,
  canvas: HTMLCanvasElement,
  short = shortSide,
  quality = 0.85,
): Promise<Blob | null> {
  const { width, height } = frameSize(video.videoWidth, video.videoHeight, short)
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width
    canvas.height = height
  }
  const g = canvas.getContext('2d', { alpha: false })
  if (!g) return Promise.resolve(null)
  g.drawImage(video, 0, 0, width, height)
  return new Promise((done) => canvas.toBlob(done, 'image/jpeg', quality))
}

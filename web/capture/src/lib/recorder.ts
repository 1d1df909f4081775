// Recordings for browsers that cannot stream to the server.
import type { Prompts } from './protocol'

/** What is asked of a browser's recorder, best first. A bare mp4 comes last: some browsers put
 * codecs into it that servers do not read. */
const wanted = [
  'video/mp4;codecs=avc1.42E01E,mp4a.40.2',
  'video/webm;codecs=vp8,opus',
  'video/webm',
  'video/mp4',
]

/** The kind of file that this browser records, or '' when it records none. */
export function recordingType(supports?: (type: string) => boolean): string {
  const has =
    supports ??
    (typeof MediaRecorder === 'function' && typeof MediaRecorder.isTypeSupported === 'function'
      ? (type: string) => MediaRecorder.isTypeSupported(type)
      : () => false)
  return wanted.find(has) ?? ''
}

/** How long a recording without prompts lasts, ms: our choice, twice the live capture's span. */
export const plainLength = 4000
const tail = 600 // ms kept after the last prompt

/** How long a recording lasts, ms. */
export function recordingLength(p: Prompts): number {
  return p.cues.reduce((end, c) => Math.max(end, c.after + c.for + tail), plainLength)
}

/** The prompt that is due at a moment of the recording, ms, or null between prompts. */
export function promptAt(p: Prompts, ms: number) {
  return p.cues.find((c) => ms >= c.after && ms < c.after + c.for) ?? null
}

/** Makes a JPEG of any picture that the browser reads, with its long side at most so many pixels
 * long; what it does not read goes as it is. */
export async function toJpeg(file: Blob, longSide = 1600): Promise<Blob> {
  try {
    const picture = await createImageBitmap(file, { imageOrientation: 'from-image' })
    const scale = Math.min(1, longSide / Math.max(picture.width, picture.height))
    const canvas = document.createElement('canvas')
    canvas.width = Math.round(picture.width * scale)
    canvas.height = Math.round(picture.height * scale)
    canvas.getContext('2d', { alpha: false })?.drawImage(picture, 0, 0, canvas.width, canvas.height)
    picture.close()
    const jpeg = await new Promise<Blob | null>((done) => canvas.toBlob(done, 'image/jpeg', 0.92))
    return jpeg ?? file
  } catch {
    return file
  }
}

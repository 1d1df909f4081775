import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { type EffectScope, effectScope } from 'vue'

import { type Camera, type CameraOptions, useCamera } from '../src/lib/useCamera'

// A camera that answers when it is told to.
class Track {
  stopped = false
  label = 'front'
  private ended = () => {}
  stop() {
    this.stopped = true
  }
  getSettings = () => ({ deviceId: 'a', facingMode: 'user' })
  addEventListener(_: string, f: () => void) {
    this.ended = f
  }
  pull() {
    this.ended()
  }
}
class Device {
  tracks: Track[] = []
  answers: ((e?: Error) => void)[] = []
  getUserMedia = () =>
    new Promise((open, refuse) =>
      this.answers.push((e) => {
        if (e) return refuse(e)
        const track = new Track()
        this.tracks.push(track)
        open({ getTracks: () => [track], getVideoTracks: () => [track] })
      }),
    )
  enumerateDevices = () => Promise.resolve([{ kind: 'videoinput', deviceId: 'a', label: 'front' }])
}

let device: Device
let scope: EffectScope
beforeEach(() => {
  device = new Device()
  scope = effectScope()
  vi.stubGlobal('navigator', { mediaDevices: device })
})
afterEach(() => {
  scope.stop()
  vi.unstubAllGlobals()
})

function screen(o: Partial<CameraOptions> = {}): { eye: Camera; faults: string[] } {
  const faults: string[] = []
  const eye = scope.run(() => useCamera({ fault: (f) => faults.push(f), ...o }))!
  eye.video.value = { play: () => Promise.reject(new Error('touch me')) } as unknown as HTMLVideoElement
  return { eye, faults }
}

describe('a camera', () => {
  it('is shown even where the element wants to be touched before it plays', async () => {
    const { eye, faults } = screen()
    const open = eye.open()
    device.answers[0]!()
    expect([await open, eye.camera.value.id, faults]).toEqual([true, 'a', []])
    await vi.waitFor(() => expect(eye.cameras.value).toHaveLength(1))
    eye.close()
    expect([device.tracks[0]!.stopped, eye.stream()]).toEqual([true, null])
  })
  it('that is refused is told of, unless its screen is gone', async () => {
    const { eye, faults } = screen()
    const open = eye.open()
    device.answers[0]!(Object.assign(new Error(), { name: 'NotAllowedError' }))
    expect([await open, faults]).toEqual([false, ['camera_denied']])
    const late = eye.open()
    scope.stop()
    device.answers[1]!(Object.assign(new Error(), { name: 'NotAllowedError' }))
    expect([await late, faults]).toEqual([false, ['camera_denied']])
  })
  it('that opens when its screen is gone is closed again', async () => {
    const { eye } = screen()
    const open = eye.open()
    scope.stop()
    device.answers[0]!()
    expect([await open, device.tracks[0]!.stopped]).toEqual([false, true])
  })
  it('that was chosen last is the one that stays', async () => {
    const { eye } = screen()
    const first = eye.open('a')
    const second = eye.open('b')
    device.answers[1]!()
    device.answers[0]!()
    expect([await first, await second]).toEqual([false, true])
    expect(device.tracks.map((t) => t.stopped)).toEqual([false, true])
  })
  it('that ends by itself is lost, and one that was closed is not', async () => {
    const { eye, faults } = screen()
    const open = eye.open()
    device.answers[0]!()
    await open
    device.tracks[0]!.pull()
    expect(faults).toEqual(['camera_lost'])
    eye.close()
    device.tracks[0]!.pull()
    expect(faults).toEqual(['camera_lost'])
  })
})

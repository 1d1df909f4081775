// Hints come ten times a second. People and screen readers need them to hold still.

/** How long a hint must last before it is shown, and stays at least, in ms. */
export const settleFor = 250
export const stayFor = 900

export class Steady {
  private shown = ''
  private since = -Infinity
  private wanted = ''
  private wantedSince = 0

  /** Takes the newest hint at a moment in ms and returns the one to show. */
  take(hint: string, now: number): string {
    if (hint !== this.wanted) {
      this.wanted = hint
      this.wantedSince = now
    }
    if (this.wanted !== this.shown && now - this.wantedSince >= settleFor && now - this.since >= stayFor) {
      this.shown = this.wanted
      this.since = now
    }
    return this.shown
  }
}

// Questions that a person must answer before something is done.
import { shallowRef } from 'vue'

export interface Question {
  title: string
  /** What will happen, and whether it can be undone. */
  text: string
  /** The word on the button that does it. */
  yes: string
  /** Whether it cannot be undone. */
  danger?: boolean
  /** Whether a reason must be given; it is written into the journal. */
  reason?: boolean
  /** Whether the person's password must be given. */
  password?: boolean
  /** What went wrong with the answer before. */
  fault?: string
  /** A word that must be typed first, for what is worst. */
  type?: string
}

interface Pending extends Question {
  answer(reason: string | null): void
}

/** The question that is asked now; AskDialog shows it. */
export const pending = shallowRef<Pending | null>(null)

function ask(q: Question): Promise<string | null> {
  pending.value?.answer(null)
  return new Promise((resolve) => {
    pending.value = {
      ...q,
      answer: (reason) => {
        pending.value = null
        resolve(reason)
      },
    }
  })
}

/** Asks whether to go on. */
export const askConfirm = async (q: Omit<Question, 'reason'>): Promise<boolean> => (await ask(q)) !== null

/** Asks for a reason, which is never empty; null where the person thinks better of it. */
export const askReason = (q: Omit<Question, 'reason'>): Promise<string | null> => ask({ ...q, reason: true })

/** Asks for the person's password; null where they think better of it. */
export const askPassword = async (q: Omit<Question, 'reason' | 'password'>): Promise<string | null> =>
  ask({ ...q, password: true })

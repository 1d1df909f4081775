// What a person starts with a button: one at a time, and what goes wrong is told.
import { ref, type Ref } from 'vue'

import { Cancelled, errorText } from './api'
import { notifyError } from './notice'

export interface Task {
  busy: Ref<boolean>
  /** Does f, unless something is under way; says whether it was done and went well. */
  run(f: () => Promise<unknown>): Promise<boolean>
}

/** What goes wrong is given to told; what a person gave up went wrong for nobody. */
export function useTask(told: (e: unknown) => void): Task {
  const busy = ref(false)
  async function run(f: () => Promise<unknown>): Promise<boolean> {
    if (busy.value) return false
    busy.value = true
    try {
      await f()
      return true
    } catch (e) {
      if (!(e instanceof Cancelled)) told(e)
      return false
    } finally {
      busy.value = false
    }
  }
  return { busy, run }
}

/** A task whose failure is a notice, in the area's words. */
export const useAction = (area: string): Task => useTask((e) => notifyError(e, area))

/** Does f, whatever else is under way; a failure is a notice, in the area's words. */
export async function orTell(area: string, f: () => Promise<unknown>): Promise<void> {
  try {
    await f()
  } catch (e) {
    notifyError(e, area)
  }
}

export interface Form extends Task {
  /** What is wrong, for the form to show; each run begins without. */
  fault: Ref<string>
}

/** A task whose failure is shown in the form that it was begun from: in words, or the area's. */
export function useForm(area: string, words = (e: unknown) => errorText(e, area)): Form {
  const fault = ref('')
  const task = useTask((e) => (fault.value = words(e)))
  return {
    ...task,
    fault,
    run: (f) => {
      if (!task.busy.value) fault.value = ''
      return task.run(f)
    },
  }
}

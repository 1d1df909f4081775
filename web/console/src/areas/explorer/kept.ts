// What stays while people go from interface to interface: the app, the sandbox's case, and what
// one interface answered that the next one asks for. It is gone with the page.
import { reactive } from 'vue'

export const chosen = reactive({ app: '', case: 'match-match-match' })
export const kept = reactive<Record<string, string>>({})

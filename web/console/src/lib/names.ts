// Apps and plans by their ids, to choose from where an id is asked for. An id can still be typed:
// a role that may not list them gets none, and so does a page whose call failed.
import { api, type Page } from './api'

export interface Named {
  id: string
  name: string
}

export const appNames = async (signal: AbortSignal): Promise<Named[]> => {
  const page = await api.get<Page<{ app: Named }>>('/apps', {}, { signal }).catch(() => null)
  return (page?.items ?? []).map((x) => ({ id: x.app.id, name: x.app.name }))
}

export const planNames = async (signal: AbortSignal): Promise<Named[]> => {
  const page = await api.get<Page<{ plan: Named }>>('/plans', {}, { signal }).catch(() => null)
  return (page?.items ?? []).map((x) => ({ id: x.plan.id, name: x.plan.name }))
}

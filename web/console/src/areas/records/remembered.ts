// What a person was searched by, while the page is open: it comes back with the list, and is
// in no address and no storage.
import { reactive } from 'vue'

import type { Find } from './lists'

export const find = reactive<{ field: Find; value: string }>({ field: 'log_id', value: '' })

import { defineConfig } from 'vitest/config'

// Each page's tests run with that page's own settings.
export default defineConfig({ test: { projects: ['capture', 'console'] } })

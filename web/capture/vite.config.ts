import vue from '@vitejs/plugin-vue'
import { defineConfig } from 'vite'

// The base is the path at which internal/capture serves the page. Nothing is inlined:
// the page's Content-Security-Policy allows files of its own origin only.
export default defineConfig({
  base: '/face/print/',
  plugins: [vue()],
  define: { __VUE_OPTIONS_API__: 'false', __VUE_PROD_DEVTOOLS__: 'false' },
  build: {
    outDir: '../dist/capture',
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // Phones' built-in browsers lag behind: in-app views of 2020 and later.
    target: ['chrome80', 'safari14', 'firefox78'],
    cssTarget: ['chrome80', 'safari14', 'firefox78'],
  },
})

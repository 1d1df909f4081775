import vue from '@vitejs/plugin-vue'
import { ElementPlusResolver } from 'unplugin-vue-components/resolvers'
import components from 'unplugin-vue-components/vite'
import { defineConfig } from 'vite'

// The base is the path at which internal/console serves the page. Nothing is inlined: its
// Content-Security-Policy allows files of its own origin only. Element Plus's components are
// imported one by one, with their own styles, where a template names them.
export default defineConfig({
  base: '/console/',
  plugins: [
    vue(),
    components({
      dirs: [],
      dts: false,
      resolvers: [ElementPlusResolver({ importStyle: 'css', directives: false })],
    }),
  ],
  define: { __VUE_OPTIONS_API__: 'false', __VUE_PROD_DEVTOOLS__: 'false' },
  server: { proxy: { '/console/api': 'http://127.0.0.1:8080' } },
  build: {
    outDir: '../dist/console',
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    manifest: true, // scripts/size.mjs follows it
    chunkSizeWarningLimit: 700, // ECharts, which is loaded with the first chart
    target: ['chrome111', 'safari16.4', 'firefox114'],
  },
})

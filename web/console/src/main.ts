import 'element-plus/theme-chalk/base.css'
import 'element-plus/theme-chalk/dark/css-vars.css'
import './style.css'

import { createApp } from 'vue'

import App from './App.vue'
import { applyPreferences } from './lib/preferences'
import { router } from './router'

applyPreferences()
createApp(App).use(router).mount('#app')

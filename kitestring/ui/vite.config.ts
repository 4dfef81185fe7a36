/** How the pages are built: into dist/, every script and style a file of its own, as the server's CSP asks. */
import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

export default defineConfig({
  plugins: [react()],
  build: {
    outDir: 'dist',
    // An inlined asset would be a data: address; only images may be one (img-src).
    assetsInlineLimit: 0,
    // The polyfill is an inline script in some builds, and every browser we support preloads modules.
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 700,
  },
  server: {
    // `npm run dev` beside a running `kitestring up`.
    proxy: { '/api': { target: process.env.KITESTRING_SERVER ?? 'http://127.0.0.1:8000', changeOrigin: true } },
  },
});

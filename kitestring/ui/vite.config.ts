/** How the pages are built: into dist/, every script and style a file of its own, as the server's CSP asks. */
import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

import { unusedStyles } from './bundle/unusedStyles.ts';

/** What every page needs, packed in one file: that is smaller than in thirty. */
const FRAME = new RegExp(
  `node_modules/(?:${[
    'react|react-dom|scheduler|clsx|use-sync-external-store',
    '@tanstack/(?:history|store|query-core|router-core|react-store|react-query|react-router)',
    '@mantine/core/esm/core',
    '@mantine/core/esm/components/(?:ActionIcon|Alert|Anchor|Badge|Box|Button|CloseButton|Group|Input|Loader|Paper|Stack|Text|TextInput|Title|UnstyledButton)',
  ].join('|')})/`,
);

export default defineConfig({
  plugins: [react(), unusedStyles()],
  build: {
    outDir: 'dist',
    // For bundle/firstLoad.mjs; the server serves no hidden files.
    manifest: '.manifest.json',
    // An inlined asset would be a data: address; only images may be one (img-src).
    assetsInlineLimit: 0,
    // The polyfill is an inline script in some builds, and every browser we support preloads modules.
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 700,
    rollupOptions: {
      output: {
        advancedChunks: {
          groups: [{ name: 'frame', test: FRAME }],
        },
      },
    },
  },
  server: {
    // `npm run dev` beside a running `kitestring up`.
    proxy: { '/api': { target: process.env.KITESTRING_SERVER ?? 'http://127.0.0.1:8000', changeOrigin: true } },
  },
});

import { defineConfig } from 'vite';

export default defineConfig({
  // The page is /graphql and its files are /graphiql/…, side by side wherever a proxy mounts the service: relative
  // addresses work under any prefix.
  base: './',
  logLevel: 'warn',
  build: {
    assetsDir: 'graphiql',
    target: 'es2022',
    chunkSizeWarningLimit: 4096, // kilobytes; Monaco is one editor
    modulePreload: { polyfill: false },
    rolldownOptions: {
      // "use client" means something to React servers only, and there is none here.
      onwarn: (warning, warn) => warning.code === 'MODULE_LEVEL_DIRECTIVE' || warn(warning),
    },
  },
  worker: { format: 'es' },
});

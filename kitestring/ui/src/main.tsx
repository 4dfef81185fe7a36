/** Assembles the interface: theme, queries, router. */
import '@mantine/core/styles.css';
import './font.css';
import './global.css';

import { MantineProvider } from '@mantine/core';
import { QueryClientProvider } from '@tanstack/react-query';
import { RouterProvider } from '@tanstack/react-router';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';

import { watchNetwork } from './api/online';
import { queryClient } from './api/queries';
import { router } from './router';
import { applyDensity } from './shell/preferences';
import { loadLanguage } from './text';
import { theme } from './theme';

applyDensity();
watchNetwork();
await loadLanguage();
createRoot(document.getElementById('root')!).render(
  <StrictMode>
    <MantineProvider theme={theme} defaultColorScheme="auto">
      <QueryClientProvider client={queryClient}>
        <RouterProvider router={router} />
      </QueryClientProvider>
    </MantineProvider>
  </StrictMode>,
);

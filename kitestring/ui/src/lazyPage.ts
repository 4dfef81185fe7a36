/** Loads a page's code when it is first shown. Code that does not come is asked for again before the page says so. */
import { lazyRouteComponent } from '@tanstack/react-router';

import { untilAnswer } from './api/online';
import { OutdatedPage } from './shell/ErrorPage';

const MAX_ATTEMPTS = 3;

/** Load a module. While the server does not answer, wait for it. */
export async function loadModule<T>(load: () => Promise<T>, wait: () => Promise<unknown> = untilAnswer): Promise<T> {
  for (let attempts = 1; ; attempts++) {
    try {
      return await load();
    } catch (error) {
      if (attempts >= MAX_ATTEMPTS) throw error;
      await wait();
    }
  }
}

/** The page, or, where its code is not on the server any more, as after an upgrade, what to do about it. */
export const lazyPage: typeof lazyRouteComponent = (load, name) =>
  lazyRouteComponent(async () => {
    try {
      return await loadModule(load);
    } catch (error) {
      console.warn('A part of the interface did not load:', error);
      return { [name ?? 'default']: OutdatedPage } as Awaited<ReturnType<typeof load>>;
    }
  }, name);

/** The categories of connectors. Those of Kitestring say their own; those of Airbyte's registry are in categories.json. */
import { useQuery } from '@tanstack/react-query';

import type { ConnectorSummary } from '../api/schema.gen';
import { t } from '../text';

export const OTHER = 'other connectors';
/** Categories that come last, whatever their names. */
const LAST = ['open data', 'sample data', OTHER];

/** The category of a connector; a connector of the registry has one once the file is loaded. */
export function useCategories(): (connector: ConnectorSummary) => string {
  const file = useQuery({
    queryKey: ['catalog', 'categories'],
    queryFn: async () => {
      const { default: categories } = await import('./categories.json');
      return new Map(Object.entries(categories).flatMap(([category, types]) => types.split(' ').map((type) => [type, category] as const)));
    },
    staleTime: Infinity,
  });
  return (connector) => connector.category || file.data?.get(connector.type) || OTHER;
}

/** By name, the general ones last. */
export function compareCategories(first: string, second: string): number {
  return LAST.indexOf(first) - LAST.indexOf(second) || first.localeCompare(second);
}

/** “help desk” → “Help desk”. */
export function categoryName(category: string): string {
  const word = t(category);
  return word.charAt(0).toUpperCase() + word.slice(1);
}
